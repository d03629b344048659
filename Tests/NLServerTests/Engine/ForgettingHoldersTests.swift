import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// What holds a document beside its space forgets it too, or is named; and a log with a restore in it is done again
/// as it was.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ForgettingHoldersTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    private static func learn(_ facts: [Int], _ engine: HopeEngine, in space: String = "default") async throws {
        for fact in facts {
            #expect(try await engine.learn(Facts.all[fact], id: "d\(fact)", in: space).status == .learned)
        }
    }

    private static func keep(_ name: String, _ engine: HopeEngine) async throws -> SnapshotRecord {
        try await engine.createSnapshot(SnapshotCreation(space: "default", name: name))
    }

    private static func restore(_ snapshot: SnapshotRecord, _ engine: HopeEngine) async throws {
        let job = try await engine.end(of: engine.restoreSnapshot(snapshot.id, space: snapshot.space))
        #expect(job.status == .restored)
    }

    /// Forgets, and waits for every rebuild that comes of it.
    private func forget(
        _ id: String, _ engine: HopeEngine, keeping: Set<DocumentHolder> = []
    ) async throws -> ForgetReceipt {
        let receipt = try await engine.forgetDocument(id, space: "default", keeping: keeping)
        for job in receipt.forkJobs.map(\.jobID) + [receipt.jobID] {
            #expect(try await engine.end(of: engine.job(try #require(job))).status == .forgotten)
        }
        return try #require(try await engine.forgetReceipt(id, space: "default"))
    }

    /// The bits after learning some facts.
    private static func life(_ facts: [Int]) async throws -> String {
        try await EngineHome().run { engine async throws in
            try await learn(facts, engine)
            return try engine.bits
        }
    }

    // MARK: - Snapshots and forks

    @Test func aSnapshotAndAForkForgetItToo() async throws {
        let bits = try await Self.life([0])
        let forkBits = try await Self.life([0, 2])
        try await home.run { engine async throws in
            try await Self.learn([0], engine)
            let before = try await Self.keep("before", engine)
            try await Self.learn([1], engine)
            let after = try await Self.keep("after", engine)
            _ = try await engine.forkSpace("default", as: SpaceCreation(id: "fork"))
            _ = try await engine.forkSpace("fork", as: SpaceCreation(id: "fork-of-the-fork"))
            try await Self.learn([2], engine, in: "fork")
            let receipt = try await forget("d1", engine)
            #expect(receipt.exact == true, "\(receipt.reason ?? "")")
            #expect(receipt.removed == .init(snapshots: [after.id], forks: ["fork", "fork-of-the-fork"]))
            #expect(receipt.kept == .init())
            #expect(receipt.forkJobs.map(\.space) == ["fork", "fork-of-the-fork"])
            let left = try await engine.snapshots(space: "default", page: PageRequest()).items
            #expect(left.map(\.id) == [before.id])
            #expect(try engine.bits == bits)
            #expect(try engine.published("fork").levels.bits == forkBits)
            #expect(try engine.published("fork-of-the-fork").levels.bits == bits)
            for fork in receipt.forkJobs.map(\.space) {
                await #expect(throws: EngineError.notFound(.document, id: "d1")) {
                    try await engine.document("d1", space: fork)
                }
                let own = try #require(try await engine.forgetReceipt("d1", space: fork))
                #expect(own.state == .forgotten && own.exact == true)
            }
            #expect(await engine.statistics().documentsStored == 4)
            // No generation of any space has what came after the first event but the rebuilt ones.
            let store = try engine.running().context.store
            #expect(try store.read { try $0.generations(space: "default").map(\.number) } == [3, 1])
            // The space is whole: it can be forked and restored again.
            try await Self.restore(before, engine)
            #expect(try engine.bits == bits)
        }
    }

    @Test func whatIsKeptIsNamedAndStays() async throws {
        let bits = try await Self.life([0])
        let (held, snapshot) = try await home.run { engine async throws in
            try await Self.learn([0, 1], engine)
            let held = try engine.bits
            let snapshot = try await Self.keep("kept", engine)
            _ = try await engine.forkSpace("default", as: SpaceCreation(id: "fork"))
            let receipt = try await forget("d1", engine, keeping: [.snapshots, .forks])
            #expect(receipt.exact == true, "\(receipt.reason ?? "")")
            #expect(receipt.kept == .init(snapshots: [snapshot.id], forks: ["fork"]))
            #expect(receipt.removed == .init() && receipt.forkJobs.isEmpty)
            #expect(try await engine.document("d1", space: "fork").status == .learned)
            #expect(try engine.published("fork").levels.bits == held)
            #expect(try engine.bits == bits)
            let kept = try await engine.snapshot(snapshot.id, space: "default")
            #expect((kept.origin, kept.event) == (.file, nil))
            return (held, kept)
        }
        // It is no generation that recovery would take for the space's own.
        try home.withStore { try $0.damageNewestGeneration() }
        try await home.run { engine async throws in
            try await eventually { try engine.bits == bits }
            try await Self.restore(snapshot, engine)
            #expect(try engine.bits == held)
            // What such a snapshot has learned is beyond a rebuild, and the receipt says so.
            try await Self.learn([2], engine)
            let receipt = try await forget("d2", engine)
            #expect(receipt.exact == false)
            #expect(receipt.reason?.contains("generation \(snapshot.generation)") == true)
            #expect(receipt.kept.snapshots == [snapshot.id])
            #expect(try engine.bits == held)
        }
    }

    @Test func nothingTakesTheLevelsOverBeforeTheyAreRebuilt() async throws {
        let bits = try await Self.life([0])
        try await home.run { engine async throws in
            try await Self.learn([0], engine)
            let snapshot = try await Self.keep("before", engine)
            try await Self.learn([1], engine)
            let busy = try await engine.accept(Facts.long())
            try await eventually { try await engine.job(busy.job.id).status == .running }
            let receipt = try await engine.forgetDocument("d1", space: "default", keeping: [])
            let job = try #require(receipt.jobID)
            func refuses(_ action: String, _ body: () async throws -> Void) async {
                let refusal = EngineError.forgettingPends(space: "default", job: job, action: action)
                await #expect(throws: refusal) { try await body() }
            }
            await refuses("fork it") { _ = try await engine.forkSpace("default", as: SpaceCreation(id: "fork")) }
            await refuses("make a snapshot") { _ = try await Self.keep("now", engine) }
            await refuses("restore a snapshot") {
                _ = try await engine.restoreSnapshot(snapshot.id, space: "default")
            }
            #expect(try await engine.spaces(page: PageRequest()).items.map(\.id) == ["default"])
            _ = try await engine.cancelJob(busy.job.id)
            try await engine.end(of: engine.job(job))
            _ = try await engine.forkSpace("default", as: SpaceCreation(id: "fork"))
            #expect(try engine.published("fork").levels.bits == bits)
        }
    }

    /// Leaves the rebuild without a document as one that failed leaves it, while something else keeps the learner busy.
    private func failToForget(_ id: String, _ engine: HopeEngine) async throws -> String {
        let busy = try await engine.accept(Facts.long(), id: "busy")
        try await eventually { try await engine.job(busy.job.id).status == .running }
        let job = try #require(try await engine.forgetDocument(id, space: "default", keeping: []).jobID)
        try engine.running().context.store.transaction { transaction in
            #expect(try transaction.startNextJob()?.id == job)
            try transaction.updateForgetting(job: job, state: .failed)
            try transaction.finishJob(job, as: .failed)
        }
        _ = try await engine.cancelJob(busy.job.id)
        return job
    }

    @Test func nothingTakesTheLevelsOverAfterARebuildThatFailed() async throws {
        let bits = try await Self.life([0])
        try await home.run { engine async throws in
            try await Self.learn([0], engine)
            let snapshot = try await Self.keep("before", engine)
            try await Self.learn([1], engine)
            let job = try await failToForget("d1", engine)
            func refuses(_ action: String, _ body: () async throws -> Void) async {
                let refusal = EngineError.forgettingFailed(
                    space: "default", document: "d1", job: job, action: action)
                await #expect(throws: refusal) { try await body() }
            }
            await refuses("fork it") { _ = try await engine.forkSpace("default", as: SpaceCreation(id: "fork")) }
            await refuses("make a snapshot") { _ = try await Self.keep("now", engine) }
            await refuses("restore a snapshot") {
                _ = try await engine.restoreSnapshot(snapshot.id, space: "default")
            }
            // Deleted once more, it is forgotten after all.
            #expect(try await forget("d1", engine).exact == true)
            _ = try await engine.forkSpace("default", as: SpaceCreation(id: "fork"))
            #expect(try engine.published("fork").levels.bits == bits)
        }
    }

    @Test func aRebuildAlsoLeavesOutWhatAnEarlierOneFailedTo() async throws {
        let bits = try await Self.life([0])
        try await home.run { engine async throws in
            try await Self.learn([0, 1, 2], engine)
            _ = try await failToForget("d1", engine)
            let receipt = try await forget("d2", engine)
            #expect(receipt.exact == true, "\(receipt.reason ?? "")")
            #expect(try engine.bits == bits)
            let earlier = try #require(try await engine.forgetReceipt("d1", space: "default"))
            #expect(earlier.state == .forgotten && earlier.exact == true)
            #expect(earlier.jobID == receipt.jobID && earlier.generation == receipt.generation)
            _ = try await engine.forkSpace("default", as: SpaceCreation(id: "fork"))
        }
    }

    // MARK: - Restores

    /// Learns two facts, goes back to them from a third, and learns a fourth.
    private static func story(without left: Int?, _ engine: HopeEngine) async throws {
        func facts(_ all: [Int]) -> [Int] { all.filter { $0 != left } }
        try await learn(facts([0, 1]), engine)
        let snapshot = try await keep("kept", engine)
        try await learn(facts([2]), engine)
        try await restore(snapshot, engine)
        try await learn(facts([3]), engine)
        try await engine.end(of: engine.consolidate(space: "default"))
    }

    /// From the base, from before the snapshot, from what the restore took back, and from after it.
    @Test(arguments: 0...3)
    func aLogWithARestoreIsDoneAgainAsItWas(forgotten: Int) async throws {
        let bits = try await EngineHome().run { engine async throws in
            try await Self.story(without: forgotten, engine)
            return try engine.bits
        }
        try await home.run { engine async throws in
            try await Self.story(without: nil, engine)
            let receipt = try await forget("d\(forgotten)", engine)
            #expect(receipt.exact == true, "\(receipt.reason ?? "")")
            #expect(try engine.bits == bits)
            let statuses = try await engine.documents(space: "default", page: PageRequest()).items.map(\.status)
            #expect(statuses.count { $0 == .unlearned } == (forgotten == 2 ? 0 : 1))
        }
        try home.withStore { store in
            for _ in 0..<8 { try store.damageNewestGeneration() }
        }
        try await home.run { engine async throws in
            try await eventually { try engine.bits == bits }
            #expect(!engine.health().notices.contains { $0.contains("cannot be replayed") })
        }
    }
}
