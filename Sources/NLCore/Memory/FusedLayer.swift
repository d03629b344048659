/// One layer of one memory over one chunk: its writes by the delta rule, and its reads before each row.
///
/// n rows, o outputs, i inputs; W̄ = W_0 + Δ̄ is the layer at the chunk's start.
struct FusedLayer<S: TensorScalar> {
    let n: Int
    let outputs: Int
    let inputs: Int
    /// Whether rows z are read besides being written.
    let reads: Bool
    /// κ and, where there are reads, z under it: `[n, i]` or `[2n, i]`.
    let keys: UnsafeMutablePointer<S>
    /// Δ̄, `[o, i]`; nil where it is zero.
    let delta: UnsafeMutablePointer<S>?
    let record: LayerRecord<S>

    /// n, or 2n with reads.
    var rows: Int { reads ? 2 * n : n }
    var size: Int { outputs * inputs }
}

extension FusedGroup {
    /// The first row of ``FusedLayer/keys`` that Δ acts on: without the delta term only the rows that are read.
    private func firstRecalled(_ layer: FusedLayer<S>) -> Int { shape.usesDelta ? 0 : layer.n }

    // MARK: - Forward

    /// T = (I + L)⁻¹ with L_ts = η_t (γ_{t−1}/γ_s) κ_t·κ_s, and (γ_{t−1}/γ_s) z_t·κ_s of the rows that are read.
    ///
    /// - Parameter keys: κ and, with reads, z under it, `[n, i]` or `[2n, i]`.
    func setSimilarities(
        _ n: Int, _ inputs: Int, _ keys: UnsafePointer<S>, reads: Bool, _ chunk: ChunkRows<S>,
        inverse: UnsafeMutablePointer<S>, similarity: UnsafeMutablePointer<S>
    ) {
        guard shape.usesDelta || reads else { return }
        let (product, negated) = scratch.square
        if reads {
            S.lowerOfTimesTransposed(n, inputs, keys + n * inputs, keys, into: product)
            S.multiplyElements(n * n, product, chunk.decay, similarity)
        }
        guard shape.usesDelta else { return }
        S.lowerOfTimesTransposed(n, inputs, keys, keys, into: product)
        S.multiplyElements(n * n, product, chunk.decay, negated)
        for t in 0..<n { S.scale(t, -chunk.stepSize[t], negated + t * n, negated + t * n) }
        S.invertUnitLower(n, negated, into: inverse, scratch: scratch.quarter)
    }

    /// w = T R with R_t = −η_t (x_t + W_0 κ_t + γ_{t−1} Δ̄ κ_t), or R_t = −η_t x_t without the delta term.
    ///
    /// - Parameters:
    ///   - current: W̄ κ, `[n, o]`.
    ///   - recalled: receives Δ̄ of κ and of z, `[2n, o]`.
    ///   - right: scratch, `[n, o]`.
    func solve(
        _ layer: FusedLayer<S>, _ chunk: ChunkRows<S>, current: UnsafePointer<S>,
        recalled: UnsafeMutablePointer<S>, right: UnsafeMutablePointer<S>
    ) {
        let (n, o) = (layer.n, layer.outputs)
        let (error, w) = (layer.record.error, layer.record.w)
        let first = firstRecalled(layer)
        if let delta = layer.delta, first < layer.rows {
            S.timesTransposed(
                layer.rows - first, o, layer.inputs, layer.keys + first * layer.inputs, delta,
                into: recalled + first * o)
        }
        guard shape.usesDelta else {
            for t in 0..<n { S.scale(o, -chunk.stepSize[t], error + t * o, w + t * o) }
            return
        }
        S.axpy(n * o, 1, current, error)
        if layer.delta != nil { S.axpy(n * o, -1, recalled, error) }
        for t in 0..<n {
            S.scale(o, -chunk.stepSize[t], error + t * o, right + t * o)
            guard layer.delta != nil else { continue }
            S.axpy(o, -chunk.stepSize[t] * chunk.before[t], recalled + t * o, right + t * o)
        }
        S.lowerTimes(n, o, layer.record.inverse, right, into: w)
    }

