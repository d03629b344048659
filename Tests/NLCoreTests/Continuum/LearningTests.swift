import Foundation
import TestSupport
import Testing

@testable import NLCore

/// Learning a document moves the level it should and no other, reaches its target, and repeats to the last bit.
@Suite struct LearningTests {
    private func learn(
        _ text: LearningText, into levels: SpaceLevels, rehearsing journal: [LearningText] = [], passes: Int = 60,
        precision: ProductPrecision? = nil
    ) throws -> (SpaceLevels, Acquisition.Outcome, [Acquisition.Progress]) {
        var settings = Acquisition.Settings()
        settings.windowSize = 16
        settings.maximumPasses = passes
        settings.precision = precision
        var acquisition = Acquisition(
            text, into: levels, rehearsal: Rehearsal(journal: journal, anchors: [], seed: 3), settings: settings)
        var progress: [Acquisition.Progress] = []
        while true {
            switch try acquisition.step() {
            case .progress(let step): progress.append(step)
            case .finished(let outcome): return (acquisition.levels, outcome, progress)
            }
        }
    }

    private func newLevels() throws -> SpaceLevels {
        try SpaceLevels(TinyModel.configuration, base: TinyModel.parameters())
    }

    @Test func aShortTextIsLearnedToItsTarget() throws {
        let start = try newLevels()
        let (levels, outcome, progress) = try learn(TinyModel.text(seed: 1, length: 20), into: start)
        #expect(outcome.targetReached)
        #expect(outcome.loss <= 0.1)
        #expect(outcome.baseLoss > 2)
        #expect(try #require(levels["medium"]).counters.updates >= outcome.passes)
        #expect(levels["slow"]?.counters.updates == 0)
        #expect(levels["slow"]?.delta.norm == 0)
        #expect(start["medium"]?.delta.norm == 0)
        #expect(zip(progress, progress.dropFirst()).allSatisfy { $0.fraction <= $1.fraction && $0.tokens <= $1.tokens })
        for (name, tensor) in levels.effective.entries where !levels.tensors(of: .acquisition).contains(name) {
            #expect(tensor.elements == start.base[name]?.elements)
        }
    }

    @Test func aBudgetThatEndsFirstIsSaid() throws {
        let (_, outcome, _) = try learn(TinyModel.text(seed: 1, length: 40), into: newLevels(), passes: 2)
        #expect(!outcome.targetReached)
        #expect(outcome.passes == 2)
    }

