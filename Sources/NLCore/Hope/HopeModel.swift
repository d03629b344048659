/// A Hope language model on a tape (spec §1): blocks of self-modifying Titans, or attention, and CMS links between an
/// embedding and a head.
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
    var attentionForm = SoftmaxAttention<S>.Form.fused
    /// Sees what each link reads, u `[B, T, D]` by block and link: slots are laid out over its statistics.
    public var observe: ((_ block: Int, _ link: Int, _ input: Tensor<S>) -> Void)?
    /// Told what each matrix of a link is applied to, by its name within the link.
    public var observeInput: ((_ block: Int, _ link: Int, _ matrix: String, _ input: Tensor<S>) -> Void)?

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
        _ tokens: [Int32], batch: Int, states: [MixerState<S>]? = nil
    ) -> (logits: Variable<S>, states: [MixerState<S>]) {
        let states = states ?? parameters.blocks.map { _ in MixerState(configuration, batch: batch) }
        let epsilon = S(configuration.normEpsilon)
        var x = parameters.embedding.embedding(tokens, batch: batch)
        var after: [MixerState<S>] = []
        for (block, state) in zip(parameters.blocks, states) {
            let mixed = mix(x.rms(gain: block.gain, epsilon: epsilon), block.mixer, state)
            x = x + mixed.output
            after.append(mixed.state)
            for (index, link) in block.levels.enumerated() {
                // One link of the CMS chain (NL Eq. 70), with its residual and norm.
                let u = x.rms(gain: link.gain, epsilon: epsilon)
                observe?(after.count - 1, index, u.value)
                observeInput?(after.count - 1, index, "up", u.value)
                if link.gate != nil { observeInput?(after.count - 1, index, "gate", u.value) }
                let up = u.linear(link.up)
                let active = link.gate.map { u.linear($0).silu() * up } ?? up.silu()
                observeInput?(after.count - 1, index, "down", active.value)
                x = x + active.linear(link.down)
                guard let slots = link.slots else { continue }
                let scores = u.detached.linear(slots.keys.detached).value
                x = x + Variable<S>.recall(scores, bias: slots.bias.value, values: slots.values, active: slots.active)
            }
        }
        let head = parameters.head ?? parameters.embedding
        return (x.rms(gain: parameters.gain, epsilon: epsilon).linear(head), after)
    }

    private func mix(
        _ u: Variable<S>, _ mixer: HopeParameters<Variable<S>>.AnyMixer, _ state: MixerState<S>
    ) -> (output: Variable<S>, state: MixerState<S>) {
        switch (mixer, state) {
        case (.titans(let parameters), .titans(let state)):
            let mixer = SelfModifyingTitans(configuration: configuration, parameters: parameters, form: form)
            let mixed = mixer(u, state: state)
            return (mixed.output, .titans(mixed.state))
        case (.attention(let parameters), .attention(let state)):
            let mixer = SoftmaxAttention(
                geometry: AttentionGeometry(configuration), parameters: parameters, form: attentionForm)
            let mixed = mixer(u, state: state)
            return (mixed.output, .attention(mixed.state))
        default: preconditionFailure("the state is of another mixer than \(configuration.mixer)")
        }
    }

    /// The gradients of the trained parameters after ``Tape/backward(from:)``; zeros where the loss does not depend
    /// on one.
    public func gradients() -> ParameterSet<S> {
        var set = ParameterSet<S>()
        for (name, variable) in trained { set[name] = tape.gradient(of: variable) ?? .zeros(variable.shape) }
        return set
    }
}
