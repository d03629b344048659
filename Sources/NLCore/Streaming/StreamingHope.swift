/// The model as it serves: reads the next tokens of several streams at once, without a tape.
///
/// Computes what ``HopeModel`` computes (spec §1–2), for streams that stop and go on anywhere. All streams share one pass
/// over the weights; their memories are walked apart. What a stream gets does not depend on the others beside it,
/// to the bit where products of matrices treat each row alike (oneDNN), to rounding elsewhere (OpenBLAS).
public enum StreamingHope<S: TensorScalar> {
    /// Reads each stream's tokens and moves its state on. The work of a token does not depend on its position.
    ///
    /// - Returns: for each stream its logits: `[tokens, V]` if it wants all of them, else `[1, V]`, the last token's.
    /// - Throws: ``StreamError``; then no state has changed.
    @specialized(where S == Float)  // other modules would run the generic form, at a quarter of the speed
    public static func advance(
        _ inputs: inout [StreamInput<S>], weights: HopeWeights<S>
    ) throws(StreamError) -> [Tensor<S>] {
        for (index, input) in inputs.enumerated() { try input.validate(index, weights.configuration) }
        if inputs.isEmpty { return [] }
        let pass = StreamingPass(inputs, weights)
        for index in inputs.indices {
            inputs[index].state.makeWritable(reading: inputs[index].tokens.count, weights)
        }
        let logits = pass.run(inputs)
        for (index, own) in logits.enumerated() {
            let last = Tensor<S>(uninitialized: [own.shape[1]])
            last.pointer.update(from: own.pointer + own.count - last.count, count: last.count)
            inputs[index].state.note(inputs[index].tokens, logits: last, weights.configuration)
        }
        return logits
    }
}

/// One pass of a batch through the blocks, with the activations it needs.
private struct StreamingPass<S: TensorScalar> {
    let weights: HopeWeights<S>
    let batch: StreamBatch
    let mixer: Mixer
    /// The residual stream, `[R, D]`, and its norm.
    let x: Tensor<S>
    let normed: Tensor<S>
    /// 1/rms of each row, which nobody reads.
    let scales: Tensor<S>
    /// The hidden layer of a CMS link before and after its activation, `[R, hidden]` of the widest; before it, that of
    /// the gate comes first.
    let hidden: Tensor<S>
    let active: Tensor<S>
    /// silu of the gate's, one row of the widest for each of R.
    let opened: Tensor<S>

    enum Mixer {
        case titans(StreamingMixer<S>)
        case attention(StreamingAttention<S>)
    }

    init(_ inputs: [StreamInput<S>], _ weights: HopeWeights<S>) {
        self.weights = weights
        batch = StreamBatch(inputs.map { ($0.state.position, $0.tokens.count) })
        let c = weights.configuration
        mixer =
            c.usesAttention
            ? .attention(StreamingAttention(AttentionGeometry(c), batch))
            : .titans(StreamingMixer(MixerGeometry(c, weights.precision), batch))
        let width = c.width
        let links = weights.blocks.flatMap(\.links)
        let widest = links.map(\.down.inputs).max() ?? 0
        let isGated = links.contains(where: \.isGated)
        x = Tensor(uninitialized: [batch.rows, width])
        normed = Tensor(uninitialized: [batch.rows, width])
        scales = Tensor(uninitialized: [batch.rows])
        hidden = Tensor(uninitialized: [batch.rows, isGated ? 2 * widest : widest])
        active = Tensor(uninitialized: [batch.rows, widest])
        opened = Tensor(uninitialized: [isGated ? batch.rows : 0, widest])
    }

    func run(_ inputs: [StreamInput<S>]) -> [Tensor<S>] {
        embed(inputs)
        for (layer, block) in weights.blocks.enumerated() {
            norm(block.gain)
            switch (mixer, block.mixer) {
            case (.titans(let mixer), .titans(let own)):
                mixer(normed, addingTo: x, own, inputs.map { $0.state.layers[layer] })
            case (.attention(let mixer), .attention(let own)):
                mixer(normed, addingTo: x, own, layer: layer, inputs.map(\.state.cache))
            default: preconditionFailure("weights of another mixer than \(weights.configuration.mixer)")
            }
            for (level, link) in block.links.enumerated() {
                apply(link, inputs.map { $0.fast?.link(block: layer, level: level) })
                if let slots = link.slots { recall(slots, inputs) }
            }
        }
        return logits(inputs)
    }

    private func embed(_ inputs: [StreamInput<S>]) {
        let width = weights.configuration.width
        for (input, span) in zip(inputs, batch.spans) {
            for (row, token) in input.tokens.enumerated() {
                weights.embed(token, to: x.pointer + (span.first + row) * width)
            }
        }
    }

    private var epsilon: S { S(weights.configuration.normEpsilon) }

    /// `normed` ← rms(x; g).
    private func norm(_ gain: Tensor<S>) {
        let width = weights.configuration.width
        rowBlocks(batch.rows, width) { start, count in
            S.rmsRows(
                count, width, epsilon: epsilon, x.pointer + start * width, gain.pointer, normed.pointer + start * width,
                scales.pointer + start)
        }
    }

