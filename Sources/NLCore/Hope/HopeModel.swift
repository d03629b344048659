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
            guard let tensor = parameters[name], HopeParameters<Void>.accepts(tensor.shape, as: name, of: shape) else {
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
    ///   - preceding: the tokens of the stream before these, for the contexts of slots; B is 1 where there are any.
    /// - Returns: logits `[B, T, V]`, and the closed states after the tokens.
    public func callAsFunction(
        _ tokens: [Int32], batch: Int, states: [MixerState<S>]? = nil, after preceding: [Int32] = []
    ) -> (logits: Variable<S>, states: [MixerState<S>]) {
        let site = readToSlots(tokens, batch: batch, states: states)
        guard let slots else {
            return (readOn(from: site.x), site.states)
        }
        let held = slots.map(\.value)
        let memory = SlotMemory(held)
        guard memory.count > 0 else { return (readOn(from: site.x), site.states) }
        precondition(batch == 1, "slots that hold something are read by one stream at a time")
        let keys = site.u.map { held.keys(of: $0.value) } ?? .zeros([0])
        let words = held.words.map(WordFeatures.init)
        let contexts = SlotContext.rows(tokens, after: preceding, table: held.tokens, words: words)
        let addresses = SlotAddresses(
            keys: keys, contexts: contexts, in: memory,
            answers: memory.answers(tokens, after: preceding, configuration.conversation, words))
        let recalled = Variable.recall(addresses, values: slots.values, shape: site.x.shape)
        return (readOn(from: site.x + recalled), site.states)
    }

    /// Where the model has slots: what they add to, and what addresses them.
    struct SlotSite {
        /// The residual stream as the slots' link leaves it, `[B, T, D]`.
        let x: Variable<S>
        /// What the link read, `[B, T, D]`; nil where the model has no slots.
        let u: Variable<S>?
        /// The closed states after the tokens.
        let states: [MixerState<S>]
    }

    /// The link of the last block that has slots beside it.
    var slotLink: Int? { parameters.blocks.last?.levels.firstIndex { $0.slots != nil } }

    /// Its slots.
    var slots: HopeParameters<Variable<S>>.Slots? { slotLink.flatMap { parameters.blocks.last?.levels[$0].slots } }

    /// Everything before the slots; without any, everything before the head.
    func readToSlots(_ tokens: [Int32], batch: Int, states: [MixerState<S>]?) -> SlotSite {
        let states = states ?? parameters.blocks.map { _ in MixerState(configuration, batch: batch) }
        // Every layer is at the same place of the text, so one table of sines serves them all.
        let table: RotaryTable<S>? =
            if case .attention(let state)? = states.first {
                RotaryTable(AttentionGeometry(configuration), after: state, tokens.count / max(batch, 1))
            } else { nil }
        var x = parameters.embedding.embedding(tokens, batch: batch)
        var after: [MixerState<S>] = []
        for (index, (block, state)) in zip(parameters.blocks, states).enumerated() {
            let mixed = mix(x.rms(gain: block.gain, epsilon: epsilon), block.mixer, state, table)
            x = x + mixed.output
            after.append(mixed.state)
            for link in block.levels.indices {
                let u: Variable<S>
                (x, u) = apply(link, ofBlock: index, to: x)
                if index == parameters.blocks.count - 1 && link == slotLink {
                    return SlotSite(x: x, u: u, states: after)
                }
            }
        }
        return SlotSite(x: x, u: nil, states: after)
    }

    /// Everything after the slots.
    ///
    /// - Returns: logits `[B, T, V]`.
    func readOn(from x: Variable<S>) -> Variable<S> {
        var x = x
        if let last = parameters.blocks.last, let slotLink {
            for link in last.levels.indices.dropFirst(slotLink + 1) {
                (x, _) = apply(link, ofBlock: parameters.blocks.count - 1, to: x)
            }
        }
        let head = parameters.head ?? parameters.embedding
        return x.rms(gain: parameters.gain, epsilon: epsilon).linear(head)
    }

    private var epsilon: S { S(configuration.normEpsilon) }

    /// One link of the CMS chain (NL Eq. 70), with its residual and norm.
    ///
    /// - Returns: the residual stream after it, and what the link read.
    private func apply(
        _ index: Int, ofBlock block: Int, to x: Variable<S>
    ) -> (x: Variable<S>, u: Variable<S>) {
        let link = parameters.blocks[block].levels[index]
        let u = x.rms(gain: link.gain, epsilon: epsilon)
        observe?(block, index, u.value)
        observeInput?(block, index, "up", u.value)
        if link.gate != nil { observeInput?(block, index, "gate", u.value) }
        let up = u.linear(link.up)
        let active = link.gate.map { u.linear($0).silu() * up } ?? up.silu()
        observeInput?(block, index, "down", active.value)
        return (x + active.linear(link.down), u)
    }

    private func mix(
        _ u: Variable<S>, _ mixer: HopeParameters<Variable<S>>.AnyMixer, _ state: MixerState<S>,
        _ table: RotaryTable<S>?
    ) -> (output: Variable<S>, state: MixerState<S>) {
        switch (mixer, state) {
        case (.titans(let parameters), .titans(let state)):
            let mixer = SelfModifyingTitans(configuration: configuration, parameters: parameters, form: form)
            let mixed = mixer(u, state: state)
            return (mixed.output, .titans(mixed.state))
        case (.attention(let parameters), .attention(let state)):
            let mixer = SoftmaxAttention(
                geometry: AttentionGeometry(configuration), parameters: parameters, form: attentionForm)
            let mixed = mixer(u, state: state, table: table)
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
