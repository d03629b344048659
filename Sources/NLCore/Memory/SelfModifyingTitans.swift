/// Self-modifying Titans, differentiable through every write (spec §2; NL §8.1–8.2, Eqs. 83–94).
///
/// Shapes: `B` streams, `T` tokens, `D` width, `H` heads, `G = B·H`, `d = D/H`, `m` hidden width of a memory,
/// `C` and `C_p` chunk sizes of the main and of the four projection memories.
///
/// This is the form that training uses. ``StreamingMixer`` computes the same token by token for serving.
struct SelfModifyingTitans<S: TensorScalar> {
    /// Which of three equal ways computes the recurrence.
    enum Form: Sendable, CaseIterable {
        /// All chunks of a stream and head in one operation, its gradient written by hand: the fast one.
        case fused
        /// One triangular solve a chunk, differentiated operation by operation: the reference of the fused form.
        case chunked
        /// One token after another, as Eqs. 88 and 90 are written: the reference.
        case recurrent
    }

    let configuration: HopeConfiguration
    let parameters: HopeParameters<Variable<S>>.Mixer
    var form = Form.fused

    /// Reads `u` and writes the memories.
    ///
    /// `T` is a multiple of C_p except at a stream's end, where the open chunks are closed early.
    ///
    /// - Parameters:
    ///   - u: `[B, T, D]`.
    ///   - state: the closed state before `u`; gradients stop at it.
    /// - Returns: `[B, T, D]`, and the closed state after `u`.
    func callAsFunction(_ u: Variable<S>, state: TitansState<S>) -> (output: Variable<S>, state: TitansState<S>) {
        let c = configuration
        let x = u.causalConvolution(parameters.convolution, history: state.history).silu()  // c in the spec
        let query = x.linear(parameters.query).splitHeads(c.heads).unit()  // [G, T, d]
        let keyInput = x.linear(parameters.key).splitHeads(c.heads)
        let valueInput = x.linear(parameters.value).splitHeads(c.heads)
        let gateInput = x.splitHeads(c.heads)
        let rows = FusedTitans<S>.Inputs(key: keyInput, value: valueInput, gate: gateInput, query: query)
        let (reads, delta) =
            form == .fused ? FusedTitans(c, parameters, rows)(state.delta) : composed(rows, state.delta)
        let y = reads.rms(gain: parameters.headGain).mergeHeads(c.heads)
        let output = (y * x.linear(parameters.gate).silu()).linear(parameters.output)
        let history = lastRows(of: u.value, after: state.history, count: c.convolutionWindow - 1)
        return (output, TitansState(history: history, delta: delta))
    }

    /// The recurrence as operations of the tape.
    private func composed(
        _ z: FusedTitans<S>.Inputs, _ state: PerMemory<MemoryWeights<Tensor<S>>>
    ) -> (reads: Variable<S>, delta: PerMemory<MemoryWeights<Tensor<S>>>) {
        let c = configuration
        let tape = z.key.tape
        let (batch, length) = (z.key.shape[0] / c.heads, z.key.shape[1])
        let initial = PerMemory<MemoryWeights<Variable<S>>> { kind in
            MemoryWeights(w1: parameters.w1[kind].repeated(batch), w2: parameters.w2[kind].repeated(batch))
        }
        var delta = PerMemory<MemoryWeights<Variable<S>>> { kind in
            MemoryWeights(w1: tape.constant(state[kind].w1), w2: tape.constant(state[kind].w2))
        }
        var reads: [Variable<S>] = []
        for start in stride(from: 0, to: length, by: c.projectionChunkSize) {
            let span = start..<min(start + c.projectionChunkSize, length)
            // W̄ of the four projection memories stands still for the whole span.
            let current = { (kind: MemoryKind) in initial[kind] + delta[kind] }
            let key = retrieve(current(.key), z.key.slice(span)).unit()
            let value = retrieve(current(.value), z.value.slice(span)).unit()
            let stepSize = retrieve(current(.stepSize), z.gate.slice(span))
                .headReadout(parameters.stepSizeReadout, bias: parameters.stepSizeBias)
                .sigmoid().scaled(by: S(c.stepSizeMaximum))  // η, [G, n]
            let logRetention =
                c.retains
                ? retrieve(current(.retention), z.gate.slice(span))
                    .headReadout(parameters.retentionReadout, bias: parameters.retentionBias).logSigmoid()
                : tape.constant(.zeros(stepSize.shape))  // log α, [G, n]
            let rows = MemoryRows(key: key, value: value, stepSize: stepSize, logRetention: logRetention)
            let spanQuery = z.query.slice(span)
            for inner in stride(from: 0, to: span.count, by: c.chunkSize) {
                let part = inner..<min(inner + c.chunkSize, span.count)
                let written = write(initial[.main], delta[.main], rows.slice(part), query: spanQuery.slice(part))
                delta[.main] = written.delta
                if let read = written.reads { reads.append(read) }
            }
            for kind in c.adaptiveMemories {
                delta[kind] = write(initial[kind], delta[kind], rows, query: nil).delta
            }
        }
        let after = PerMemory { MemoryWeights(w1: delta[$0].w1.value, w2: delta[$0].w2.value) }
        return (Variable.concatenated(reads), after)
    }

