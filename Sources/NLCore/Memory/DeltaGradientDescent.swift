/// A chunk's writes into one layer W = W_0 + Δ by Delta Gradient Descent with retention (spec §2; NL Eqs. 57, 88, 90):
///
///     Δ_t = α_t Δ_{t−1} − η_t (W_0 + Δ_{t−1}) κ_t κ_tᵀ + u_t κ_tᵀ
///
/// `o` and `i` are the layer's output and input widths.
struct LayerWrite<S: TensorScalar> {
    /// W_0, `[G, o, i]`.
    let initial: Variable<S>
    /// Δ̄, the state at the chunk's start, `[G, o, i]`.
    let delta: Variable<S>
    /// κ, `[G, C, i]`.
    let keys: Variable<S>
    /// u, `[G, C, o]`.
    let u: Variable<S>
    /// For η and log α.
    let rows: MemoryRows<S>

    /// The recurrence as written: Δ_0 … Δ_C. The reference for ``chunked(usesDelta:)``.
    func recurrent(usesDelta: Bool) -> [Variable<S>] {
        var states = [delta]
        for t in 0..<keys.shape[1] {
            let at = t..<t + 1
            let (key, eta) = (keys.slice(at), rows.stepSize.slice(at))  // [G, 1, i], [G, 1]
            let last = states[t]
            var write = u.slice(at)  // [G, 1, o]
            if usesDelta {
                let recalled = key.matmul(initial + last, transposeRight: true)  // ((W_0 + Δ) κ)ᵀ
                write = write - recalled.scalingRows(by: eta)
            }
            let kept = last.scalingGroups(by: rows.logRetention.slice(at).exp())
            states.append(kept + write.matmul(key, transposeLeft: true))
        }
        return states
    }

    /// The whole chunk at once: w from one unit-lower-triangular system, then Δ_C.
    func chunked(usesDelta: Bool) -> ChunkedWrite<S> {
        let logGamma = rows.logRetention.cumulativeSum()  // [G, C]
        let before = logGamma.shifted()  // log γ_{t−1}
        let decay = logGamma.decayMatrix()  // γ_{t−1}/γ_s below the diagonal
        var w = u
        if usesDelta {
            let similarity = keys.matmul(keys, transposeRight: true) * decay  // [G, C, C]
            let recalled =
                keys.matmul(initial, transposeRight: true)
                + keys.matmul(delta, transposeRight: true).scalingRows(by: before.exp())
            let right = u - recalled.scalingRows(by: rows.stepSize)
            w = similarity.scalingRows(by: rows.stepSize).solvingUnitLower(right)
        }
        let length = keys.shape[1]
        let last = logGamma.slice(length - 1..<length)  // [G, 1]
        let remaining = (last.broadcastAlongRow(length) - logGamma).exp()  // γ_C/γ_s
        let final =
            delta.scalingGroups(by: last.exp())
            + w.scalingRows(by: remaining).matmul(keys, transposeLeft: true)
        return ChunkedWrite(layer: self, w: w, before: before, decay: decay, final: final)
    }
}

/// A chunk written in matrix form.
struct ChunkedWrite<S: TensorScalar> {
    let layer: LayerWrite<S>
    /// w_t of the spec, `[G, C, o]`.
    let w: Variable<S>
    /// log γ_{t−1}, `[G, C]`.
    let before: Variable<S>
    /// γ_{t−1}/γ_s below the diagonal, `[G, C, C]`.
    let decay: Variable<S>
    /// Δ_C before the projection, `[G, o, i]`.
    let final: Variable<S>

    /// (W_0 + Δ_{t−1}) z_t for every t of the chunk: `[G, C, i]` → `[G, C, o]`.
    func read(_ z: Variable<S>) -> Variable<S> {
        let within = z.matmul(layer.keys, transposeRight: true) * decay
        return z.matmul(layer.initial, transposeRight: true)
            + z.matmul(layer.delta, transposeRight: true).scalingRows(by: before.exp())
            + within.matmul(w)
    }
}

extension Variable {
    /// Each group's matrix times its own number.
    ///
    /// - Parameter factors: `[G, 1]`.
    func scalingGroups(by factors: Variable) -> Variable {
        let size = value.count / shape[0]
        return reshaped([shape[0], size]).scalingRows(by: factors).reshaped(shape)
    }

    /// `[G, 1]` → `[G, count]`.
    func broadcastAlongRow(_ count: Int) -> Variable {
        let groups = shape[0]
        let y = Tensor<S>(uninitialized: [groups, count])
        for g in 0..<groups { (y.pointer + g * count).update(repeating: value.pointer[g], count: count) }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            for g in 0..<groups { for i in 0..<count { d[g] += dy.pointer[g * count + i] } }
        }
    }
}