    // MARK: - CMS links

    /// x ← x + W↓ silu(W↑ rms(x; g)) (NL Eq. 70), or with a gate as ``HopeParameters/Link`` says; each stream with its own
    /// Δ on top of the shared weights.
    private func apply(_ link: HopeWeights<S>.Link, _ own: [FastWeights<S>.Link?]) {
        norm(link.gain)
        normAgain(link.gain, own)
        link.up.multiply(batch.rows, normed.pointer, into: hidden.pointer)
        add(own.map { $0?.up }, normed, to: hidden)
        activate(link)
        link.down.multiply(batch.rows, active.pointer, into: x.pointer, accumulate: true)
        add(own.map { $0?.down }, active, to: x)
    }

    /// x ← x + Σ p V over the slots that each row addresses (``HopeParameters/Slots``); `normed` is what the link read.
    private func recall(_ slots: HopeWeights<S>.Slots, _ inputs: [StreamInput<S>]) {
        guard slots.memory.count > 0 else { return }
        let width = weights.configuration.width
        let keys = Tensor<S>(uninitialized: [batch.rows, width])
        slots.whitening.multiply(batch.rows, normed.pointer, into: keys.pointer)
        HopeParameters<S>.Slots.finishKeys(keys, bias: slots.bias)
        let contexts = Tensor<S>(uninitialized: [batch.rows, slots.tokens.shape[1]])
        var answers: [AnswerMemory<S>.Spoken?] = []
        for (input, span) in zip(inputs, batch.spans) {
            let said = slots.memory.answers(
                input.tokens, after: input.state.recentTokens, weights.configuration.conversation, slots.words)
            if !said.isEmpty {
                answers += [AnswerMemory<S>.Spoken?](repeating: nil, count: span.first - answers.count) + said
            }
            let own = SlotContext.rows(
                input.tokens, after: input.state.recentTokens, table: slots.tokens, words: slots.words)
            (contexts.pointer + span.first * slots.tokens.shape[1]).update(from: own.pointer, count: own.count)
        }
        SlotAddresses(keys: keys, contexts: contexts, in: slots.memory, answers: answers).add(
            slots.memory.values, to: x)
    }

    /// silu of the hidden layer, or of its gate, times the rest.
    private func activate(_ link: HopeWeights<S>.Link) {
        guard link.isGated else {
            elementBlocks(batch.rows * link.up.outputs) { start, count in
                S.silu(count, hidden.pointer + start, active.pointer + start)
            }
            return
        }
        let width = link.down.inputs
        rowBlocks(batch.rows, width) { start, count in
            for row in start..<start + count {
                let gate = hidden.pointer + row * 2 * width
                S.silu(width, gate, opened.pointer + row * width)
                S.multiplyElements(width, opened.pointer + row * width, gate + width, active.pointer + row * width)
            }
        }
    }

    /// The norm of streams that have a gain of their own.
    private func normAgain(_ gain: Tensor<S>, _ own: [FastWeights<S>.Link?]) {
        let width = weights.configuration.width
        for (span, link) in zip(batch.spans, own) {
            guard let delta = link?.gain else { continue }
            let sum = Tensor<S>(uninitialized: [width])
            S.add(width, gain.pointer, delta.pointer, sum.pointer)
            S.rmsRows(
                span.count, width, epsilon: epsilon, x.pointer + span.first * width, sum.pointer,
                normed.pointer + span.first * width,
                scales.pointer + span.first)
        }
    }

    /// y ← y + Δ z for the rows of each stream that has a Δ, all streams in parallel.
    private func add(_ deltas: [FastWeights<S>.Change?], _ z: Tensor<S>, to y: Tensor<S>) {
        let present = deltas.indices.filter { deltas[$0] != nil }
        inParallel(present.count) { index in
            guard let delta = deltas[present[index]] else { return }
            let span = batch.spans[present[index]]
            delta.add(
                span.count, z.pointer + span.first * delta.inputs, to: y.pointer + span.first * delta.outputs)
        }
    }

    // MARK: - Output

    /// rms(x; g_out) Eᵀ of the rows that are wanted.
    private func logits(_ inputs: [StreamInput<S>]) -> [Tensor<S>] {
        let (width, vocabulary) = (weights.configuration.width, weights.configuration.vocabularySize)
        let counts = inputs.map { $0.wantsAllLogits ? $0.tokens.count : 1 }
        let wanted = counts.reduce(0, +)
        let all = Tensor<S>(uninitialized: [wanted, vocabulary])
        var first = 0
        for (span, count) in zip(batch.spans, counts) {
            let from = span.first + span.count - count
            S.rmsRows(
                count, width, epsilon: epsilon, x.pointer + from * width, weights.gain.pointer,
                normed.pointer + first * width,
                scales.pointer + first)
            first += count
        }
        weights.head.multiply(wanted, normed.pointer, into: all.pointer)
        if inputs.count == 1 { return [all] }
        first = 0
        return counts.map { count in
            let own = Tensor<S>(uninitialized: [count, vocabulary])
            own.pointer.update(from: all.pointer + first * vocabulary, count: own.count)
            first += count
            return own
        }
    }
}
