/// A chunk of one memory backward: the lines of ``FusedTitans`` in order.
extension FusedGroup {
    /// From the gradients of the reads and of Δ after the chunk to those of its rows, of W_0 and of Δ before it.
    ///
    /// - Parameters:
    ///   - delta: Δ̄ before the chunk, and `next` Δ after it.
    ///   - dy: the gradient of the reads, `[n, d]`.
    func writeBackward(
        _ n: Int, _ chunk: ChunkRows<S>, _ kind: MemoryKind, _ record: WriteRecord<S>,
        from delta: LayerPointers<S>?, to next: StateRecord<S>, _ gradients: MemoryGradients<S>,
        into drows: RowGradients<S>, reading dy: UnsafePointer<S>? = nil
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (layer1, layer2) = layers(n, chunk, record, delta, reads: dy != nil)
        let blocks = dy == nil ? 2 : 3
        let dkeys2 = drows.inputs + n * d
        let current = current(kind, delta)
        setKeys(n, record, blocks: blocks)
        scratch.keys1Gradient.update(repeating: 0, count: layer1.rows * m)
        if gradients.entersWithGradient, let ddelta = gradients.delta {
            advanceBackward(
                layer1, chunk, ddelta.w1, projected: next.delta.w1, length: next.length.w1, dw: scratch.right1,
                dkeys: scratch.keys1Gradient, drows)
            advanceBackward(
                layer2, chunk, ddelta.w2, projected: next.delta.w2, length: next.length.w2, dw: scratch.right2,
                dkeys: dkeys2, drows)
        } else {
            scratch.right1.update(repeating: 0, count: n * d)
            scratch.right2.update(repeating: 0, count: n * m)
        }
        if let dy { (scratch.rows1 + n * d).update(from: dy, count: n * d) }
        solveBackward(
            layer1, chunk, dw: scratch.right1, scratch.rows1, dkeys: scratch.keys1Gradient,
            ddelta: gradients.wantedDelta?.w1, sharesKeys: false, drows)
        if dy != nil {
            // Through W̄1 silu(a) of the reads, then silu: what reads W̄1 κ comes with e.
            let (dread, da) = (scratch.keys1Gradient + n * m, scratch.rows2 + n * m)
            S.times(n, m, d, scratch.rows1 + n * d, current.w1, into: dread, adding: true)
            da.update(repeating: 0, count: n * m)
            S.siluBackward(n * m, record.a + 2 * n * m, dread, da)
        }
        solveBackward(
            layer2, chunk, dw: scratch.right2, scratch.rows2, dkeys: dkeys2, ddelta: gradients.wantedDelta?.w2,
            sharesKeys: dy == nil, drows)
        errorsBackward(n, chunk, record, current, blocks: blocks, gradients, into: drows)
        inputsBackward(n, chunk, current, dy, gradients, into: drows)
    }

    /// s of all rows and κ = s/ℓ of W1 from a and ℓ.
    private func setKeys(_ n: Int, _ record: WriteRecord<S>, blocks: Int) {
        let m = shape.hidden
        S.silu(blocks * n * m, record.a, scratch.s)
        for t in 0..<n { S.scale(m, 1 / record.length[t], scratch.s + (n + t) * m, scratch.keys1 + t * m) }
        if blocks == 3 { (scratch.keys1 + n * m).update(from: scratch.s + 2 * n * m, count: n * m) }
    }

