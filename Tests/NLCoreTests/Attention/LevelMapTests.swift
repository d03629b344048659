import TestSupport
import Testing

@testable import NLCore

/// Ad-hoc level stacking (NL §7.3): which MLP belongs to which level, and that no learning rate is no change.
@Suite struct LevelMapTests {
    @Test(arguments: [
        (3, ["slow", "medium", "fast"]),
        (4, ["base", "slow", "medium", "fast"]),
        (6, ["base", "base", "base", "slow", "medium", "fast"]),
        (12, [String](repeating: "base", count: 6) + ["slow", "slow", "medium", "medium", "fast", "fast"]),
    ])
    func theFirstHalfIsBase(layers: Int, expected: [String]) {
        let map = HopeConfiguration.defaultLayerLevels(layers: layers, levels: ["fast", "medium", "slow"])
        #expect(map == expected)
    }

    @Test func eachLevelAdaptsItsLayersAlone() throws {
        let levels = try LevelDefinition.levels(of: AttentionCases.configuration())
        let layers = levels.map { Set($0.tensors.map { $0.name.split(separator: ".")[1] }) }
        #expect(layers == [["3"], ["2"], ["1"]])
        #expect(levels.map(\.parameterCount) == [3 * 24 * 40, 3 * 24 * 40, 3 * 24 * 40])
    }

    @Test func mapsThatDoNotFitAreRefusedByKey() {
        var c = AttentionCases.configuration()
        c.layerLevels = ["base", "slow", "medium"]
        #expect(throws: ConfigurationError.self) { try c.validate() }
        c.layerLevels = ["base", "slow", "medium", "quick"]
        #expect(throws: ConfigurationError.self) { try c.validate() }
        c.layerLevels = ["base", "slow", "medium", "medium"]
        let error = #expect(throws: ConfigurationError.self) { try c.validate() }
        #expect(error?.key == "cms_layers")
    }

    /// η → 0: a model that went through documents with rates of 0 is the pretrained model, to the bit.
    @Test(arguments: [0.0, 0.05])
    func withoutARateNothingMoves(rate: Double) throws {
        var configuration = AttentionCases.configuration()
        for index in configuration.levels.indices { configuration.levels[index].learningRate = rate }
        let base = AttentionCases.parameters(configuration)
        var levels = try SpaceLevels(configuration, base: base)
        let text = LearningText(
            StreamingCases.tokens(40, of: configuration.vocabularySize, seed: 3), configuration: configuration)
        for role in [LevelDefinition.Role.acquisition, .consolidation] {
            for _ in 0..<2 {
                _ = try levels.learn(
                    role, levels.tensors(of: role), by: LearningWindow(configuration), text.inputs,
                    targets: text.targets, after: [Int32](), states: nil)
            }
        }
        #expect(levels.levels.contains { $0.counters.updates > 0 })
        let tokens = StreamingCases.tokens(30, of: configuration.vocabularySize, seed: 5)
        let pretrained = try StreamingCases.read(tokens, [30], HopeWeights(configuration, base)).logits
        let taught = try StreamingCases.read(tokens, [30], HopeWeights(configuration, levels.effective)).logits
        #expect((pretrained.map(\.bitPattern) == taught.map(\.bitPattern)) == (rate == 0))
    }

    @Test func theConfigurationSurvivesItsFile() throws {
        var c = AttentionCases.configuration(window: 12)
        c.projectionChunkSize = 16
        c.rotaryScaling = RotaryScaling(.linear, factor: 2)
        c.furtherEndTokenIDs = [5, 7]
        try c.validate()
        let back = try JSONCoding.roundTrip(c)
        #expect(back == c)
    }
}
