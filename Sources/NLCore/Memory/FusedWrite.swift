/// A chunk's writes and reads, forward (spec §2, "Inner gradient", "Chunked form", "Read").
extension FusedGroup {
    /// What the memories written from one chunk's rows share: the decays, and T of the layers whose keys are k.
    ///
    /// `rows.inputs` and `rows.stepSize` are filled in.
    func prepare(_ n: Int, _ rows: ChunkRows<S>, logRetention: UnsafePointer<S>) {
        S.decays(n, logRetention, into: rows)
        if shape.usesDelta { setInverse(n, rows, keys: rows.inputs, width: shape.width, into: rows.inverse) }
    }

    /// T = (I + L)⁻¹ of the chunk's triangular system, L_ts = η_t (γ_{t−1}/γ_s) κ_s·κ_t.
    private func setInverse(
        _ n: Int, _ rows: ChunkRows<S>, keys: UnsafePointer<S>, width: Int, into inverse: UnsafeMutablePointer<S>
    ) {
        let (similarity, negated) = scratch.square
        S.timesTransposed(n, n, width, keys, keys, into: similarity)
        S.multiplyElements(n * n, similarity, rows.decay, negated)
        for t in 0..<n { S.scale(t, -rows.stepSize[t], negated + t * n, negated + t * n) }
        S.invertUnitLower(n, negated, into: inverse, scratch: scratch.strip)
    }

    /// What n rows write into one memory, w of both layers; ``advance(_:_:_:from:to:)`` then writes it.
    ///
    /// - Parameter delta: Δ̄, before the chunk.
    func setWrites(
        _ n: Int, _ rows: ChunkRows<S>, _ initial: LayerPointers<S>, _ delta: LayerPointers<S>,
        _ record: WriteRecord<S>
    ) {
        setCurrent(initial, delta)
        setErrors(n, rows, record)
        setRightSides(n, rows, initial, record)
        if shape.usesDelta {
            setInverse(n, rows, keys: scratch.key1, width: shape.hidden, into: record.inverse1)
            S.times(n, shape.width, n, record.inverse1, scratch.right1, into: record.w1)
            S.times(n, shape.hidden, n, rows.inverse, scratch.right2, into: record.w2)
        } else {
            record.w1.update(from: scratch.right1, count: n * shape.width)
            record.w2.update(from: scratch.right2, count: n * shape.hidden)
        }
    }

    /// The inner gradient at W̄: a, s, κ, e, δ of the whole chunk.
    private func setErrors(_ n: Int, _ rows: ChunkRows<S>, _ record: WriteRecord<S>) {
        let (d, m) = (shape.width, shape.hidden)
        let keys = rows.inputs
        let values = keys + n * d
        let recalled = scratch.outer  // W̄1 s, of keys and of values
        S.timesTransposed(2 * n, m, d, rows.inputs, scratch.current.w2, into: record.a)
        S.silu(2 * n * m, record.a, scratch.s)
        S.timesTransposed(2 * n, d, m, scratch.s, scratch.current.w1, into: recalled)
        // v̂ = l2(v + W̄1 silu(W̄2 v)), e = k + W̄1 s − v̂.
        S.add(n * d, values, recalled + n * d, scratch.right1)
        S.unitRows(n, d, scratch.right1, record.target, record.targetScale)
        S.add(n * d, keys, recalled, record.e)
        S.axpy(n * d, -1, record.target, record.e)
        // δ = W̄1ᵀe ⊙ silu'(a).
        S.times(n, m, d, record.e, scratch.current.w1, into: record.back)
        S.siluSlope(n * m, record.a, scratch.inner.0)
        S.multiplyElements(n * m, record.back, scratch.inner.0, record.error2)
        for t in 0..<n {
            let s = scratch.s + t * m
            let length = S.dot(m, s, s).squareRoot() + normalizationEpsilon(S.self)
            record.length[t] = length
            S.scale(m, 1 / length, s, scratch.key1 + t * m)
            S.scale(d, length, record.e + t * d, record.error1 + t * d)
        }
    }

