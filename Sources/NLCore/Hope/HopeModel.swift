/// A Hope language model on a tape (spec §1): blocks of self-modifying Titans and CMS links over a tied embedding.
///
/// This form gives gradients; ``StreamingHope`` serves.
public struct HopeModel<S: TensorScalar> {
    /// Its geometry.
    public let configuration: HopeConfiguration
    /// Every parameter as a variable of the tape.
    public let parameters: HopeParameters<Variable<S>>
    /// The variables that want gradients, by name.
    private let trained: [(name: String, variable: Variable<S>)]
    private let tape: Tape<S>
    var form = SelfModifyingTitans<S>.Form.fused
    /// Sees what each link reads, u `[B, T, D]` by block and level: slots are laid out over its statistics.
    public var observe: ((_ block: Int, _ level: Int, _ input: Tensor<S>) -> Void)?

    /// Puts a model on a tape.
    ///
    /// - Parameters:
    ///   - parameters: every tensor of the model.
    ///   - trains: which of them want a gradient.
    public init(
        _ configuration: HopeConfiguration, _ parameters: ParameterSet<S>, on tape: Tape<S>,
        trains: (String) -> Bool
    ) {
        self.configuration = configuration
        self.tape = tape
        var trained: [(name: String, variable: Variable<S>)] = []
        self.parameters = HopeParameters(configuration) { name, shape in
            guard let tensor = parameters[name], tensor.shape == shape else {
                preconditionFailure(
                    "the model wants \"\(name)\" of shape \(shape), got \(String(describing: parameters[name]?.shape))")
            }
            guard trains(name) else { return tape.constant(tensor) }
            let variable = tape.parameter(tensor)
            trained.append((name, variable))
            return variable
        }
        self.trained = trained
    }

    /// Reads tokens.
    ///
    /// - Parameters:
    ///   - tokens: `[B, T]` in row-major order.
    ///   - states: the closed state of each layer; nil starts fresh streams.
    /// - Returns: logits `[B, T, V]`, and the closed states after the tokens.
    public func callAsFunction(
        _ tokens: [Int32], batch: Int, states: [TitansState<S>]? = nil
    ) -> (logits: Variable<S>, states: [TitansState<S>]) {
        let states = states ?? parameters.blocks.map { _ in TitansState(configuration, batch: batch) }
        var x = parameters.embedding.embedding(tokens, batch: batch)
        var after: [TitansState<S>] = []
        for (block, state) in zip(parameters.blocks, states) {
            let mixer = SelfModifyingTitans(configuration: configuration, parameters: block.mixer, form: form)
            let mixed = mixer(x.rms(gain: block.gain), state: state)
            x = x + mixed.output
            after.append(mixed.state)
            for (level, link) in block.levels.enumerated() {
                // One link of the CMS chain (NL Eq. 70), with its residual and norm.
                let u = x.rms(gain: link.gain)
                observe?(after.count - 1, level, u.value)
                x = x + u.linear(link.up).silu().linear(link.down)
                guard let slots = link.slots, let own = configuration.levels[level].slots else { continue }
                let scores = u.detached.linear(slots.keys.detached).value
                x = x + Variable<S>.recall(scores, bias: slots.bias.value, values: slots.values, active: own.active)
            }
        }
        return (x.rms(gain: parameters.gain).linear(parameters.embedding), after)
    }

    /// The gradients of the trained parameters after ``Tape/backward(from:)``; zeros where the loss does not depend
    /// on one.
    public func gradients() -> ParameterSet<S> {
        var set = ParameterSet<S>()
        for (name, variable) in trained { set[name] = tape.gradient(of: variable) ?? .zeros(variable.shape) }
        return set
    }
}
