import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// A database that another model wrote is learned again: afterwards it is what it would be if that model had never been
/// there.
@Suite(.serialized, .timeLimit(.minutes(10))) struct RelearningTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    private static func changeModel(of home: EngineHome) throws {
        try TestModel.write(to: home.model, parameters: TestModel.parameters(seed: 9))
    }

    /// The bits of a space that has lived through `story` on the new model alone, and of some text's scores there.
    private static func life(_ story: [Int?]) async throws -> (bits: String, logprobs: [Double?]) {
        let home = try EngineHome()
        try changeModel(of: home)
        return try await home.run { engine async throws in
            try await ForgettingTests.run(story, engine)
            return (try engine.bits, try await score(engine))
        }
    }

    private static func score(_ engine: HopeEngine) async throws -> [Double?] {
        try await engine.score(ScoreRequest(input: .text(Facts.all[1]), space: "default")).logprobs
    }

    private func relearningJob(_ engine: HopeEngine) async throws -> JobRecord {
        let jobs = try await engine.jobs(space: "default", status: nil, page: PageRequest()).items
        return try #require(jobs.first { $0.kind == .relearn })
    }

    @Test func theSpaceIsWhatItWouldBeOnThatModel() async throws {
        let story = [0, 1, nil, 2]
        let expected = try await Self.life(story)
        let later = try await Self.life(story + [3])
        let losses = try await home.run { engine async throws in
            try await ForgettingTests.run(story, engine)
            try await engine.makeSession("s")
            #expect(try engine.bits != expected.bits)
            return try await engine.document("d0").losses
        }
        try Self.changeModel(of: home)
        try await home.run({ $0.relearns = true }) { engine async throws in
            let job = try await engine.end(of: relearningJob(engine))
            #expect((job.kind, job.status, job.progress) == (.relearn, .learned, 1))
            #expect((job.replay?.replayed, job.replay?.events) == (4, 4))
            #expect(try engine.bits == expected.bits)
            #expect(try await Self.score(engine) == expected.logprobs)
            for fact in 0...2 { #expect(try await engine.document("d\(fact)").status == .learned) }
            #expect(try await engine.document("d0").losses != losses)
            let consolidation = try await engine.consolidations(space: "default", page: PageRequest()).items
            #expect(consolidation.map(\.verdict) == [.adopted])
            await #expect(throws: EngineError.notFound(.session, id: "s")) { try await engine.session("s") }
            #expect(engine.health().notices.isEmpty)
            try await ForgettingTests.run([3], engine)
            #expect(try engine.bits == later.bits)
        }
        // From now on it is this model's.
        try await home.run { engine async throws in
            #expect(try engine.bits == later.bits)
            #expect(engine.health().notices.isEmpty)
        }
        // What the log says of each event now is what was done: with all generations damaged, a replay does the same.
        try home.withStore { store in
            for _ in try store.read({ try $0.generations(space: "default") }) { try store.damageNewestGeneration() }
        }
        try await home.run { engine async throws in
            try await eventually { try engine.bits == later.bits }
        }
    }

    @Test func aRelearningThatIsCutGoesOn() async throws {
        let expected = try await Self.life([0, 1, nil, 2, 3])
        try await home.run { try await ForgettingTests.run([0, 1, nil, 2, 3], $0) }
        try Self.changeModel(of: home)
        try await home.run({ $0.relearns = true }) { engine async throws in
            try await eventually { try await engine.document("d0").status == .learned }
        }
        // It is this model's database by now.
        try await home.run { engine async throws in
            #expect(try await engine.end(of: relearningJob(engine)).status == .learned)
            #expect(try engine.bits == expected.bits)
        }
    }

    /// Whether it has been learned again by then or not.
    @Test func whatIsDeletedMeanwhileIsForgotten() async throws {
        let expected = try await Self.life([0, 2])
        try await home.run { try await ForgettingTests.run([0, 1, 2], $0) }
        try Self.changeModel(of: home)
        try await home.run({ $0.relearns = true }) { engine async throws in
            let receipt = try await engine.forgetDocument("d1", space: "default", keeping: [])
            let job = try await engine.end(of: engine.job(#require(receipt.jobID)))
            #expect((job.status, job.receipt?.exact) == (.forgotten, true))
            #expect(try engine.bits == expected.bits)
        }
    }

    @Test func whatARestoreTookBackStaysTakenBack() async throws {
        let expected = try await Self.life([0])
        try await home.run { engine async throws in
            try await ForgettingTests.run([0], engine)
            let snapshot = try await engine.keep("first")
            try await ForgettingTests.run([1], engine)
            try await engine.restore(snapshot)
        }
        try Self.changeModel(of: home)
        let generation = try await home.run({ $0.relearns = true }) { engine async throws in
            try await engine.end(of: relearningJob(engine))
            #expect(try engine.bits == expected.bits)
            #expect(try await engine.document("d0").status == .learned)
            #expect(try await engine.document("d1").status == .unlearned)
            #expect(try await engine.snapshots(space: "default", page: PageRequest()).items.isEmpty)
            return try engine.space.generation
        }
        // Nothing is left to be done again.
        try home.withStore { store in
            let (newest, next) = try store.read { reader in
                (try reader.newestGenerationRecord(space: "default"), try reader.nextEventSequence(space: "default"))
            }
            #expect(newest?.event == next - 1)
        }
        try await home.run { engine async throws in
            #expect(try (engine.bits, engine.space.generation) == (expected.bits, generation))
        }
    }

    @Test func untilThenNothingTakesItsLevelsOver() async throws {
        try await home.run { engine async throws in
            try await engine.learn(Facts.long(60), id: "long")
            _ = try await engine.keep("first")
        }
        try Self.changeModel(of: home)
        try await home.run({ $0.relearns = true }) { engine async throws in
            let job = try await relearningJob(engine)
            func expectConflict(_ code: String, _ body: () async throws -> Void) async throws {
                do {
                    try await body()
                    Issue.record("not refused: \(code)")
                } catch EngineError.conflict(let found, _) {
                    #expect(found == code)
                }
            }
            try await expectConflict("relearning_is_final") { _ = try await engine.cancelJob(job.id) }
            try await expectConflict("relearning_pending") {
                _ = try await engine.forkSpace("default", as: SpaceCreation(id: "fork"))
            }
            try await expectConflict("relearning_pending") { _ = try await engine.keep("x") }
            #expect(try await engine.document("long").status == .unlearned)
            try await eventually { engine.health().notices.contains { $0.contains(job.id) } }
            // Sent again it is what is being learned already.
            let again = try await engine.accept(Facts.long(60), id: "long")
            #expect((again.isNew, again.job.id) == (false, job.id))
            // What comes meanwhile waits for it.
            let next = try await engine.accept(Facts.all[0], id: "next")
            #expect(try await engine.end(of: next.job).status == .learned)
            #expect(try await engine.job(job.id).status == .learned)
            #expect(try await engine.document("long").status == .learned)
            // The former model's snapshot holds no name.
            _ = try await engine.keep("first")
        }
    }

    @Test func aSpaceThatIsBeingLearnedAgainCanBeDeleted() async throws {
        try await home.run { engine async throws in
            _ = try await engine.createSpace(SpaceCreation(id: "b"))
            try await engine.learn(Facts.long(60), in: "b")
        }
        try Self.changeModel(of: home)
        try await home.run({ $0.relearns = true }) { engine async throws in
            try await eventually {
                try await engine.jobs(space: "b", status: .running, page: PageRequest()).items.count == 1
            }
            try await engine.deleteSpace("b")
            try await eventually { engine.health().notices.isEmpty }
            #expect(try await engine.learn(Facts.all[0]).status == .learned)
        }
    }

    /// What can't be learned again costs itself alone, and says so.
    @Test func aTextThatIsDamagedFails() async throws {
        try await home.run { try await ForgettingTests.run([0, 1], $0) }
        try home.withStore { try $0.damageText(of: "d0") }
        try Self.changeModel(of: home)
        try await home.run({ $0.relearns = true }) { engine async throws in
            #expect(try await engine.end(of: relearningJob(engine)).status == .learned)
            #expect(try await engine.document("d0").status == .failed)
            #expect(try await engine.document("d1").status == .learned)
            #expect(engine.health().notices.contains { $0.contains("event 1") })
        }
    }
}
