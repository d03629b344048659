/// Inputs of the recurrence, `[T, d]` of one group: values, or their gradients.
struct FusedInputs<S: TensorScalar> {
    /// z_k.
    let key: UnsafeMutablePointer<S>
    /// z_v.
    let value: UnsafeMutablePointer<S>
    /// c, the input of the gates' memories.
    let gate: UnsafeMutablePointer<S>
    /// q, of unit length.
    let query: UnsafeMutablePointer<S>

    /// The rows from `row` on.
    func from(_ row: Int, width: Int) -> FusedInputs {
        let offset = row * width
        return FusedInputs(key: key + offset, value: value + offset, gate: gate + offset, query: query + offset)
    }
}

/// Generating the rows of a span from W̄ of the four projection memories (spec §2, "Chunks").
extension FusedGroup {
    /// k, v, η and log α of n rows, into the span's records.
    ///
    /// - Parameter delta: Δ of a memory at the span's start, nil where it is zero.
    func retrieve(
        _ n: Int, _ z: FusedInputs<S>, _ span: FusedRecords<S>.Span, delta: (MemoryKind) -> LayerPointers<S>?
    ) {
        let (rows, record) = (span.rows, span.retrieval)
        retrieveUnit(n, current(.value, delta(.value)), z.value, record.value, into: rows.inputs)
        retrieveUnit(n, current(.key, delta(.key)), z.key, record.key, into: rows.inputs + n * shape.width)
        let logits = scratch.numbers
        retrieveGate(
            n, current(.stepSize, delta(.stepSize)), readouts.stepSize, z.gate, record.stepSize.a, into: logits)
        let largest = S(shape.stepSizeMaximum)
        for t in 0..<n {
            let share = S.sigmoid(logits[t])
            rows.stepSize[t] = largest * share
            record.stepSize.slope[t] = 1 - share
        }
        guard shape.retains else {
            record.logRetention.update(repeating: 0, count: n)
            return
        }
        retrieveGate(
            n, current(.retention, delta(.retention)), readouts.retention, z.gate, record.retention.a, into: logits)
        for t in 0..<n {
            record.logRetention[t] = S.logSigmoid(logits[t])
            record.retention.slope[t] = S.sigmoid(-logits[t])
        }
    }

    /// l2(M̄(z)) by row.
    private func retrieveUnit(
        _ n: Int, _ current: LayerPointers<S>, _ z: UnsafePointer<S>, _ record: RetrievalRecord<S>.Unit,
        into y: UnsafeMutablePointer<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let sum = scratch.outer
        S.timesTransposed(n, m, d, z, current.w2, into: record.a)
        S.silu(n * m, record.a, scratch.s)
        sum.update(from: z, count: n * d)
        S.timesTransposed(n, d, m, scratch.s, current.w1, into: sum, adding: true)
        S.unitRows(n, d, sum, y, record.scale)
    }

    /// ⟨r, M̄(z)⟩ + b = ⟨r, z⟩ + ⟨W̄1ᵀr, silu(W̄2 z)⟩ + b by row: the outer layer is applied to r, not to the rows.
    private func retrieveGate(
        _ n: Int, _ current: LayerPointers<S>, _ gate: GatePointers<S>.Gate, _ z: UnsafePointer<S>,
        _ a: UnsafeMutablePointer<S>, into logits: UnsafeMutablePointer<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        S.timesTransposed(n, m, d, z, current.w2, into: a)
        S.silu(n * m, a, scratch.s)
        S.times(1, m, d, gate.readout, current.w1, into: scratch.readout)
        for t in 0..<n {
            let recalled = S.dot(m, scratch.s + t * m, scratch.readout)
            logits[t] = S.dot(d, z + t * d, gate.readout) + recalled + gate.bias[0]
        }
    }

    // MARK: - Backward

