import NLCore

/// The gradient of a step: the first sequences read with the model as it is, the others with their fast levels learning.
struct MixedStep {
    private let plain: PretrainingStep
    private let learning: FastLevelStep?
    private let batch: Int
    /// How many of the sequences have a fast level that learns.
    private let learningCount: Int

    /// - Throws: ``ConfigurationError`` if a fast level is to learn that the model has not got.
    init(_ settings: PretrainingSettings) throws {
        plain = PretrainingStep(
            settings.model, microBatch: settings.microBatch, precision: settings.precision ?? .f32)
        batch = settings.batchSize
        learningCount = settings.fastLevelSequences ?? 0
        learning = learningCount > 0 ? try FastLevelStep(settings.model) : nil
    }

    /// The mean over all sequences.
    ///
    /// - Parameter tokens: `[B, T + 1]`.
    func callAsFunction(_ parameters: ParameterSet<Float>, tokens: [Int32]) -> PretrainingStep.Outcome {
        guard let learning else { return plain(parameters, tokens: tokens, batch: batch) }
        guard learningCount < batch else { return learning(parameters, tokens: tokens, batch: batch) }
        let split = tokens.count / batch * (batch - learningCount)
        let still = plain(parameters, tokens: Array(tokens[..<split]), batch: batch - learningCount)
        let moving = learning(parameters, tokens: Array(tokens[split...]), batch: learningCount)
        return still.mixed(with: moving, share: Double(learningCount) / Double(batch))
    }
}