    /// Writes one chunk into one memory and, given queries, reads it before each token.
    ///
    /// - Parameter query: `[G, n, d]`.
    /// - Returns: the reads `[G, n, d]`, and Δ after the chunk, within the ball.
    private func write(
        _ initial: MemoryWeights<Variable<S>>, _ delta: MemoryWeights<Variable<S>>, _ rows: MemoryRows<S>,
        query: Variable<S>?
    ) -> (reads: Variable<S>?, delta: MemoryWeights<Variable<S>>) {
        let current = initial + delta
        // Inner gradient of ½‖M(k) − v̂‖² at W̄.
        let target = retrieve(current, rows.value).unit()  // v̂
        let a = rows.key.matmul(current.w2, transposeRight: true)  // [G, n, m]
        let s = a.silu()
        let e = rows.key + s.matmul(current.w1, transposeRight: true) - target
        let back = e.matmul(current.w1) * a.siluSlope()  // δ
        let length = s.rowLength()
        let hiddenKey = s.scalingRows(by: length.reciprocal())  // κ of W1
        let step = rows.stepSize.scaled(by: -1)
        let inner = LayerWrite(  // W2
            initial: initial.w2, delta: delta.w2, keys: rows.key, u: back.scalingRows(by: step), rows: rows)
        let outer = LayerWrite(  // W1
            initial: initial.w1, delta: delta.w1, keys: hiddenKey,
            u: e.scalingRows(by: length).scalingRows(by: step), rows: rows)
        let radius = S(configuration.memoryRadius)
        if form == .chunked {
            let w2 = inner.chunked(usesDelta: configuration.usesDelta)
            let w1 = outer.chunked(usesDelta: configuration.usesDelta)
            let reads = query.map { query in
                query + w1.read(w2.read(query).silu())
            }
            return (reads, MemoryWeights(w1: w1.final.within(radius: radius), w2: w2.final.within(radius: radius)))
        } else {
            let w2 = inner.recurrent(usesDelta: configuration.usesDelta)
            let w1 = outer.recurrent(usesDelta: configuration.usesDelta)
            let reads = query.map { query in
                Variable.concatenated(
                    (0..<query.shape[1]).map { t in
                        let now = initial + MemoryWeights(w1: w1[t], w2: w2[t])
                        return retrieve(now, query.slice(t..<t + 1))
                    })
            }
            let last = MemoryWeights(w1: w1[w1.count - 1], w2: w2[w2.count - 1])
            return (reads, MemoryWeights(w1: last.w1.within(radius: radius), w2: last.w2.within(radius: radius)))
        }
    }

    private func lastRows(of u: Tensor<S>, after history: Tensor<S>, count: Int) -> Tensor<S> {
        let (batch, length, width) = (u.shape[0], u.shape[1], u.shape[2])
        let result = Tensor<S>(uninitialized: [batch, count, width])
        for b in 0..<batch {
            for row in 0..<count {
                let t = length - count + row
                let from =
                    t >= 0
                    ? u.pointer + (b * length + t) * width
                    : history.pointer + (b * count + count + t) * width
                (result.pointer + (b * count + row) * width).update(from: from, count: width)
            }
        }
        return result
    }
}

/// What a chunk writes: keys and values `[G, n, d]`, η and log α `[G, n]`.
struct MemoryRows<S: TensorScalar> {
    let key: Variable<S>
    let value: Variable<S>
    let stepSize: Variable<S>
    let logRetention: Variable<S>

    func slice(_ range: Range<Int>) -> MemoryRows {
        MemoryRows(
            key: key.slice(range), value: value.slice(range), stepSize: stepSize.slice(range),
            logRetention: logRetention.slice(range))
    }
}

/// M(z) = z + W1 silu(W2 z) for rows z `[G, n, d]` (NL Eq. 89).
func retrieve<S: TensorScalar>(_ weights: MemoryWeights<Variable<S>>, _ z: Variable<S>) -> Variable<S> {
    z + z.matmul(weights.w2, transposeRight: true).silu().matmul(weights.w1, transposeRight: true)
}

func + <S: TensorScalar>(
    a: MemoryWeights<Variable<S>>, b: MemoryWeights<Variable<S>>
) -> MemoryWeights<Variable<S>> {
    MemoryWeights(w1: a.w1 + b.w1, w2: a.w2 + b.w2)
}