    /// Gradients of a span's rows to gradients of z, of the memories' W̄ and of the readouts.
    ///
    /// - Parameters:
    ///   - drows: gradients of keys and values, log η and log α; left undefined.
    ///   - dz: what the gradients of z are added to.
    ///   - gradients: what the gradients of W_0, Δ and the readouts are added to.
    ///   - leavesWithGradient: whether Δ at the span's start has one.
    ///   - delta: Δ of a memory at the span's start, nil where it is zero.
    func retrieveBackward(
        _ n: Int, _ z: FusedInputs<S>, _ span: FusedRecords<S>.Span, _ drows: RowGradients<S>,
        into dz: FusedInputs<S>, _ gradients: GroupGradients<S>, leavesWithGradient: Bool,
        delta: (MemoryKind) -> LayerPointers<S>?
    ) {
        let record = span.retrieval
        let (values, keys) = (0, n * shape.width)
        let targets = { (kind: MemoryKind) in
            gradients.memory(kind, entersWithGradient: false, leavesWithGradient: leavesWithGradient)
        }
        retrieveUnitBackward(
            n, current(.value, delta(.value)), z.value, record.value, span.rows.inputs + values,
            drows.inputs + values, into: dz.value, targets(.value))
        retrieveUnitBackward(
            n, current(.key, delta(.key)), z.key, record.key, span.rows.inputs + keys, drows.inputs + keys,
            into: dz.key, targets(.key))
        S.scaleElements(n, by: record.stepSize.slope, drows.logStepSize)
        retrieveGateBackward(
            n, current(.stepSize, delta(.stepSize)), readouts.stepSize, z.gate, record.stepSize.a, drows.logStepSize,
            into: dz.gate, gradients.readouts.stepSize, targets(.stepSize))
        guard shape.retains else { return }
        S.scaleElements(n, by: record.retention.slope, drows.logRetention)
        retrieveGateBackward(
            n, current(.retention, delta(.retention)), readouts.retention, z.gate, record.retention.a,
            drows.logRetention, into: dz.gate, gradients.readouts.retention, targets(.retention))
    }

    private func retrieveUnitBackward(
        _ n: Int, _ current: LayerPointers<S>, _ z: UnsafePointer<S>, _ record: RetrievalRecord<S>.Unit,
        _ y: UnsafePointer<S>, _ dy: UnsafePointer<S>, into dz: UnsafeMutablePointer<S>,
        _ gradients: MemoryGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (dsum, ds, da) = (scratch.outer, scratch.innerGradient, scratch.inner)
        dsum.update(repeating: 0, count: n * d)
        S.unitRowsBackward(n, d, y, record.scale, dy, dsum)
        S.times(n, m, d, dsum, current.w1, into: ds)
        da.update(repeating: 0, count: n * m)
        S.siluBackward(n * m, record.a, ds, da)
        S.axpy(n * d, 1, dsum, dz)
        S.times(n, d, m, da, current.w2, into: dz, adding: true)
        S.silu(n * m, record.a, scratch.s)
        S.transposedTimes(d, m, n, dsum, scratch.s, into: scratch.currentGradient.w1)
        S.transposedTimes(m, d, n, da, z, into: scratch.currentGradient.w2)
        addCurrentGradient(to: gradients.initial, gradients.wantedDelta)
    }

    private func retrieveGateBackward(
        _ n: Int, _ current: LayerPointers<S>, _ gate: GatePointers<S>.Gate, _ z: UnsafePointer<S>,
        _ a: UnsafePointer<S>, _ dlogits: UnsafePointer<S>, into dz: UnsafeMutablePointer<S>,
        _ dgate: GatePointers<S>.Gate, _ gradients: MemoryGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (ds, da) = (scratch.innerGradient, scratch.inner)
        let (p, dp) = (scratch.readout, scratch.readoutGradient)  // p = W̄1ᵀr
        S.silu(n * m, a, scratch.s)
        S.times(1, m, d, gate.readout, current.w1, into: p)
        S.times(1, m, n, dlogits, scratch.s, into: dp)
        for t in 0..<n {
            S.scale(m, dlogits[t], p, ds + t * m)
            S.axpy(d, dlogits[t], gate.readout, dz + t * d)
            S.axpy(d, dlogits[t], z + t * d, dgate.readout)
            dgate.bias[0] += dlogits[t]
        }
        // dW̄1 = r dpᵀ, and r's own share of it W̄1 dp.
        S.timesTransposed(d, 1, m, current.w1, dp, into: dgate.readout, adding: true)
        for i in 0..<d { S.scale(m, gate.readout[i], dp, scratch.currentGradient.w1 + i * m) }
        da.update(repeating: 0, count: n * m)
        S.siluBackward(n * m, a, ds, da)
        S.times(n, d, m, da, current.w2, into: dz, adding: true)
        S.transposedTimes(m, d, n, da, z, into: scratch.currentGradient.w2)
        addCurrentGradient(to: gradients.initial, gradients.wantedDelta)
    }
}
