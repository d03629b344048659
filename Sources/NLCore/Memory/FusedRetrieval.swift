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
    /// - Parameter delta: Δ of a memory at the span's start.
    func retrieve(
        _ n: Int, _ z: FusedInputs<S>, _ span: FusedRecords<S>.Span, delta: (MemoryKind) -> LayerPointers<S>
    ) {
        let (rows, record) = (span.rows, span.retrieval)
        setCurrent(initial[.key], delta(.key))
        retrieveUnit(n, z.key, record.aKey, into: rows.inputs + n * shape.width, record.keyScale)
        setCurrent(initial[.value], delta(.value))
        retrieveUnit(n, z.value, record.aValue, into: rows.inputs, record.valueScale)
        setCurrent(initial[.stepSize], delta(.stepSize))
        retrieveGate(n, z.gate, record.aStepSize, readouts.stepSize, into: scratch.numbers)
        let largest = S(shape.stepSizeMaximum)
        for t in 0..<n {
            let share = S.sigmoid(scratch.numbers[t])
            rows.stepSize[t] = largest * share
            record.stepSizeSlope[t] = 1 - share  // d log σ(x)/dx
        }
        guard shape.retains else {
            record.logRetention.update(repeating: 0, count: n)
            return
        }
        setCurrent(initial[.retention], delta(.retention))
        retrieveGate(n, z.gate, record.aRetention, readouts.retention, into: scratch.numbers)
        for t in 0..<n {
            record.logRetention[t] = S.logSigmoid(scratch.numbers[t])
            record.retentionSlope[t] = S.sigmoid(-scratch.numbers[t])
        }
    }

    /// l2(M̄(z)) by row.
    private func retrieveUnit(
        _ n: Int, _ z: UnsafePointer<S>, _ a: UnsafeMutablePointer<S>, into y: UnsafeMutablePointer<S>,
        _ scales: UnsafeMutablePointer<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        S.timesTransposed(n, m, d, z, scratch.current.w2, into: a)
        S.silu(n * m, a, scratch.s)
        let sum = scratch.outer
        sum.update(from: z, count: n * d)
        S.timesTransposed(n, d, m, scratch.s, scratch.current.w1, into: sum, adding: true)
        S.unitRows(n, d, sum, y, scales)
    }

    /// ⟨r, M̄(z)⟩ + b = ⟨r, z⟩ + ⟨W̄1ᵀr, silu(W̄2 z)⟩ + b by row: the outer layer is applied to r, not to the rows.
    private func retrieveGate(
        _ n: Int, _ z: UnsafePointer<S>, _ a: UnsafeMutablePointer<S>,
        _ gate: GatePointers<S>.Gate,
        into logits: UnsafeMutablePointer<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        S.timesTransposed(n, m, d, z, scratch.current.w2, into: a)
        S.silu(n * m, a, scratch.s)
        S.times(1, m, d, gate.readout, scratch.current.w1, into: scratch.readout)
        for t in 0..<n {
            logits[t] = S.dot(d, z + t * d, gate.readout) + S.dot(m, scratch.s + t * m, scratch.readout) + gate.bias[0]
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
    ///   - delta: Δ of a memory at the span's start.
    func retrieveBackward(
        _ n: Int, _ z: FusedInputs<S>, _ span: FusedRecords<S>.Span, _ drows: RowGradients<S>,
        into dz: FusedInputs<S>, _ gradients: GroupGradients<S>, leavesWithGradient: Bool,
        delta: (MemoryKind) -> LayerPointers<S>
    ) {
        let record = span.retrieval
        let d = shape.width
        let targets = { (kind: MemoryKind) in
            gradients.memory(kind, entersWithGradient: false, leavesWithGradient: leavesWithGradient)
        }
        setCurrent(initial[.key], delta(.key))
        retrieveUnitBackward(
            n, z.key, record.aKey, span.rows.inputs + n * d, record.keyScale, drows.inputs + n * d, into: dz.key, targets(.key))
        setCurrent(initial[.value], delta(.value))
        retrieveUnitBackward(
            n, z.value, record.aValue, span.rows.inputs, record.valueScale, drows.inputs, into: dz.value,
            targets(.value))
        setCurrent(initial[.stepSize], delta(.stepSize))
        S.scaleElements(n, by: record.stepSizeSlope, drows.logStepSize)
        retrieveGateBackward(
            n, z.gate, record.aStepSize, readouts.stepSize, drows.logStepSize, into: dz.gate,
            gradients.readouts.stepSize, targets(.stepSize))
        guard shape.retains else { return }
        setCurrent(initial[.retention], delta(.retention))
        S.scaleElements(n, by: record.retentionSlope, drows.logRetention)
        retrieveGateBackward(
            n, z.gate, record.aRetention, readouts.retention, drows.logRetention, into: dz.gate,
            gradients.readouts.retention, targets(.retention))
    }

    private func retrieveUnitBackward(
        _ n: Int, _ z: UnsafePointer<S>, _ a: UnsafePointer<S>, _ y: UnsafePointer<S>, _ scales: UnsafePointer<S>,
        _ dy: UnsafePointer<S>, into dz: UnsafeMutablePointer<S>, _ gradients: MemoryGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (dsum, ds, da) = (scratch.outer, scratch.innerGradient, scratch.inner)
        dsum.update(repeating: 0, count: n * d)
        S.unitRowsBackward(n, d, y, scales, dy, dsum)
        S.times(n, m, d, dsum, scratch.current.w1, into: ds)
        da.update(repeating: 0, count: n * m)
        S.siluBackward(n * m, a, ds, da)
        S.axpy(n * d, 1, dsum, dz)
        S.times(n, d, m, da, scratch.current.w2, into: dz, adding: true)
        S.silu(n * m, a, scratch.s)
        S.transposedTimes(d, m, n, dsum, scratch.s, into: scratch.currentGradient.w1)
        S.transposedTimes(m, d, n, da, z, into: scratch.currentGradient.w2)
        addCurrentGradient(to: gradients.initial, gradients.wantedDelta)
    }

    private func retrieveGateBackward(
        _ n: Int, _ z: UnsafePointer<S>, _ a: UnsafePointer<S>,
        _ gate: GatePointers<S>.Gate, _ dlogits: UnsafePointer<S>,
        into dz: UnsafeMutablePointer<S>,
        _ dgate: GatePointers<S>.Gate, _ gradients: MemoryGradients<S>
    ) {
        let (d, m) = (shape.width, shape.hidden)
        let (ds, da) = (scratch.innerGradient, scratch.inner)
        let (p, dp) = (scratch.readout, scratch.readoutGradient)  // W̄1ᵀr
        S.silu(n * m, a, scratch.s)
        S.times(1, m, d, gate.readout, scratch.current.w1, into: p)
        S.times(1, m, n, dlogits, scratch.s, into: dp)
        for t in 0..<n {
            S.scale(m, dlogits[t], p, ds + t * m)
            S.axpy(d, dlogits[t], gate.readout, dz + t * d)
            S.axpy(d, dlogits[t], z + t * d, dgate.readout)
            dgate.bias[0] += dlogits[t]
        }
        // dW̄1 = r dpᵀ, and r's own share of it W̄1 dp.
        S.timesTransposed(d, 1, m, scratch.current.w1, dp, into: dgate.readout, adding: true)
        for i in 0..<d { S.scale(m, gate.readout[i], dp, scratch.currentGradient.w1 + i * m) }
        da.update(repeating: 0, count: n * m)
        S.siluBackward(n * m, a, ds, da)
        S.times(n, d, m, da, scratch.current.w2, into: dz, adding: true)
        S.transposedTimes(m, d, n, da, z, into: scratch.currentGradient.w2)
        addCurrentGradient(to: gradients.initial, gradients.wantedDelta)
    }
}
