import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// What is still known is measured in the background, within a budget, and changes nothing.
@Suite(.serialized, .timeLimit(.minutes(10))) struct RetentionTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    private func learnThree(_ engine: HopeEngine) async throws {
        for (index, fact) in Facts.all.prefix(3).enumerated() { try await engine.learn(fact, id: "d\(index)") }
    }

    private func report(_ engine: HopeEngine, _ page: PageRequest = PageRequest()) async throws -> RetentionReport {
        try await engine.retention(space: "default", page: page)
    }

    @Test func oldDocumentsAreMeasuredAgainByTheNewestGeneration() async throws {
        let bits = try await EngineHome().run { engine async throws in
            try await learnThree(engine)
            return try engine.bits
        }
        try await home.run({ $0.remeasureTokens = 1_000_000 }) { engine async throws in
            try await learnThree(engine)
            try await eventually { try await report(engine).summary.measuredNow == 3 }
            #expect(try engine.bits == bits, "measuring is no learning")
            let found = try await report(engine)
            #expect(found.generation == 3)
            let (model, levels) = (try engine.running().context.model, try engine.space.levels)
            for (record, fact) in zip(found.documents.items, Facts.all) {
                var measurement = TextMeasurement(
                    [model.learningText(fact)], configuration: model.configuration, windowSize: model.windowSize)
                try measurement.finish(parameters: levels.effective)
                #expect(record.losses.now == measurement.losses[0])
                #expect(record.generation == 3 && record.isCurrent)
            }
            let first = found.documents.items[0]
            #expect(first.losses.best == first.losses.learned)
            #expect(first.losses.now != first.losses.learned)
            #expect(found.documents.items[2].losses.now == found.documents.items[2].losses.learned)
            try expectConsistent(found)
            // The learner brings what metrics show up to date when it has nothing else to do.
            try await eventually {
                let metrics = await ServerMetrics().render(engine.statistics(), health: engine.health())
                return metrics.contains("nlserver_retention_measured_documents 3\n")
                    && metrics.contains("nlserver_retention_loss_nats{when=\"best\"}")
            }
        }
    }

    /// The summary is what its documents say, the document learned last left out where the papers leave it out.
    private func expectConsistent(_ report: RetentionReport) throws {
        let (all, summary) = (report.documents.items, report.summary)
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
        let earlier = all.dropLast()
        let close = { (a: Double?, b: Double) in abs(try #require(a) - b) < 1e-12 }
        #expect(try close(summary.averageAccuracy, mean(all.map { exp(-$0.losses.now) })))
        #expect(try close(summary.netGain, mean(all.map { exp(-$0.losses.now) - exp(-$0.losses.base) })))
        #expect(
            try close(summary.backwardTransfer, mean(earlier.map { exp(-$0.losses.now) - exp(-$0.losses.learned) })))
        #expect(try close(summary.forgetting, mean(earlier.map { exp(-$0.losses.best) - exp(-$0.losses.now) })))
        #expect(try close(summary.losses?.now, mean(all.map(\.losses.now))))
        #expect(summary.documents == all.count)
    }

    @Test func withoutABudgetAMeasurementSaysHowOldItIs() async throws {
        try await home.run { engine async throws in
            let nothing = try await report(engine)
            #expect(nothing.summary == RetentionSummary())
            try await learnThree(engine)
            try await Task.sleep(for: .milliseconds(200))
            let items = try await report(engine).documents.items
            #expect(items.map(\.generation) == [1, 2, 3])
            #expect(items.map(\.isCurrent) == [false, false, true])
            #expect(items.allSatisfy { $0.forgetting == 0 && $0.backwardTransfer == 0 })
            let page = try await report(engine, PageRequest(limit: 1, after: "d0"))
            #expect(page.documents.items.map(\.id) == ["d1"] && page.documents.hasMore)
            #expect(page.summary.documents == 3)
        }
        // The consolidation measures what it consolidates.
        try await home.run { engine async throws in
            try await engine.end(of: engine.consolidate(space: "default"))
            let items = try await report(engine).documents.items
            #expect(items.allSatisfy { $0.isCurrent && $0.generation == 4 })
            #expect(items[0].losses.best == items[0].losses.learned)
        }
    }

    /// A damaged text stops its own measurement, not that of the others.
    @Test func aDocumentThatCannotBeReadIsPassedOver() async throws {
        try await home.run { engine async throws in try await learnThree(engine) }
        try home.withStore { try $0.damageText(of: "d0") }
        try await home.run({ $0.remeasureTokens = 1_000_000 }) { engine async throws in
            try await eventually { try await report(engine).summary.measuredNow == 2 }
            #expect(try await report(engine).documents.items.map(\.isCurrent) == [false, true, true])
            #expect(try await engine.learn(Facts.all[3]).status == .learned)
        }
    }
}

/// The budget, as a function of time.
@Suite struct RemeasurementTests {
    @Test func tokensArePaidForInTime() {
        let start = ContinuousClock.now
        var budget = Remeasurement(tokensPerMinute: 600)
        func mayRead(after seconds: Double) -> Bool { budget.mayRead(start + .seconds(seconds)) }
        #expect(mayRead(after: 1))
        #expect(budget.nextMoment == nil)
        budget.spend(30, start + .seconds(1))
        #expect(!mayRead(after: 3))
        #expect(budget.nextMoment == start + .seconds(4))
        #expect(mayRead(after: 4))
        // What was not used is not saved up.
        budget.spend(10, start + .seconds(100))
        #expect(!mayRead(after: 100.5))
        #expect(mayRead(after: 101))
    }

    @Test func noneIsNever() {
        var budget = Remeasurement(tokensPerMinute: 0)
        let mayRead = budget.mayRead(.now + .seconds(100))
        #expect(!mayRead)
        #expect(budget.nextMoment == nil)
    }
}
