/// The main memory's reads, backward: y_t = q_t + W1_{t−1} silu(W2_{t−1} q_t).
extension FusedGroup {
    /// Adds what the reads give to dw (`scratch.right1`, `right2`), dκ, dk, dq, dW_0, dΔ̄ and log α.
    ///
    /// The scratch holds the keys of the memory; ``advanceBackward(_:_:_:next:_:into:)`` has run.
    ///
    /// - Parameter dy: `[n, d]`.
    func readBackward(
        _ n: Int, _ chunk: FusedRecords<S>.Chunk, _ initial: LayerPointers<S>, _ delta: LayerPointers<S>,
        dy: UnsafePointer<S>, _ gradients: MemoryGradients<S>, into drows: RowGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (rows, write, record) = (chunk.rows, chunk.write, chunk.read)
        let queries = rows.inputs + 2 * n * d
        let dqueries = drows.inputs + 2 * n * d
        let (s, ds, da) = (scratch.inner.0, scratch.inner.1, scratch.solved2)
        S.silu(n * m, record.a, s)
        S.axpy(n * d, 1, dy, dqueries)
        ds.update(repeating: 0, count: n * m)
        recallBackward(
            n, d, m, dy, z: s, keys: scratch.key1, initial.w1, delta.w1, write.w1, record.similarity1, rows,
            kept: scratch.outer, dz: ds, dkeys: scratch.key1Gradient, dw: scratch.right1, gradients.initial?.w1,
            gradients.wantedDelta?.w1)
        S.addRowDots(n, d, 1, dy, record.recalled1, drows.later)
        da.update(repeating: 0, count: n * m)
        S.siluBackward(n * m, record.a, ds, da)
        recallBackward(
            n, m, d, da, z: queries, keys: rows.inputs, initial.w2, delta.w2, write.w2, record.similarity2, rows,
            kept: ds, dz: dqueries, dkeys: drows.inputs, dw: scratch.right2, gradients.initial?.w2,
            gradients.wantedDelta?.w2)
        S.addRowDots(n, m, 1, da, record.recalled2, drows.later)
    }

    /// Through W_0 z_t + γ_{t−1} Δ̄ z_t + Σ_{s<t} (γ_{t−1}/γ_s)(κ_s·z_t) w_s, adding to every gradient.
    ///
    /// - Parameters:
    ///   - dx: the gradient of the result, `[n, o]`.
    ///   - kept: scratch, `[n, o]`.
    private func recallBackward(
        _ n: Int, _ o: Int, _ i: Int, _ dx: UnsafePointer<S>, z: UnsafePointer<S>, keys: UnsafePointer<S>,
        _ initial: UnsafePointer<S>, _ delta: UnsafePointer<S>, _ w: UnsafePointer<S>, _ similarity: UnsafePointer<S>,
        _ rows: ChunkRows<S>, kept: UnsafeMutablePointer<S>, dz: UnsafeMutablePointer<S>, dkeys: UnsafeMutablePointer<S>,
        dw: UnsafeMutablePointer<S>, _ dinitial: UnsafeMutablePointer<S>?, _ ddelta: UnsafeMutablePointer<S>?
    ) {
        let (product, dsimilarity) = scratch.square
        S.timesTransposed(n, n, o, dx, w, into: product)
        S.multiplyElements(n * n, product, rows.decay, dsimilarity)
        S.transposedTimes(n, o, n, similarity, dx, into: dw, adding: true)
        S.transposedTimes(n, i, n, dsimilarity, z, into: dkeys, adding: true)
        S.scaleRows(n, o, rows.before, dx, kept)
        S.times(n, i, o, dx, initial, into: dz, adding: true)
        S.times(n, i, o, kept, delta, into: dz, adding: true)
        S.times(n, i, n, dsimilarity, keys, into: dz, adding: true)
        if let dinitial { S.transposedTimes(o, i, n, dx, z, into: dinitial, adding: true) }
        if let ddelta { S.transposedTimes(o, i, n, kept, z, into: ddelta, adding: true) }
    }
}
