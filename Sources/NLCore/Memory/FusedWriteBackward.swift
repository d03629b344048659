/// Gradients of one chunk's rows; n rows.
struct RowGradients<S: TensorScalar> {
    /// Of the keys, values and queries, `[2n, d]` or `[3n, d]`.
    let inputs: UnsafeMutablePointer<S>
    /// Of log η_t: Σ ⟨dR_t, w_t⟩, `[n]`.
    let logStepSize: UnsafeMutablePointer<S>
    /// Of log α_t, `[n]`.
    let logRetention: UnsafeMutablePointer<S>
    /// What row t adds to the gradients of log α of the rows before it, `[n]`.
    let later: UnsafeMutablePointer<S>
    /// ⟨dΔ_n, Δ_n⟩, summed over layers and memories, `[1]`.
    let final: UnsafeMutablePointer<S>
    /// Of κ_t·κ_s of the layers whose keys are k, before the decay: Σ −η_t ⟨dR_t, w_s⟩, `[n, n]`.
    let similarity: UnsafeMutablePointer<S>

    init(_ slab: inout Slab<S>, rows: Int, blocks: Int, width: Int) {
        inputs = slab.take(blocks * rows * width)
        logStepSize = slab.take(rows)
        logRetention = slab.take(rows)
        later = slab.take(rows)
        final = slab.take(1)
        similarity = slab.take(rows * rows)
    }

    func reset(_ n: Int, blocks: Int, width: Int) {
        inputs.update(repeating: 0, count: blocks * n * width)
        logStepSize.update(repeating: 0, count: n)
        logRetention.update(repeating: 0, count: n)
        later.update(repeating: 0, count: n)
        final[0] = 0
        similarity.update(repeating: 0, count: n * n)
    }
}

/// A memory's gradients while a chunk is walked backwards.
struct MemoryGradients<S: TensorScalar> {
    /// Of W_0; nil when nobody wants it.
    let initial: LayerPointers<S>?
    /// Of the state: of the one after the chunk when the walk enters, of the one before when it leaves; nil for a
    /// memory that is not written.
    let delta: LayerPointers<S>?
    /// Whether anything after the chunk depends on its last state.
    let entersWithGradient: Bool
    /// Whether the state before the chunk has a gradient: the stream's first has none.
    let leavesWithGradient: Bool

    /// The gradient of the state before the chunk, where it has one.
    var wantedDelta: LayerPointers<S>? { leavesWithGradient ? delta : nil }
}

/// A chunk's writes, backward: the lines of ``FusedTitans`` in order.
extension FusedGroup {
    /// From the gradient of Δ after the chunk to that of dw, dκ and Δ̄, as far as these come from the last line of
    /// the forward pass, Δ_n = γ_n Δ̄ + Σ_s (γ_n/γ_s) w_s κ_sᵀ. Sets `scratch.right1`, `right2` and `key1Gradient`.
    func advanceBackward(
        _ n: Int, _ rows: ChunkRows<S>, _ record: WriteRecord<S>, next: StateRecord<S>,
        _ gradients: MemoryGradients<S>, into drows: RowGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        guard gradients.entersWithGradient, let delta = gradients.delta else {
            scratch.right1.update(repeating: 0, count: n * d)
            scratch.right2.update(repeating: 0, count: n * m)
            scratch.key1Gradient.update(repeating: 0, count: n * m)
            return
        }
        drows.final[0] += projectBackward(delta.w1, next.delta.w1, next.length.w1)
        drows.final[0] += projectBackward(delta.w2, next.delta.w2, next.length.w2)
        S.timesTransposed(n, d, m, scratch.key1, delta.w1, into: scratch.right1)
        S.scaleRows(n, d, rows.remaining, scratch.right1, scratch.right1)
        S.timesTransposed(n, m, d, rows.inputs, delta.w2, into: scratch.right2)
        S.scaleRows(n, m, rows.remaining, scratch.right2, scratch.right2)
        let (scaled1, scaled2) = (scratch.outer, scratch.inner.0)
        S.scaleRows(n, d, rows.remaining, record.w1, scaled1)
        S.times(n, m, d, scaled1, delta.w1, into: scratch.key1Gradient)
        S.scaleRows(n, m, rows.remaining, record.w2, scaled2)
        S.times(n, d, m, scaled2, delta.w2, into: drows.inputs, adding: true)
        guard gradients.leavesWithGradient else { return }
        S.scale(shape.layer, rows.kept[0], delta.w1, delta.w1)
        S.scale(shape.layer, rows.kept[0], delta.w2, delta.w2)
    }