    /// W_{t−1} z_t = W_0 z_t + Δ_{t−1} z_t, with Δ_{t−1} z_t = γ_{t−1} Δ̄ z_t + Σ_{s<t} (γ_{t−1}/γ_s)(κ_s·z_t) w_s.
    ///
    /// - Parameters:
    ///   - recalled: Δ̄ z, `[n, o]`.
    ///   - result: W̄ z before, W_{t−1} z_t after: `[n, o]`.
    func read(
        _ layer: FusedLayer<S>, _ chunk: ChunkRows<S>, recalled: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>
    ) {
        let (n, o) = (layer.n, layer.outputs)
        let record = layer.record
        if layer.delta != nil {
            S.scaleRows(n, o, chunk.before, recalled, record.recalled)
            S.axpy(n * o, -1, recalled, result)
        }
        S.lowerTimes(n, o, record.similarity, record.w, into: record.recalled, adding: layer.delta != nil)
        S.axpy(n * o, 1, record.recalled, result)
    }

    /// Δ after n rows: Δ_n = γ_n Δ̄ + Σ_s (γ_n/γ_s) w_s κ_sᵀ, then Δ_n · min(1, ρ/r), r = sqrt(‖Δ_n‖² + ε).
    ///
    /// - Parameters:
    ///   - next: Δ, `[o, i]`; another place than Δ̄'s.
    ///   - length: r.
    func advance(
        _ layer: FusedLayer<S>, _ chunk: ChunkRows<S>, to next: UnsafeMutablePointer<S>,
        _ length: UnsafeMutablePointer<S>
    ) {
        let (n, o, i) = (layer.n, layer.outputs, layer.inputs)
        S.scaleRows(n, o, chunk.remaining, layer.record.w, scratch.moment)
        S.transposedTimes(o, i, n, scratch.moment, layer.keys, into: next)
        if let delta = layer.delta { S.axpy(layer.size, chunk.kept[0], delta, next) }
        let r = (S.dot(layer.size, next, next) + normalizationEpsilon(S.self)).squareRoot()
        length[0] = r
        let radius = S(shape.radius)
        // Written so that a NaN stays one.
        if !(r <= radius) { S.scale(layer.size, radius / r, next, next) }
    }

    // MARK: - Backward

    /// From dΔ after the chunk to dw, dκ and dΔ̄, as far as these come from ``advance(_:_:to:_:)``.
    ///
    /// - Parameters:
    ///   - gradient: dΔ', in place dΔ_n, and γ_n dΔ_n in the end.
    ///   - projected: Δ', and `length`, its r.
    ///   - dw: receives the gradient of w, `[n, o]`.
    ///   - dkeys: what dκ is added to, `[n, i]`.
    func advanceBackward(
        _ layer: FusedLayer<S>, _ chunk: ChunkRows<S>, _ gradient: UnsafeMutablePointer<S>,
        projected: UnsafePointer<S>, length: UnsafePointer<S>, dw: UnsafeMutablePointer<S>,
        dkeys: UnsafeMutablePointer<S>, _ drows: RowGradients<S>
    ) {
        let (n, o, i) = (layer.n, layer.outputs, layer.inputs)
        drows.final[0] += projectBackward(layer.size, gradient, projected, length[0])
        S.timesTransposed(n, o, i, layer.keys, gradient, into: dw)
        S.scaleRows(n, o, chunk.remaining, dw, dw)
        S.scaleRows(n, o, chunk.remaining, layer.record.w, scratch.moment)
        S.times(n, i, o, scratch.moment, gradient, into: dkeys, adding: true)
        S.scale(layer.size, chunk.kept[0], gradient, gradient)
    }

