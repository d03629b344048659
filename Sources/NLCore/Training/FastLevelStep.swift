/// Pretraining for a model that will not stand still: the loss of sequences while the fast level learns from them, as it
/// does in the daemon while a session reads, and the gradient of that loss at the parameters before any of it.
///
/// Each sequence has a fast level of its own, which starts at Δθ = 0 and moves by its own optimizer after every C⁽¹⁾
/// tokens (NL Eq. 71). The loss of a window is taken at θ + Δθ, with what the windows before it taught. The outer
/// gradient is first-order (Finn et al. 2017, §5.2; Nichol et al. 2018): ∂Δθ/∂θ counts as zero, so that ∇θ is the sum
/// of the windows' gradients, each at its own θ + Δθ. Those are the gradients that the fast level gathers anyway, so it
/// costs no second pass.
///
/// As in a session, windows are C_p tokens; the memories' states are carried from window to window, and gradients
/// stop there.
public struct FastLevelStep: Sendable {
    private let window: LearningWindow
    private let fast: LevelDefinition

    /// Steps of a model, whose first level is the fast one.
    ///
    /// - Throws: ``ConfigurationError`` if the model has not the levels a daemon needs.
    public init(_ configuration: HopeConfiguration) throws(ConfigurationError) {
        window = LearningWindow(configuration)
        fast = try LevelDefinition.levels(of: configuration)[0]
    }

    /// Reads sequences with learning.
    ///
    /// - Parameters:
    ///   - parameters: every tensor of the model.
    ///   - tokens: `[B, T + 1]` in row-major order: T inputs, and the T tokens that follow them.
    ///   - batch: B.
    /// - Returns: the mean loss in nats a token, NaN if one was not finite, and its first-order gradients.
    public func callAsFunction(
        _ parameters: ParameterSet<Float>, tokens: [Int32], batch: Int
    ) -> PretrainingStep.Outcome {
        let row = tokens.count / max(batch, 1)
        precondition(batch >= 1 && row >= 2 && row * batch == tokens.count, "\(tokens.count) tokens in \(batch) rows")
        let slots = Slots<PretrainingStep.Outcome>(count: batch)
        inParallel(batch) { index in
            let own = Array(tokens[index * row..<(index + 1) * row])
            let outcome = try? sequence(parameters, own)
            slots.fill(index, with: outcome ?? PretrainingStep.Outcome(loss: .nan, gradients: parameters.zeros()))
        }
        let outcomes = slots.take()
        let sum = outcomes[0].gradients
        for outcome in outcomes.dropFirst() { sum.add(outcome.gradients) }
        let count = Double(batch * (row - 1))
        sum.scale(by: Float(1 / count))
        return PretrainingStep.Outcome(loss: outcomes.reduce(0) { $0 + $1.loss } / count, gradients: sum)
    }

    /// Sums over one sequence, not means.
    private func sequence(
        _ parameters: ParameterSet<Float>, _ tokens: [Int32]
    ) throws(NumericsError) -> PretrainingStep.Outcome {
        let trained = Set(parameters.names.filter(HopeParameters<Void>.isPretrained))
        let size = window.configuration.projectionChunkSize
        var level = LevelState(fast)
        var states: [MixerState<Float>]?
        var sum: ParameterSet<Float>?
        var loss = 0.0
        for start in stride(from: 0, to: tokens.count - 1, by: size) {
            let end = min(start + size, tokens.count - 1)
            let reading = try window.read(
                Array(tokens[start..<end]), targets: Array(tokens[start + 1...end]), states: states,
                parameters: parameters.adding([level.contribution()]), trained: trained, observed: fast.observed)
            states = reading.states
            loss += reading.losses.reduce(0) { $0 + Double($1) }
            guard let gradients = reading.gradients else { continue }
            if let sum { sum.add(gradients) } else { sum = gradients.copy() }
            _ = try level.gather(gradients, inputs: reading.inputs, tokenCount: end - start)
        }
        return PretrainingStep.Outcome(loss: loss, gradients: sum ?? parameters.zeros())
    }
}