    /// Gradient through Δ' = Δ · min(1, ρ/r), in place: outside the ball (ρ/r)(dΔ' − ⟨dΔ', Δ'⟩ Δ'/ρ²).
    ///
    /// - Returns: ⟨dΔ, Δ⟩.
    private func projectBackward(
        _ gradient: UnsafeMutablePointer<S>, _ projected: UnsafePointer<S>, _ length: UnsafePointer<S>
    ) -> S {
        let along = S.dot(shape.layer, gradient, projected)
        let radius = S(shape.radius)
        let r = length[0]
        guard r > radius else { return along }
        S.axpy(shape.layer, -along / (radius * radius), projected, gradient)
        S.scale(shape.layer, radius / r, gradient, gradient)
        // ⟨dΔ, Δ⟩ = ⟨dΔ', Δ'⟩ (1 − ‖Δ'‖²/ρ²), which cancels: taken from the gradient as it is now.
        return S.dot(shape.layer, gradient, projected) * (r / radius)
    }

    /// From dw (`scratch.right1`, `right2`) and dκ of W1 to everything that the chunk's writes were made from.
    ///
    /// The scratch holds W̄ and the keys of the memory (``setCurrent(_:_:)``, ``setKeys(_:_:)``).
    func writeBackward(
        _ n: Int, _ rows: ChunkRows<S>, _ initial: LayerPointers<S>, _ record: WriteRecord<S>,
        delta: LayerPointers<S>, _ gradients: MemoryGradients<S>, into drows: RowGradients<S>
    ) {
        solveBackward(n, rows, record, into: drows)
        if shape.usesDelta {
            similarityBackward(n, rows, record, into: drows)
            recalledBackward(n, rows, initial, delta, gradients, into: drows)
        }
        errorsBackward(n, rows, record, gradients, into: drows)
    }

    /// dR = Tᵀ dw, and from it what log η and log α get; leaves g = −η dR in `scratch.solved1` and `solved2`.
    private func solveBackward(
        _ n: Int, _ rows: ChunkRows<S>, _ record: WriteRecord<S>, into drows: RowGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (g1, g2) = (scratch.solved1, scratch.solved2)
        if shape.usesDelta {
            S.transposedTimes(n, d, n, record.inverse1, scratch.right1, into: g1)
            S.transposedTimes(n, m, n, rows.inverse, scratch.right2, into: g2)
        } else {
            g1.update(from: scratch.right1, count: n * d)
            g2.update(from: scratch.right2, count: n * m)
        }
        S.addRowDots(n, d, 1, g1, record.w1, drows.logStepSize)
        S.addRowDots(n, m, 1, g2, record.w2, drows.logStepSize)
        for t in 0..<n {
            S.scale(d, -rows.stepSize[t], g1 + t * d, g1 + t * d)
            S.scale(m, -rows.stepSize[t], g2 + t * m, g2 + t * m)
        }
        S.addRowDots(n, d, -1, g1, record.error1, drows.later)
        S.addRowDots(n, m, -1, g2, record.error2, drows.later)
    }

    /// Through L_ts = η_t (γ_{t−1}/γ_s) κ_s·κ_t. The layers whose keys are k share theirs: ``finishRows(_:_:_:)``.
    private func similarityBackward(
        _ n: Int, _ rows: ChunkRows<S>, _ record: WriteRecord<S>, into drows: RowGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (product, weighted) = scratch.square
        S.timesTransposed(n, n, d, scratch.solved1, record.w1, into: product)
        S.multiplyElements(n * n, product, rows.decay, weighted)
        S.times(n, m, n, weighted, scratch.key1, into: scratch.key1Gradient, adding: true)
        S.transposedTimes(n, m, n, weighted, scratch.key1, into: scratch.key1Gradient, adding: true)
        S.timesTransposed(n, n, m, scratch.solved2, record.w2, into: drows.similarity, adding: true)
    }