    /// Learning from rounded factors reaches the target too; where nothing is said of it, settings are what they were.
    @Test func aTextIsLearnedInBFloat16() throws {
        let text = TinyModel.text(seed: 1, length: 20)
        let (exact, _, _) = try learn(text, into: newLevels())
        let (levels, outcome, _) = try learn(text, into: newLevels(), precision: .bf16)
        let (again, _, _) = try learn(text, into: newLevels(), precision: .bf16)
        #expect(outcome.targetReached)
        let (delta, other) = (try #require(levels["medium"]?.delta), try #require(exact["medium"]?.delta))
        for (name, tensor) in delta.entries {
            #expect(tensor.elements == again["medium"]?.delta[name]?.elements)
            #expect(tensor.elements != other[name]?.elements)
        }
        for settings in [Acquisition.Settings() as any Encodable, Consolidation.Settings()] {
            #expect(!String(decoding: try JSONEncoder().encode(settings), as: UTF8.self).contains("precision"))
        }
    }

    @Test func theSameLogGivesTheSameBits() throws {
        let texts = (1...3).map { TinyModel.text(seed: UInt64($0), length: 30) }
        func run() throws -> SpaceLevels {
            var levels = try newLevels()
            for (index, text) in texts.enumerated() {
                levels = try learn(text, into: levels, rehearsing: Array(texts[..<index]), passes: 5).0
            }
            return levels
        }
        let (first, second) = (try run(), try run())
        for (name, tensor) in first.effective.entries { #expect(tensor.elements == second.effective[name]?.elements) }
    }

    @Test func rehearsalKeepsAnOlderText() throws {
        let (old, new) = (TinyModel.text(seed: 1, length: 24), TinyModel.text(seed: 2, length: 24))
        let (knowing, _, _) = try learn(old, into: newLevels())
        func loss(_ levels: SpaceLevels) throws -> Double {
            var measurement = TextMeasurement([old], configuration: levels.configuration, windowSize: 16)
            try measurement.finish(parameters: levels.effective)
            return try #require(measurement.mean)
        }
        let without = try loss(learn(new, into: knowing).0)
        let with = try loss(learn(new, into: knowing, rehearsing: [old]).0)
        #expect(with < without)
    }

    @Test func targetsFollowTheLength() {
        let settings = Acquisition.Settings()
        #expect(settings.target(tokenCount: 12, baseLoss: 5) == 0.1)
        #expect(settings.target(tokenCount: 128, baseLoss: 5) == 0.1)
        #expect(abs(settings.target(tokenCount: 5000, baseLoss: 4) - 2.72) < 1e-12)
        let middle = settings.target(tokenCount: 564, baseLoss: 4)
        #expect(abs(middle - 1.41) < 1e-9)
    }

    @Test func measuringInWindowsEqualsOnePass() throws {
        let levels = try newLevels()
        let text = TinyModel.text(seed: 4, length: 50)
        func loss(_ window: Int) throws -> Double {
            var measurement = TextMeasurement([text], configuration: levels.configuration, windowSize: window)
            try measurement.finish(parameters: levels.base)
            return try #require(measurement.mean)
        }
        #expect(abs(try loss(8) - loss(256)) < 1e-5)
    }
}

/// Consolidation moves knowledge into the slow level, or leaves everything as it was.
@Suite struct ConsolidationTests {
    private let texts = (1...3).map { TinyModel.text(seed: UInt64($0), length: 24) }

    private func learned() throws -> SpaceLevels {
        var levels = try SpaceLevels(TinyModel.configuration, base: TinyModel.parameters())
        var settings = Acquisition.Settings()
        settings.windowSize = 16
        for (index, text) in texts.enumerated() {
            let rehearsal = Rehearsal(journal: Array(texts[..<index]), anchors: [], seed: 3)
            var acquisition = Acquisition(text, into: levels, rehearsal: rehearsal, settings: settings)
            while case .progress = try acquisition.step() {}
            levels = acquisition.levels
        }
        return levels
    }

    private func consolidate(
        _ levels: SpaceLevels, bound: Double
    ) -> (SpaceLevels, Consolidation.Outcome) {
        var settings = Consolidation.Settings()
        settings.windowSize = 16
        settings.maximumPasses = 200
        settings.anchorBound = bound
        var consolidation = Consolidation(
            levels, new: texts, old: [], gate: [TinyModel.text(seed: 77, length: 40)],
            rehearsal: Rehearsal(journal: [], anchors: [], seed: 1), seed: 5, settings: settings)
        while true {
            if case .finished(let outcome) = consolidation.step() { return (consolidation.levels, outcome) }
        }
    }

    @Test func knowledgeMovesToTheSlowLevel() throws {
        let before = try learned()
        let (after, outcome) = consolidate(before, bound: 10)
        #expect(outcome.isAdopted, "\(outcome.reason)")
        #expect(after["medium"]?.delta.norm == 0)
        #expect(try #require(after["slow"]).counters.updates > 0)
        #expect(try #require(outcome.after?.new) <= #require(outcome.before.new) * 1.05 + 0.02)
        #expect(outcome.documentLosses.count == texts.count)
    }

    @Test func aRejectedCandidateChangesNothingButTheNextStep() throws {
        let before = try learned()
        let (after, outcome) = consolidate(before, bound: -0.9)
        #expect(!outcome.isAdopted)
        #expect(outcome.reason.contains("general text got worse"))
        for (name, tensor) in after.effective.entries { #expect(tensor.elements == before.effective[name]?.elements) }
        #expect(after["slow"]?.learningRate == before["slow"].map { $0.learningRate / 2 })
        #expect(after["medium"]?.delta.norm == before["medium"]?.delta.norm)
    }
}