    /// Gradient through Δ' = Δ · min(1, ρ/r), in place: outside the ball (ρ/r)(dΔ' − ⟨dΔ', Δ'⟩ Δ'/ρ²).
    ///
    /// - Returns: ⟨dΔ, Δ⟩.
    private func projectBackward(
        _ size: Int, _ gradient: UnsafeMutablePointer<S>, _ projected: UnsafePointer<S>, _ r: S
    ) -> S {
        let along = S.dot(size, gradient, projected)
        let radius = S(shape.radius)
        guard r > radius else { return along }
        S.axpy(size, -along / (radius * radius), projected, gradient)
        S.scale(size, radius / r, gradient, gradient)
        // ⟨dΔ, Δ⟩ = ⟨dΔ', Δ'⟩ (1 − ‖Δ'‖²/ρ²) cancels: taken from the gradient as it is now.
        return S.dot(size, gradient, projected) * (r / radius)
    }

    /// From dw and the gradient of the reads to g = −η dR, and through the similarities and Δ̄ to dκ, dz and dΔ̄.
    ///
    /// What passes through W̄ is left to the caller, who has other rows to pass through it: with the delta term, g is
    /// the gradient of W̄ κ.
    ///
    /// - Parameters:
    ///   - dw: the gradient of w from the state, `[n, o]`; changed.
    ///   - gradient: receives g in its first n rows; holds the gradient of W_{t−1} z_t in the others. `[2n, o]`.
    ///   - dkeys: what dκ and dz are added to, `[2n, i]`.
    ///   - ddelta: what dΔ̄ is added to, `[o, i]`.
    ///   - sharesKeys: leaves the similarities of the keys to ``finishRows(_:_:_:)``.
    func solveBackward(
        _ layer: FusedLayer<S>, _ chunk: ChunkRows<S>, dw: UnsafeMutablePointer<S>,
        _ gradient: UnsafeMutablePointer<S>, dkeys: UnsafeMutablePointer<S>, ddelta: UnsafeMutablePointer<S>?,
        sharesKeys: Bool, _ drows: RowGradients<S>
    ) {
        let (n, o, i, record) = (layer.n, layer.outputs, layer.inputs, layer.record)
        if layer.reads {
            S.lowerTransposedTimes(n, o, record.similarity, gradient + n * o, into: dw, adding: true)
            S.addRowDots(n, o, 1, gradient + n * o, record.recalled, drows.later)
        }
        if shape.usesDelta {
            S.lowerTransposedTimes(n, o, record.inverse, dw, into: gradient)
        } else {
            gradient.update(from: dw, count: n * o)
        }
        S.addRowDots(n, o, 1, gradient, record.w, drows.logStepSize)
        for t in 0..<n { S.scale(o, -chunk.stepSize[t], gradient + t * o, gradient + t * o) }
        S.addRowDots(n, o, -1, gradient, record.error, drows.later)

        let first = firstRecalled(layer)
        let count = layer.rows - first
        guard count > 0 else { return }
        let (gradient, keys, dkeysFrom) = (gradient + first * o, layer.keys + first * i, dkeys + first * i)
        if sharesKeys {
            S.lowerOfTimesTransposed(n, o, gradient, record.w, into: drows.similarity, adding: true)
        } else {
            let (product, weighted) = scratch.square
            for row in stride(from: 0, to: count, by: n) {
                S.lowerOfTimesTransposed(n, o, gradient + row * o, record.w, into: product)
                S.multiplyElements(n * n, product, chunk.decay, weighted)
                S.lowerTimes(n, i, weighted, layer.keys, into: dkeysFrom + row * i, adding: true)
                S.lowerTransposedTimes(n, i, weighted, keys + row * i, into: dkeys, adding: true)
            }
        }
        guard let delta = layer.delta else { return }
        // W_0 κ + γ_{t−1} Δ̄ κ = W̄ κ + (γ_{t−1} − 1) Δ̄ κ.
        for row in 0..<count {
            S.scale(o, chunk.before[row % n] - 1, gradient + row * o, scratch.moment + row * o)
        }
        S.times(count, i, o, scratch.moment, delta, into: dkeysFrom, adding: true)
        if let ddelta { S.transposedTimes(o, i, count, scratch.moment, keys, into: ddelta, adding: true) }
    }
}
