public import NLCore

/// A model small enough to learn in a test: three levels, two layers, short chunks.
public enum TinyModel {
    /// V = 40, D = 16, L = 2, H = 2, C = 4, C_p = 8; levels of 8, 16 and 64 tokens.
    public static let configuration: HopeConfiguration = {
        var c = HopeConfiguration(
            vocabularySize: 40, width: 16, layers: 2, heads: 2,
            levels: [
                .init(name: "fast", hiddenMultiple: 2, chunkSize: 8),
                .init(name: "medium", hiddenMultiple: 2, chunkSize: 16, learningRate: 0.02),
                .init(name: "slow", hiddenMultiple: 2, chunkSize: 64, learningRate: 0.01),
            ])
        c.chunkSize = 4
        c.projectionChunkSize = 8
        c.eosTokenID = 1
        return c
    }()

    /// Parameters off the symmetric starting point, so that every gradient is alive, with an embedding as long as a
    /// trained one: the head is tied to it, and no level adapts it, so a short one could not say anything clearly.
    public static func parameters(seed: UInt64 = 5) -> ParameterSet<Float> {
        var random = SeededRandom(seed: seed)
        var parameters = ParameterSet<Float>.initial(configuration, seed: seed).mapTensors { tensor in
            Tensor(tensor.elements.map { $0 + Float(random.nextNormal() * 0.05) }, shape: tensor.shape)
        }
        if let embedding = parameters["embedding"] {
            parameters["embedding"] = Tensor(embedding.elements.map { $0 * 7 }, shape: embedding.shape)
        }
        return parameters
    }

    /// A text of random words of the vocabulary.
    public static func text(seed: UInt64, length: Int) -> LearningText {
        var random = SeededRandom(seed: seed)
        let tokens = (0..<length).map { _ in Int32(2 + random.nextIndex(below: configuration.vocabularySize - 2)) }
        return LearningText(tokens, configuration: configuration)
    }
}