    /// Through the inner gradient at W̄: u = −η (ℓe, δ), κ = s/ℓ, δ = W̄1ᵀe ⊙ silu'(a), e = k + W̄1 s − v̂.
    ///
    /// Leaves in the scratch the gradients of a of values and keys (`inner`), and those of v + W̄1 silu(W̄2 v) and of
    /// W̄1 s (`outer`); begins dW̄1.
    private func errorsBackward(
        _ n: Int, _ chunk: ChunkRows<S>, _ record: WriteRecord<S>, _ current: LayerPointers<S>, blocks: Int,
        _ gradients: MemoryGradients<S>, into drows: RowGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (g1, g2) = (scratch.rows1, scratch.rows2)
        let (a, keys) = (record.a + n * m, chunk.inputs + n * d)
        let da = scratch.inner
        let de = scratch.outer + n * d
        da.update(repeating: 0, count: blocks * n * m)
        let (dslope, dback) = (scratch.innerGradient, scratch.innerGradient + n * m)
        S.siluSlope(n * m, a, dslope)
        S.multiplyElements(n * m, g2, dslope, dback)
        S.multiplyElements(n * m, g2, record.back, dslope)
        S.siluSlopeBackward(n * m, a, dslope, da + n * m)
        S.scaleRows(n, d, record.length, g1, de)
        S.timesTransposed(n, d, m, dback, current.w1, into: de, adding: true)
        if gradients.wantsCurrent { S.transposedTimes(d, m, n, record.e, dback, into: scratch.currentGradient.w1) }
        let dtarget = scratch.moment
        S.scale(n * d, -1, de, dtarget)
        scratch.outer.update(repeating: 0, count: n * d)
        S.unitRowsBackward(n, d, record.target, record.targetScale, dtarget, scratch.outer)
        S.axpy(2 * n * d, 1, scratch.outer, drows.inputs)
        // κ = s/ℓ and u = −η ℓ e, with ℓ = ‖s‖ + ε; with the delta term, g is the gradient of W̄1 κ too.
        for t in 0..<n where shape.usesDelta { S.axpy(d, 1 / record.length[t], g1 + t * d, de + t * d) }
        let ds = scratch.innerGradient
        S.times(2 * n, m, d, scratch.outer, current.w1, into: ds)
        for t in 0..<n {
            let (dkey, key, g) = (scratch.keys1Gradient + t * m, scratch.keys1 + t * m, g1 + t * d)
            let length = record.length[t]
            let alongError = S.dot(d, g, record.e + t * d)
            var alongKey = S.dot(m, dkey, key)
            if shape.usesDelta {
                // ⟨g, W̄1 κ⟩ from W̄1 s = e − k + v̂.
                alongKey += (alongError - S.dot(d, g, keys + t * d) + S.dot(d, g, record.target + t * d)) / length
            }
            S.axpy(m, 1 / length, dkey, ds + (n + t) * m)
            let norm = length - normalizationEpsilon(S.self)
            guard norm > 0 else { continue }
            S.axpy(m, (alongError - alongKey / length) / norm, scratch.s + (n + t) * m, ds + (n + t) * m)
        }
        S.siluBackward(2 * n * m, record.a, ds, da)
    }

    /// Gradients of values, keys and queries, and dW̄, from the rows of all blocks at once.
    private func inputsBackward(
        _ n: Int, _ chunk: ChunkRows<S>, _ current: LayerPointers<S>, _ dy: UnsafePointer<S>?,
        _ gradients: MemoryGradients<S>, into drows: RowGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (da, de) = (scratch.inner, scratch.outer)
        let rows = (dy == nil ? 2 : 3) * n
        // With the delta term, g is the gradient of W̄2 k too.
        if shape.usesDelta { S.axpy(n * m, 1, scratch.rows2, da + n * m) }
        if let dy {
            S.axpy(n * d, 1, dy, drows.inputs + 2 * n * d)
            (da + 2 * n * m).update(from: scratch.rows2 + n * m, count: n * m)
            (de + 2 * n * d).update(from: dy, count: n * d)
        }
        S.times(rows, d, m, da, current.w2, into: drows.inputs, adding: true)
        guard gradients.wantsCurrent else { return }
        S.transposedTimes(d, m, rows, de, scratch.s, into: scratch.currentGradient.w1, adding: true)
        S.transposedTimes(m, d, rows, da, chunk.inputs, into: scratch.currentGradient.w2)
        addCurrentGradient(to: gradients.initial, gradients.wantedDelta)
    }

    /// What the memories written from the same rows gather together: the similarity of their keys k, and log α.
    func finishRows(_ n: Int, _ chunk: ChunkRows<S>, sharesKeys: Bool, _ drows: RowGradients<S>) {
        let d = shape.width
        if sharesKeys, shape.usesDelta {
            let weighted = scratch.square.0
            let (keys, dkeys) = (chunk.inputs + n * d, drows.inputs + n * d)
            S.multiplyElements(n * n, drows.similarity, chunk.decay, weighted)
            S.lowerTimes(n, d, weighted, keys, into: dkeys, adding: true)
            S.lowerTransposedTimes(n, d, weighted, keys, into: dkeys, adding: true)
        }
        var later = drows.final[0]
        for t in (0..<n).reversed() {
            drows.logRetention[t] = later - drows.logStepSize[t]
            later += drows.later[t]
        }
    }
}
