import Foundation
import NLCore
import Testing

@testable import NLServer

/// Levels by other optimizers than AdamW: open chunks and momenta are on disk with them, and the daemon names the rule.
@Suite(.serialized, .timeLimit(.minutes(10))) struct LevelOptimizerPersistenceTests {
    @Test(arguments: ["muon", "m3", "dgd"]) func everythingIsKeptBitForBit(optimizer: String) throws {
        let home = try EngineHome()
        var configuration = TestModel.configuration
        (configuration.levels[1].optimizer, configuration.levels[1].adapts) = (optimizer, ["cms"])
        configuration.levels[1].chunkSize = 24
        try TestModel.write(to: home.model, configuration: configuration)
        let model = try LoadedModel(directory: home.model.path)
        var settings = Acquisition.Settings()
        (settings.windowSize, settings.shortTarget) = (16, 0.001)
        let text = model.learningText(Facts.all.joined(separator: " "))
        var work = Acquisition(
            text, into: try SpaceLevels(model.configuration, base: model.base),
            rehearsal: Rehearsal(journal: [], anchors: [], seed: 1), settings: settings)
        var sawOpenChunk = false
        for _ in 0..<60 {
            _ = try work.step()
            let level = try #require(work.levels["medium"])
            sawOpenChunk = sawOpenChunk || level.counters.pendingTokens > 0
            let again = try LevelCodec.level(
                level.definition, blobs: LevelCodec.blobs(of: level), counters: level.counters)
            let sets = [
                (level.delta, again.delta), (level.gradientSum, again.gradientSum),
                (level.firstMoment, again.firstMoment), (level.secondMoment, again.secondMoment),
                (level.slowMoment, again.slowMoment), (level.recentGradients, again.recentGradients),
                (level.inputSum, again.inputSum),
            ]
            for (one, two) in sets {
                #expect(one.names == two.names)
                for (name, tensor) in one.entries { #expect(tensor.elements == two[name]?.elements, "\(name)") }
            }
        }
        let level = try #require(work.levels["medium"])
        #expect(sawOpenChunk && level.delta.norm > 0)
        #expect(level.slowMoment.names.isEmpty == (optimizer != "m3"))
    }

    /// A session's fast level and a space's medium one, across a restart.
    @Test func aDaemonRunsWithThem() async throws {
        let home = try EngineHome()
        var configuration = TestModel.configuration
        configuration.levels[0].optimizer = "dgd"
        (configuration.levels[1].optimizer, configuration.levels[1].momentum) = ("muon", 0.8)
        (configuration.levels[2].optimizer, configuration.levels[2].adapts) = ("dgd", ["cms"])
        try TestModel.write(to: home.model, configuration: configuration)
        let bits = try await home.run { engine async throws in
            #expect(try await engine.learn(Facts.all[0]).status == .learned)
            try await engine.makeSession("s")
            let levels = try await engine.levels(space: "default", session: "s").levels
            #expect(levels.first { $0.name == "medium" }?.optimizer == "muon")
            #expect(levels.first { $0.name == "medium" }?.momentum == 0.8)
            #expect(levels.first { $0.name == "fast" }?.optimizer == "dgd")
            #expect(levels.first { $0.name == "fast" }?.momentum == nil)
            try await engine.answer(.test(.tokens(randomTokens(40, seed: 45)), session: "s", maxTokens: 0))
            #expect(try await engine.fastLevel(of: "s").deltaNorm > 0)
            _ = try await engine.end(of: engine.consolidate(space: "default"))
            return try engine.bits
        }
        let reread = try await home.run { try $0.bits }
        #expect(reread == bits)
    }
}
