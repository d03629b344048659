import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// A document goes in, and the levels that should know it do; nothing else moves.
@Suite(.serialized, .timeLimit(.minutes(10))) struct IngestionTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    @Test func aDocumentIsLearnedAndPublished() async throws {
        try await home.run { engine async throws in
            let base = try engine.space
            #expect(base.generation == 0)
            let accepted = try await engine.accept(Facts.all[0], id: "valmere")
            #expect(accepted.isNew)
            #expect(accepted.document.status == .queued)
            #expect(accepted.document.jobID == accepted.job.id)
            let job = try await engine.end(of: accepted.job)
            #expect(job.status == .learned)
            #expect(job.progress == 1)
            #expect(job.generation == 1)
            #expect(try #require(job.learning).pass >= 1)
            let document = try await engine.document("valmere")
            #expect(document.status == .learned)
            #expect(document.generations == [1])
            #expect(document.learned != nil)
            let losses = document.losses
            #expect(try #require(losses.learned) < 0.7 * #require(losses.base))
            #expect(losses.now == losses.learned)
            let space = try engine.space
            #expect(space.generation == 1)
            // A reader keeps what it started with.
            #expect(base.generation == 0 && base.levels["medium"]?.counters.updates == 0)
        }
    }

    @Test func theMediumLevelMovesAndNoOther() async throws {
        try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            let report = try await engine.levels(space: "default", session: nil)
            #expect(report.generation == 1)
            #expect(report.levels.map(\.name) == ["working", "fast", "medium", "slow", "base"])
            for level in report.levels {
                let moves = level.name == "medium"
                #expect((level.updates > 0) == moves, "\(level.name)")
                #expect((level.deltaNorm > 0) == moves, "\(level.name)")
                #expect((level.relativeDrift > 0) == moves, "\(level.name)")
                #expect((level.lastUpdate != nil) == moves, "\(level.name)")
                #expect((level.tokensRead > 0) == moves, "\(level.name)")
                #expect((level.meanSurprise != nil) == moves, "\(level.name)")
            }
            let medium = try #require(report.levels.first { $0.name == "medium" })
            #expect(medium.chunkSize == 32)
            #expect(medium.optimizer == "adamw")
            #expect(medium.learningRate == 0.02)
            #expect(medium.adapts == ["cms", "initial_states"])
            // Δ alone: every document begins with fresh moments.
            #expect(medium.byteCount == 4 * medium.parameterCount)
            let base = try engine.space.levels.base
            let adapted = try engine.space.levels.tensors(of: .acquisition)
            for (name, tensor) in try engine.space.levels.effective.entries {
                #expect((tensor.elements != base[name]?.elements) == adapted.contains(name), "\(name)")
            }
        }
    }

    @Test func historyTellsEachGeneration() async throws {
        try await home.run { engine async throws in
            let first = try await engine.learn(Facts.all[0])
            let second = try await engine.learn(Facts.all[1])
            let page = try await engine.history(level: "medium", space: "default", page: PageRequest())
            #expect(page.items.map(\.generation) == [2, 1])
            #expect(page.items.map(\.jobID) == [second.id, first.id])
            #expect(page.items[0].updates > page.items[1].updates)
            #expect(page.items[1].deltaNorm > 0 && page.items[1].meanSurprise != nil)
            let older = try await engine.history(
                level: "medium", space: "default", page: PageRequest(limit: 1, after: "2"))
            #expect(older.items.map(\.generation) == [1] && !older.hasMore)
            let slow = try await engine.history(level: "slow", space: "default", page: PageRequest(limit: 1))
            #expect(slow.items.map(\.updates) == [0] && slow.hasMore)
            await #expect(throws: EngineError.notFound(.level, id: "lasting")) {
                try await engine.history(level: "lasting", space: "default", page: PageRequest())
            }
        }
    }

    /// A rehearsal draws from what was learned before, so an earlier document is better kept than without.
    @Test func olderDocumentsAreRehearsed() async throws {
        func lossOfFirst(rehearsalShare: Double) async throws -> Double {
            let home = try EngineHome()
            return try await home.run({
                $0.rehearsalShare = rehearsalShare
                $0.learnMaxPasses = 8
            }) { engine async throws in
                for fact in Facts.all.prefix(3) { try await engine.learn(fact) }
                let space = try engine.space
                let model = try engine.running().context.model
                var measurement = TextMeasurement(
                    [model.learningText(Facts.all[0])], configuration: model.configuration, windowSize: 256)
                try measurement.finish(parameters: space.levels.effective)
                return try #require(measurement.mean)
            }
        }
        #expect(try await lossOfFirst(rehearsalShare: 0.5) < lossOfFirst(rehearsalShare: 0))
    }

    @Test func aTextThatIsKnownAlreadyCostsNoPass() async throws {
        try await home.run({ $0.learnTargetLoss = 100 }) { engine async throws in
            let job = try await engine.learn(Facts.all[0])
            #expect(job.status == .learned)
            #expect(job.targetReached == true)
            #expect(try engine.space.generation == 1)
            #expect(try engine.space.levels["medium"]?.counters.updates == 0)
        }
    }

    @Test func aBudgetThatEndsFirstIsSaid() async throws {
        try await home.run({ $0.learnMaxPasses = 1 }) { engine async throws in
            let job = try await engine.learn(Facts.all[0])
            #expect(job.status == .learned)
            #expect(job.targetReached == false)
        }
    }

    @Test func figuresFollow() async throws {
        try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            let statistics = await engine.statistics()
            #expect(statistics.generation == 1)
            #expect(statistics.documentsLearnedTotal == 1)
            #expect(statistics.documentsStored == 1)
            #expect(statistics.learnedTokensTotal > 20)
            #expect(statistics.learningJobsQueued == 0)
            #expect(statistics.databaseBytes > 10_000)
            #expect(statistics.levels.count == 5)
            #expect(engine.health().isReady)
            #expect(try await engine.models().first?.levelNames == ["working", "fast", "medium", "slow"])
        }
    }

    @Test func nothingIsThereBeforeStartAndAfterShutdown() async throws {
        let engine = home.engine()
        #expect(engine.health().phase == .starting)
        await #expect(throws: EngineError.self) {
            try await engine.jobs(space: "default", status: nil, page: PageRequest())
        }
        try await engine.start()
        await engine.shutdown()
        #expect(engine.health().phase == .stopped)
        await #expect(throws: EngineError.self) { try await engine.accept(Facts.all[0]) }
    }

    @Test func aReadOnlyEngineWritesNothing() async throws {
        _ = try await home.run { try await $0.learn(Facts.all[0], id: "a") }
        try await home.run({ $0.isReadOnly = true }) { engine async throws in
            #expect(try engine.space.generation == 1)
            #expect(try await engine.document("a").status == .learned)
            await #expect(throws: EngineError.readOnly(action: "accept documents")) { try await engine.accept("new") }
            await #expect(throws: EngineError.readOnly(action: "consolidate")) {
                try await engine.consolidate(space: "default")
            }
            await #expect(throws: EngineError.readOnly(action: "cancel a job")) { try await engine.cancelJob("x") }
            let jobs = try await engine.jobs(space: "default", status: nil, page: PageRequest())
            #expect(jobs.items.count == 1)
        }
    }

    @Test func aDatabaseOfAnotherModelIsRefused() async throws {
        _ = try await home.run { try await $0.learn(Facts.all[0]) }
        try TestModel.write(to: home.model, parameters: TestModel.parameters(seed: 9))
        let engine = home.engine()
        do {
            try await engine.start()
            Issue.record("started")
        } catch EngineError.databaseOfAnotherModel(let path, let expected, let found) {
            #expect(path == home.database)
            #expect(expected != found)
        }
        #expect(engine.health().phase == .failed)
        await engine.shutdown()
        // The refusal left the database to its own model.
        try TestModel.write(to: home.model)
        let generation = try await home.run { try $0.space.generation }
        #expect(generation == 1)
    }
}
