/// A chunk of one memory forward: the inner gradient, then both layers' writes and reads (spec §2).
extension FusedGroup {
    /// What the memories written from one chunk's rows share: the decays, and T of the layers whose keys are k.
    ///
    /// `chunk.inputs` and `chunk.stepSize` are filled in.
    func prepare(_ n: Int, _ chunk: ChunkRows<S>, logRetention: UnsafePointer<S>, reads: Bool) {
        S.decays(n, logRetention, into: chunk)
        setSimilarities(
            n, shape.width, chunk.inputs + n * shape.width, reads: reads, chunk, inverse: chunk.inverse,
            similarity: chunk.similarity)
    }

    /// Both layers of a memory over one chunk; κ of W1 is in the scratch.
    func layers(
        _ n: Int, _ chunk: ChunkRows<S>, _ record: WriteRecord<S>, _ delta: LayerPointers<S>?, reads: Bool
    ) -> (FusedLayer<S>, FusedLayer<S>) {
        (
            FusedLayer(
                n: n, outputs: shape.width, inputs: shape.hidden, reads: reads, keys: scratch.keys1, delta: delta?.w1,
                record: record.layer1),
            FusedLayer(
                n: n, outputs: shape.hidden, inputs: shape.width, reads: reads,
                keys: chunk.inputs + n * shape.width, delta: delta?.w2, record: record.layer2)
        )
    }

    /// Writes n rows into one memory and, where `y` is given, reads it before each: y_t = M_{t−1}(q_t).
    ///
    /// - Parameters:
    ///   - delta: Δ̄ before the chunk.
    ///   - next: receives Δ after it, within the ball; another place than Δ̄'s.
    ///   - y: `[n, d]`.
    func write(
        _ n: Int, _ chunk: ChunkRows<S>, _ kind: MemoryKind, _ record: WriteRecord<S>,
        from delta: LayerPointers<S>?, to next: StateRecord<S>, reading y: UnsafeMutablePointer<S>? = nil
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (layer1, layer2) = layers(n, chunk, record, delta, reads: y != nil)
        let current = current(kind, delta)
        setErrors(n, chunk, record, current, blocks: y == nil ? 2 : 3)
        solve(
            layer2, chunk, current: record.a + n * m, recalled: scratch.rows2, right: scratch.right2)
        if y != nil {
            read(layer2, chunk, recalled: scratch.rows2 + n * m, record.a + 2 * n * m)
            S.silu(n * m, record.a + 2 * n * m, scratch.keys1 + n * m)
        }
        setSimilarities(
            n, m, scratch.keys1, reads: y != nil, chunk, inverse: record.layer1.inverse,
            similarity: record.layer1.similarity)
        solve(
            layer1, chunk, current: scratch.outer + n * d, recalled: scratch.rows1, right: scratch.right1)
        if let y {
            S.timesTransposed(n, d, m, scratch.keys1 + n * m, current.w1, into: y)
            read(layer1, chunk, recalled: scratch.rows1 + n * d, y)
            S.axpy(n * d, 1, chunk.inputs + 2 * n * d, y)
        }
        advance(layer1, chunk, to: next.delta.w1, next.length.w1)
        advance(layer2, chunk, to: next.delta.w2, next.length.w2)
    }

    /// a, s, ℓ, e and the errors ℓe and δ of the whole chunk at W̄; κ = s/ℓ and W̄1 κ into the scratch.
    private func setErrors(
        _ n: Int, _ chunk: ChunkRows<S>, _ record: WriteRecord<S>, _ current: LayerPointers<S>, blocks: Int
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (values, keys) = (chunk.inputs, chunk.inputs + n * d)
        let (s, recalled) = (scratch.s + n * m, scratch.outer + n * d)  // of the keys
        S.timesTransposed(blocks * n, m, d, chunk.inputs, current.w2, into: record.a)
        S.silu(2 * n * m, record.a, scratch.s)
        S.timesTransposed(2 * n, d, m, scratch.s, current.w1, into: scratch.outer)
        // v̂ = l2(v + W̄1 silu(W̄2 v)), e = k + W̄1 s − v̂.
        S.add(n * d, values, scratch.outer, scratch.moment)
        S.unitRows(n, d, scratch.moment, record.target, record.targetScale)
        S.add(n * d, keys, recalled, record.e)
        S.axpy(n * d, -1, record.target, record.e)
        // δ = W̄1ᵀe ⊙ silu'(a).
        S.times(n, m, d, record.e, current.w1, into: record.back)
        S.siluSlope(n * m, record.a + n * m, scratch.inner)
        S.multiplyElements(n * m, record.back, scratch.inner, record.layer2.error)
        for t in 0..<n {
            let length = S.dot(m, s + t * m, s + t * m).squareRoot() + normalizationEpsilon(S.self)
            record.length[t] = length
            S.scale(m, 1 / length, s + t * m, scratch.keys1 + t * m)
            S.scale(d, 1 / length, recalled + t * d, recalled + t * d)
            S.scale(d, length, record.e + t * d, record.layer1.error + t * d)
        }
    }
}
