import Foundation
import TestSupport
import Testing

@testable import NLCore

/// Hope-Attention as NL §8.3 has it: softmax attention, and behind it a chain of links, one of each level.
@Suite struct AttentionChainTests {
    private static func configuration() -> HopeConfiguration {
        var c = AttentionCases.configuration()
        (c.intermediateWidth, c.layerLevels, c.chunkSize) = (nil, nil, 8)
        for (index, multiple) in [1, 2, 3].enumerated() { c.levels[index].hiddenMultiple = multiple }
        return c
    }

    @Test func streamsAreTheTapeHoweverTheyAreCut() throws {
        let configuration = Self.configuration()
        try configuration.validate()
        let parameters = AttentionCases.parameters(configuration)
        #expect(parameters["blocks.3.levels.2.up"]?.shape == [72, 24] && parameters["blocks.0.mlp.up"] == nil)
        let weights = try HopeWeights(configuration, parameters)
        let tokens = StreamingCases.tokens(41, of: configuration.vocabularySize, seed: 9)
        let whole = try StreamingCases.read(tokens, [tokens.count], weights)
        let expected = AttentionCases.onTape(configuration, parameters, tokens)
        expectClose(whole.logits.map(Double.init), expected.map(Double.init), .float, "chain")
        for split in StreamingCases.splits(of: tokens.count, random: 4, seed: 1) {
            expectSame(try StreamingCases.read(tokens, split, weights).logits, whole.logits, "split \(split)")
        }
    }

    @Test func eachLevelAdaptsItsLinkOfEveryBlock() throws {
        let configuration = Self.configuration()
        let levels = try LevelDefinition.levels(of: configuration)
        for (index, level) in levels.enumerated() {
            let expected = (0..<4).flatMap { ["blocks.\($0).levels.\(index).up", "blocks.\($0).levels.\(index).down"] }
            #expect(level.tensors.map(\.name) == expected)
        }
        let again = try JSONDecoder().decode(HopeConfiguration.self, from: JSONEncoder().encode(configuration))
        #expect(again == configuration)
    }

    @Test func halfAConfigurationIsRefusedByKey() {
        var c = Self.configuration()
        c.layerLevels = ["base", "slow", "medium", "fast"]
        #expect(#expect(throws: ConfigurationError.self) { try c.validate() }?.key == "cms_layers")
        c = Self.configuration()
        c.levels[1].hiddenMultiple = 0
        #expect(#expect(throws: ConfigurationError.self) { try c.validate() }?.key == "cms_levels")
        c.levels = []
        #expect(#expect(throws: ConfigurationError.self) { try c.validate() }?.key == "intermediate_size")
    }

    /// From random parameters, with either kind of MLP: what the comparison of architectures trains.
    @Test(arguments: [true, false]) func bothKindsTrainFromScratch(hasMLPs: Bool) throws {
        var configuration = Self.configuration()
        if hasMLPs {
            (configuration.levels, configuration.intermediateWidth) = ([], 40)
            configuration.layerLevels = [String](repeating: "base", count: 4)
        }
        try configuration.validate()
        let parameters = ParameterSet<Float>.initial(configuration, seed: 3)
        let tokens = StreamingCases.tokens(4 * 17, of: configuration.vocabularySize, seed: 2)
        let step = PretrainingStep(configuration, microBatch: 2)
        var optimizer = AdamW<Float>(AdamW.Settings(), for: parameters)
        let before = step(parameters, tokens: tokens, batch: 4).loss
        for _ in 0..<60 {
            let outcome = step(parameters, tokens: tokens, batch: 4)
            let clipping = try GradientClipping.factor(for: outcome.gradients, maximumNorm: 1)
            optimizer.step(
                parameters: parameters, gradients: outcome.gradients, learningRate: 1e-2, gradientScale: clipping.factor
            )
        }
        let after = step(parameters, tokens: tokens, batch: 4).loss
        #expect(before > 3.5 && before < 6 && after < 0.5, "from \(before) to \(after)")
    }
}
