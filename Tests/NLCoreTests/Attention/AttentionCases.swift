import NLCore

@testable import NLCore

/// Small Hope-Attention models for tests.
enum AttentionCases {
    /// V 60, D 24, four layers, four heads on two, C_p 8; a cache of `context` positions.
    static func configuration(context: Int = 64, window: Int? = nil) -> HopeConfiguration {
        var c = HopeConfiguration(
            vocabularySize: 60, width: 24, layers: 4, heads: 4,
            levels: [
                .init(name: "fast", chunkSize: 8, learningRate: 0.02),
                .init(name: "medium", chunkSize: 16, learningRate: 0.02),
                .init(name: "slow", chunkSize: 64, learningRate: 0.02),
            ])
        c.mixer = "attention"
        c.projectionChunkSize = 8
        c.keyValueHeads = 2
        c.intermediateWidth = 40
        c.contextLength = context
        c.slidingWindow = window
        c.normEpsilon = 1e-5
        c.tiesEmbeddings = false
        c.attentionBias = .all
        c.normsQueriesAndKeys = true
        c.layerLevels = ["base", "slow", "medium", "fast"]
        return c
    }

    /// Parameters in which everything matters.
    static func parameters(_ configuration: HopeConfiguration, seed: UInt64 = 3) -> ParameterSet<Float> {
        var random = SeededRandom(seed: seed)
        var set = ParameterSet<Float>()
        _ = HopeParameters<Void>(configuration) { name, shape in
            let isGain = name.hasSuffix("gain")
            let deviation = isGain || name.hasSuffix("bias") ? 0.3 : 1 / Double(shape.last).squareRoot()
            set[name] = Tensor(
                (0..<shape.count).map { _ in Float(random.nextNormal() * deviation + (isGain ? 1 : 0)) }, shape: shape)
        }
        return set
    }

    /// The whole text through the model on a tape, all logits.
    static func onTape<S>(
        _ configuration: HopeConfiguration, _ parameters: ParameterSet<S>, _ tokens: [Int32],
        form: SoftmaxAttention<S>.Form = .fused
    ) -> [S] {
        var model = HopeModel(configuration, parameters, on: Tape<S>()) { _ in false }
        model.attentionForm = form
        return model(tokens, batch: 1).logits.value.elements
    }
}

extension ParameterSet<Float> {
    /// The same numbers in double precision.
    var inDouble: ParameterSet<Double> {
        var set = ParameterSet<Double>()
        for (name, tensor) in entries { set[name] = tensor.converted() }
        return set
    }
}