    /// Through W_0 κ_t + γ_{t−1} Δ̄ κ_t, whose gradient is g.
    private func recalledBackward(
        _ n: Int, _ rows: ChunkRows<S>, _ initial: LayerPointers<S>, _ delta: LayerPointers<S>,
        _ gradients: MemoryGradients<S>, into drows: RowGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (g1, g2) = (scratch.solved1, scratch.solved2)
        let (kept1, kept2) = (scratch.outer, scratch.inner.0)  // γ_{t−1} g
        S.scaleRows(n, d, rows.before, g1, kept1)
        S.scaleRows(n, m, rows.before, g2, kept2)
        S.times(n, m, d, g1, initial.w1, into: scratch.key1Gradient, adding: true)
        S.times(n, m, d, kept1, delta.w1, into: scratch.key1Gradient, adding: true)
        S.times(n, d, m, g2, initial.w2, into: drows.inputs, adding: true)
        S.times(n, d, m, kept2, delta.w2, into: drows.inputs, adding: true)
        if let target = gradients.initial {
            S.transposedTimes(d, m, n, g1, scratch.key1, into: target.w1, adding: true)
            S.transposedTimes(m, d, n, g2, rows.inputs, into: target.w2, adding: true)
        }
        if let target = gradients.wantedDelta {
            S.transposedTimes(d, m, n, kept1, scratch.key1, into: target.w1, adding: true)
            S.transposedTimes(m, d, n, kept2, rows.inputs, into: target.w2, adding: true)
        }
    }

    /// Through the inner gradient at W̄: u = −η (ℓe, δ), κ = s/ℓ, δ = W̄1ᵀe ⊙ silu'(a), e = k + W̄1 s − v̂.
    private func errorsBackward(
        _ n: Int, _ rows: ChunkRows<S>, _ record: WriteRecord<S>, _ gradients: MemoryGradients<S>,
        into drows: RowGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let current = scratch.current
        let (g1, g2) = (scratch.solved1, scratch.solved2)
        let (temporary, dback) = (scratch.inner.0, scratch.inner.0 + n * m)
        let da = scratch.inner.1  // of keys and values
        let de = scratch.outer  // de over the gradient of v + W̄1 silu(W̄2 v)
        S.siluSlope(n * m, record.a, temporary)
        S.multiplyElements(n * m, g2, temporary, dback)
        S.multiplyElements(n * m, g2, record.back, temporary)
        da.update(repeating: 0, count: 2 * n * m)
        S.siluSlopeBackward(n * m, record.a, temporary, da)
        S.scaleRows(n, d, record.length, g1, de)
        S.timesTransposed(n, d, m, dback, current.w1, into: de, adding: true)
        let wanted = gradients.initial != nil || gradients.wantedDelta != nil
        if wanted { S.transposedTimes(d, m, n, record.e, dback, into: scratch.currentGradient.w1) }
        // κ = s/ℓ and u1 = −η ℓ e, with ℓ = ‖s‖ + ε.
        let ds = scratch.inner.0
        ds.update(repeating: 0, count: 2 * n * m)
        for t in 0..<n {
            let (dkey, key) = (scratch.key1Gradient + t * m, scratch.key1 + t * m)
            let length = record.length[t]
            let dlength = S.dot(d, g1 + t * d, record.e + t * d) - S.dot(m, dkey, key) / length
            S.axpy(m, 1 / length, dkey, ds + t * m)
            let norm = length - normalizationEpsilon(S.self)
            if norm > 0 { S.axpy(m, dlength / norm, scratch.s + t * m, ds + t * m) }
        }
        // dv̂ = −de.
        let dtarget = g1
        S.scale(n * d, -1, de, dtarget)
        (de + n * d).update(repeating: 0, count: n * d)
        S.unitRowsBackward(n, d, record.target, record.targetScale, dtarget, de + n * d)
        S.times(2 * n, m, d, de, current.w1, into: ds, adding: true)
        S.siluBackward(2 * n * m, record.a, ds, da)
        S.axpy(2 * n * d, 1, de, drows.inputs)
        S.times(2 * n, d, m, da, current.w2, into: drows.inputs, adding: true)
        guard wanted else { return }
        S.transposedTimes(d, m, 2 * n, de, scratch.s, into: scratch.currentGradient.w1, adding: true)
        S.transposedTimes(m, d, 2 * n, da, rows.inputs, into: scratch.currentGradient.w2)
        addCurrentGradient(to: gradients.initial, gradients.wantedDelta)
    }

    /// What the memories written from the same rows gather together: the similarity of their keys k, and log α.
    func finishRows(_ n: Int, _ rows: ChunkRows<S>, _ drows: RowGradients<S>) {
        let d = shape.width
        if shape.usesDelta {
            let weighted = scratch.square.0
            S.multiplyElements(n * n, drows.similarity, rows.decay, weighted)
            S.times(n, d, n, weighted, rows.inputs, into: drows.inputs, adding: true)
            S.transposedTimes(n, d, n, weighted, rows.inputs, into: drows.inputs, adding: true)
        }
        var later = drows.final[0]
        for t in (0..<n).reversed() {
            drows.logRetention[t] = later - drows.logStepSize[t]
            later += drows.later[t]
        }
    }
}