    /// R_t = u_t − η_t (W_0 κ_t + γ_{t−1} Δ̄ κ_t); without the delta term u_t, which then is w_t.
    private func setRightSides(
        _ n: Int, _ rows: ChunkRows<S>, _ initial: LayerPointers<S>, _ record: WriteRecord<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let recalled = scratch.outer  // W̄1 s, still
        let (base1, base2) = (scratch.solved1, scratch.solved2)  // W_0 κ
        if shape.usesDelta {
            S.timesTransposed(n, m, d, rows.inputs, initial.w2, into: base2)
            S.timesTransposed(n, d, m, scratch.key1, initial.w1, into: base1)
            S.axpy(n * d, 1, base1, record.error1)
            S.axpy(n * m, 1, base2, record.error2)
        }
        for t in 0..<n {
            let (right1, right2) = (scratch.right1 + t * d, scratch.right2 + t * m)
            S.scale(d, -rows.stepSize[t], record.error1 + t * d, right1)
            S.scale(m, -rows.stepSize[t], record.error2 + t * m, right2)
            guard shape.usesDelta else { continue }
            // Δ̄ κ = W̄ κ − W_0 κ.
            let factor = -rows.stepSize[t] * rows.before[t]
            S.axpy(d, factor / record.length[t], recalled + t * d, right1)
            S.axpy(d, -factor, base1 + t * d, right1)
            S.axpy(m, factor, record.a + t * m, right2)
            S.axpy(m, -factor, base2 + t * m, right2)
        }
    }

    /// Δ after n rows: Δ_n = γ_n Δ̄ + Σ_s (γ_n/γ_s) w_s κ_sᵀ, within the ball. κ of W1 is in the scratch.
    func advance(
        _ n: Int, _ rows: ChunkRows<S>, _ record: WriteRecord<S>, from state: StateRecord<S>, to next: StateRecord<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (scaled1, scaled2) = (scratch.outer, scratch.inner.0)
        S.scaleRows(n, d, rows.remaining, record.w1, scaled1)
        S.scaleRows(n, m, rows.remaining, record.w2, scaled2)
        S.scale(shape.layer, rows.kept[0], state.delta.w1, next.delta.w1)
        S.scale(shape.layer, rows.kept[0], state.delta.w2, next.delta.w2)
        S.transposedTimes(d, m, n, scaled1, scratch.key1, into: next.delta.w1, adding: true)
        S.transposedTimes(m, d, n, scaled2, rows.inputs, into: next.delta.w2, adding: true)
        project(next.delta.w1, next.length.w1)
        project(next.delta.w2, next.length.w2)
    }

    /// Δ ← Δ · min(1, ρ/r), r = sqrt(‖Δ‖² + ε).
    private func project(_ delta: UnsafeMutablePointer<S>, _ length: UnsafeMutablePointer<S>) {
        let r = (S.dot(shape.layer, delta, delta) + normalizationEpsilon(S.self)).squareRoot()
        length[0] = r
        let radius = S(shape.radius)
        // Written so that a NaN stays one.
        if !(r <= radius) { S.scale(shape.layer, radius / r, delta, delta) }
    }

    /// Reads the main memory before each of n rows: y_t = M_{t−1}(q_t). κ of W1 is in the scratch.
    ///
    /// - Parameter y: `[n, d]`.
    func read(
        _ n: Int, _ chunk: FusedRecords<S>.Chunk, _ initial: LayerPointers<S>, _ delta: LayerPointers<S>,
        into y: UnsafeMutablePointer<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (rows, write, record) = (chunk.rows, chunk.write, chunk.read)
        let queries = rows.inputs + 2 * n * d
        recall(
            n, m, d, queries, keys: rows.inputs, delta.w2, write.w2, rows, record.similarity2,
            into: record.recalled2)
        S.timesTransposed(n, m, d, queries, initial.w2, into: record.a)
        S.axpy(n * m, 1, record.recalled2, record.a)
        let s = scratch.inner.0
        S.silu(n * m, record.a, s)
        recall(
            n, d, m, s, keys: scratch.key1, delta.w1, write.w1, rows, record.similarity1, into: record.recalled1)
        S.timesTransposed(n, d, m, s, initial.w1, into: y)
        S.axpy(n * d, 1, record.recalled1, y)
        S.axpy(n * d, 1, queries, y)
    }

    /// Δ_{t−1} z_t = γ_{t−1} Δ̄ z_t + Σ_{s<t} (γ_{t−1}/γ_s)(κ_s·z_t) w_s.
    ///
    /// - Parameters:
    ///   - z: `[n, i]`.
    ///   - keys: κ, `[n, i]`.
    ///   - similarity: keeps the factors of w, `[n, n]`.
    ///   - result: `[n, o]`.
    private func recall(
        _ n: Int, _ o: Int, _ i: Int, _ z: UnsafePointer<S>, keys: UnsafePointer<S>, _ delta: UnsafePointer<S>,
        _ w: UnsafePointer<S>, _ rows: ChunkRows<S>, _ similarity: UnsafeMutablePointer<S>,
        into result: UnsafeMutablePointer<S>
    ) {
        S.timesTransposed(n, o, i, z, delta, into: result)
        S.scaleRows(n, o, rows.before, result, result)
        S.timesTransposed(n, n, i, z, keys, into: scratch.square.0)
        S.multiplyElements(n * n, scratch.square.0, rows.decay, similarity)
        S.times(n, o, n, similarity, w, into: result, adding: true)
    }
}
