import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// What was learned moves to the slow level, if the gate lets it; every attempt is on record.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ConsolidationTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    @Test func anAdoptedConsolidationMovesTheSlowLevel() async throws {
        try await home.run { engine async throws in
            for fact in Facts.all.prefix(2) { try await engine.learn(fact) }
            let job = try await engine.end(of: engine.consolidate(space: "default"))
            #expect(job.status == .adopted)
            #expect(job.kind == .consolidate)
            #expect(job.generation == 3)
            let record = try await engine.consolidation(try #require(job.consolidationID))
            #expect(record.verdict == .adopted)
            #expect(record.trigger == .manual)
            #expect(record.documentCount == 2)
            #expect((record.generationBefore, record.generationAfter) == (2, 3))
            #expect(record.anchorLossBefore != nil && record.anchorLossAfter != nil)
            #expect(try #require(record.documentLossAfter) <= #require(record.documentLossBefore) * 1.05 + 0.02)
            #expect(record.tokens > 0)
            let levels = try engine.space.levels
            #expect(levels["medium"]?.delta.norm == 0)
            #expect(try #require(levels["slow"]).counters.updates > 0)
            #expect(try #require(levels["slow"]).delta.norm > 0)
            for document in try await engine.documents(space: "default", page: PageRequest()).items {
                #expect(document.generations.last == 3)
                #expect(document.losses.now != document.losses.learned)
            }
            let list = try await engine.consolidations(space: "default", page: PageRequest())
            #expect(list.items.map(\.id) == [record.id])
            #expect(await engine.statistics().consolidationsAdoptedTotal == 1)
        }
    }

    @Test func aRejectedConsolidationChangesOnlyTheNextStep() async throws {
        try await home.run({ $0.anchorBound = -0.9 }) { engine async throws in
            try await engine.learn(Facts.all[0])
            let before = try engine.space
            let job = try await engine.end(of: engine.consolidate(space: "default"))
            #expect(job.status == .rejected)
            #expect(job.generation == nil)
            let record = try await engine.consolidation(job.id)
            #expect(record.verdict == .rejected)
            #expect(try #require(record.reason).contains("general text got worse"))
            #expect(record.generationAfter == nil)
            #expect(record.anchorBound == -0.9)
            let after = try engine.space
            for (name, tensor) in after.levels.effective.entries {
                #expect(tensor.elements == before.levels.effective[name]?.elements, "\(name)")
            }
            #expect(after.levels["slow"]?.learningRate == before.levels["slow"].map { $0.learningRate / 2 })
            #expect(await engine.statistics().consolidationsRejectedTotal == 1)
            #expect(try await engine.document(before.name == "default" ? documentID(engine) : "").generations == [1])
        }
        // The smaller step is remembered.
        let rate = try await home.run { try $0.space.levels["slow"]?.learningRate }
        #expect(rate == 0.01)
    }

    private func documentID(_ engine: HopeEngine) async throws -> String {
        try #require(try await engine.documents(space: "default", page: PageRequest()).items.first).id
    }

    /// A bold learning rate makes losses that are no numbers, or worse ones: either way nothing of it stays.
    @Test func numbersThatAreNotFiniteAreRejected() async throws {
        var c = TestModel.configuration
        c.levels[2].learningRate = 1e30
        try TestModel.write(to: home.model, configuration: c)
        try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            let before = try engine.space.levels
            let job = try await engine.end(of: engine.consolidate(space: "default"))
            #expect(job.status == .rejected)
            let record = try await engine.consolidation(job.id)
            #expect(try #require(record.reason).contains("not finite"))
            for (name, tensor) in try engine.space.levels.effective.entries {
                #expect(tensor.elements == before.effective[name]?.elements, "\(name)")
            }
        }
    }

    @Test func numbersThatAreNotFiniteFailALearningJob() async throws {
        var c = TestModel.configuration
        c.levels[1].learningRate = 1e38
        try TestModel.write(to: home.model, configuration: c)
        try await home.run { engine async throws in
            let before = try engine.bits
            let job = try await engine.learn(Facts.all[0], id: "a")
            #expect(job.status == .failed)
            #expect(try #require(job.failure).code.hasPrefix("non_finite"))
            #expect(try await engine.document("a").status == .failed)
            #expect(try engine.bits == before)
            #expect(try engine.space.generation == 0)
            #expect(await engine.statistics().documentsFailedTotal == 1)
        }
    }

    @Test func oneConsolidationWaitsAtMost() async throws {
        try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            let busy = try await engine.accept(Facts.long())
            try await eventually { try await engine.job(busy.job.id).status == .running }
            let first = try await engine.consolidate(space: "default")
            let second = try await engine.consolidate(space: "default")
            #expect(first.id == second.id)
            let report = try await engine.levels(space: "default", session: nil)
            #expect(report.levels.first { $0.name == "slow" }?.nextDue == "at consolidation: one is queued")
            _ = try await engine.cancelJob(first.id)
            #expect(try await engine.consolidate(space: "default").id != first.id)
            _ = try await engine.cancelJob(busy.job.id)
        }
    }

    @Test func anIdleDaemonConsolidatesByItself() async throws {
        try await home.run({ $0.consolidateIdle = .milliseconds(100) }) { engine async throws in
            try await engine.learn(Facts.all[0])
            try await eventually {
                try await engine.consolidations(space: "default", page: PageRequest()).items.first?.verdict != nil
            }
            let record = try #require(
                try await engine.consolidations(space: "default", page: PageRequest()).items.first)
            #expect(record.trigger == .idle)
            // Nothing is left to consolidate.
            try await eventually {
                let report = try await engine.levels(space: "default", session: nil)
                return report.levels.first { $0.name == "slow" }?.nextDue == "at consolidation"
            }
        }
    }
}
