/// Writing a chunk into a memory by Delta Gradient Descent with retention (spec §2; NL Eqs. 57, 88, 90), a few rows at a
/// time, and reading the memory between the rows (Eqs. 86, 94).
///
/// One routine for a row of decoding and for a whole chunk of a prompt. On libraries whose products treat each row alike
/// whatever stands beside it, the bits do not depend on how a stream is cut into calls either: sums over earlier rows
/// always run over the same rows in the same order, those to come multiplied by zero.
extension HeadMemory {
    /// Computes w of the new rows, which completes them, and reads the memory before each of them.
    ///
    /// - Parameters:
    ///   - decay: which rows are new, and the decay between them.
    ///   - queries: q of the new rows, `[count, d]`, if they are read.
    ///   - reads: y of the new rows, `[count, d]`.
    func append(
        _ rows: OpenChunk<S>, _ decay: ChunkDecay<S>, queries: UnsafePointer<S>? = nil,
        reads: UnsafeMutablePointer<S>? = nil, _ scratch: Scratch<S>
    ) {
        var scratch = scratch
        let (known, n, capacity) = (decay.known, decay.count, rows.capacity)
        let d = head
        let m = hidden
        let usesDelta = rows.usesDelta

        // Keys, values and queries together through the inner layer, W_0 and Δ̄ apart: the rows of `a0` and `a1`.
        let total = queries == nil ? 2 * n : 3 * n
        let x = scratch.take(total * d)
        x.update(from: rows.key + known * d, count: n * d)
        (x + n * d).update(from: rows.value + known * d, count: n * d)
        if let queries { (x + 2 * n * d).update(from: queries, count: n * d) }
        let a0 = scratch.take(total * m)
        let a1 = scratch.take(total * m)
        multiplySmall(total, m, d, x, d, w2T, m, a0, m)
        multiplySmall(total, m, d, x, d, delta2T, m, a1, m)

        // M̄(k) and M̄(v); b0 and b1 are what W_0 and Δ̄ of the outer layer add.
        let a = scratch.take(2 * n * m)
        let s = scratch.take(2 * n * m)
        S.add(2 * n * m, a0, a1, a)
        S.silu(2 * n * m, a, s)
        let b0 = scratch.take(2 * n * d)
        let b1 = scratch.take(2 * n * d)
        multiplySmall(2 * n, d, m, s, m, w1T, d, b0, d)
        multiplySmall(2 * n, d, m, s, m, delta1T, d, b1, d)
        let e = scratch.take(2 * n * d)
        S.add(2 * n * d, b0, b1, e)
        S.axpy(2 * n * d, 1, x, e)

        // The inner gradient of ½‖M̄(k) − v̂‖²: e = M̄(k) − v̂, δ = (W̄1ᵀ e) ⊙ silu'(a).
        let target = scratch.take(n * d)
        let scales = scratch.take(n)
        S.unitRows(n, d, e + n * d, target, scales)
        S.axpy(n * d, -1, target, e)
        let back = scratch.take(n * m)
        let slope = scratch.take(n * m)
        let delta = scratch.take(n * m)
        multiplySmall(n, m, d, e, d, w1, m, back, m)
        multiplySmall(n, m, d, e, d, delta1T, d, back, m, transposeB: true, accumulate: true)
        S.siluSlope(n * m, a, slope)
        S.multiplyElements(n * m, back, slope, delta)

        // Right sides u_t − η_t (W_0 + γ_{t−1} Δ̄) κ_t, where κ = k for W2 and s/(‖s‖ + ε) for W1.
        let hiddenKey = rows.hiddenKey + known * m
        let w1 = rows.w1 + known * d
        let w2 = rows.w2 + known * m
        hiddenKey.update(repeating: 0, count: n * m)
        w1.update(repeating: 0, count: n * d)
        w2.update(repeating: 0, count: n * m)
        for t in 0..<n {
            let step = -rows.stepSize[known + t]
            let gamma = decay.before[t]
            let length = S.dot(m, s + t * m, s + t * m).squareRoot() + normalizationEpsilon(S.self)
            S.axpy(m, 1 / length, s + t * m, hiddenKey + t * m)
            S.axpy(m, step, delta + t * m, w2 + t * m)
            S.axpy(d, step * length, e + t * d, w1 + t * d)
            guard usesDelta else { continue }
            S.axpy(m, step, a0 + t * m, w2 + t * m)
            S.axpy(m, step * gamma, a1 + t * m, w2 + t * m)
            S.axpy(d, step / length, b0 + t * d, w1 + t * d)
            S.axpy(d, step / length * gamma, b1 + t * d, w1 + t * d)
        }
        if usesDelta {
            let system = scratch.take(n * capacity)
            let similarity = scratch.take(n * capacity)
            multiplySmall(n, capacity, d, x, d, rows.key, d, similarity, capacity, transposeB: true)
            S.multiplyElements(n * capacity, similarity, decay.matrix, system)
            substitute(system, rows, decay, width: m, into: rows.w2, scratch)
            multiplySmall(n, capacity, m, hiddenKey, m, rows.hiddenKey, m, similarity, capacity, transposeB: true)
            S.multiplyElements(n * capacity, similarity, decay.matrix, system)
            substitute(system, rows, decay, width: d, into: rows.w1, scratch)
        }
        if let queries, let reads {
            read(rows, decay, queries, a0 + 2 * n * m, a1 + 2 * n * m, into: reads, scratch)
        }
    }

    /// Forward substitution of w_t ← w_t − η_t Σ_{s<t} L_{ts} w_s for the new rows.
    ///
    /// Rows before the last multiple of ``block`` come in by a product, the others one by one; which are which depends
    /// on the place in the chunk alone.
    ///
    /// - Parameters:
    ///   - system: L, `[count, capacity]`.
    ///   - w: `[capacity, width]`, right sides in the new rows.
    private func substitute(
        _ system: UnsafeMutablePointer<S>, _ rows: OpenChunk<S>, _ decay: ChunkDecay<S>, width: Int,
        into w: UnsafeMutablePointer<S>, _ scratch: Scratch<S>
    ) {
        var scratch = scratch
        let capacity = rows.capacity
        let end = decay.known + decay.count
        let scaled = scratch.take(decay.count * capacity)
        scaled.update(repeating: 0, count: decay.count * capacity)
        for t in 0..<decay.count {
            S.axpy(
                decay.known + t, -rows.stepSize[decay.known + t], system + t * capacity, scaled + t * capacity)
        }
        var row = decay.known
        while row < end {
            let first = row / substitutionBlock * substitutionBlock
            let last = min(first + substitutionBlock, end)
            let lines = scaled + (row - decay.known) * capacity
            if first > 0 {
                multiplySmall(
                    last - row, width, first, lines, capacity, w, width, w + row * width, width, accumulate: true)
            }
            for t in row..<last {
                let line = lines + (t - row) * capacity
                for s in first..<t { S.axpy(width, line[s], w + s * width, w + t * width) }
            }
            row = last
        }
    }

    /// y_t = q_t + W1_{t−1} silu(W2_{t−1} q_t), with W_{t−1} z = W_0 z + γ_{t−1} Δ̄ z + Σ_{s<t} (γ_{t−1}/γ_s) (κ_s·z) w_s.
    ///
    /// - Parameters:
    ///   - a0: W2_0 q, `[count, m]`; overwritten.
    ///   - a1: Δ̄2 q, `[count, m]`.
    private func read(
        _ rows: OpenChunk<S>, _ decay: ChunkDecay<S>, _ queries: UnsafePointer<S>, _ a0: UnsafeMutablePointer<S>,
        _ a1: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, _ scratch: Scratch<S>
    ) {
        var scratch = scratch
        let (n, capacity, d, m) = (decay.count, rows.capacity, head, hidden)
        let similarity = scratch.take(n * capacity)
        let within = scratch.take(n * capacity)
        multiplySmall(n, capacity, d, queries, d, rows.key, d, similarity, capacity, transposeB: true)
        S.multiplyElements(n * capacity, similarity, decay.matrix, within)
        for t in 0..<n { S.axpy(m, decay.before[t], a1 + t * m, a0 + t * m) }
        multiplySmall(n, m, capacity, within, capacity, rows.w2, m, a0, m, accumulate: true)

        let s = scratch.take(n * m)
        let b1 = scratch.take(n * d)
        S.silu(n * m, a0, s)
        y.update(from: queries, count: n * d)
        multiplySmall(n, d, m, s, m, w1T, d, y, d, accumulate: true)
        multiplySmall(n, d, m, s, m, delta1T, d, b1, d)
        for t in 0..<n { S.axpy(d, decay.before[t], b1 + t * d, y + t * d) }
        multiplySmall(n, capacity, m, s, m, rows.hiddenKey, m, similarity, capacity, transposeB: true)
        S.multiplyElements(n * capacity, similarity, decay.matrix, within)
        multiplySmall(n, d, capacity, within, capacity, rows.w1, d, y, d, accumulate: true)
    }

    /// Writes a whole chunk: Δ ← γ_C Δ̄ + Σ_s (γ_C/γ_s) w_s κ_sᵀ, pulled back onto the ball.
    func close(_ rows: OpenChunk<S>, _ decay: ChunkDecay<S>, radius: S, _ scratch: Scratch<S>) {
        var scratch = scratch
        let capacity = rows.capacity
        precondition(decay.known + decay.count == capacity, "a chunk is written when it is complete")
        let last = decay.logGamma[capacity - 1]
        let kept = S.exponential(last)
        let scaled = scratch.take(capacity * max(head, hidden))
        let sum = scratch.take(head * hidden)
        func write(
            _ w: UnsafePointer<S>, _ width: Int, _ keys: UnsafePointer<S>, _ keyWidth: Int,
            into delta: UnsafeMutablePointer<S>
        ) {
            scaled.update(repeating: 0, count: capacity * width)
            for s in 0..<capacity {
                let remaining = S.exponential(Swift.min(last - decay.logGamma[s], 0))
                S.axpy(width, remaining, w + s * width, scaled + s * width)
            }
            multiplySmall(keyWidth, width, capacity, keys, keyWidth, scaled, width, sum, width, transposeA: true)
            let size = keyWidth * width
            S.axpy(size, kept, delta, sum)
            let length = (S.dot(size, sum, sum) + normalizationEpsilon(S.self)).squareRoot()
            delta.update(repeating: 0, count: size)
            S.axpy(size, Swift.min(1, radius / length), sum, delta)
        }
        write(rows.w2, hidden, rows.key, head, into: delta2T)
        write(rows.w1, head, rows.hiddenKey, hidden, into: delta1T)
    }

    /// What ``append(_:_:queries:reads:_:)`` and ``close(_:_:radius:_:)`` need.
    static func scratchCount(head: Int, hidden: Int, capacity: Int, count n: Int) -> Int {
        let wide = max(head, hidden)
        let r = Scratch<S>.rounded
        let inner = r(3 * n * head) + 2 * r(3 * n * hidden) + 2 * r(2 * n * hidden) + 3 * r(2 * n * head)
        let gradient = r(n * head) + r(n) + 3 * r(n * hidden)
        let within = 4 * r(n * capacity) + r(n * hidden) + r(n * head)
        return max(inner + gradient + within + r(n * capacity), r(capacity * wide) + r(head * hidden))
    }
}

/// Rows of a chunk that are substituted one by one; more are cut into blocks of this many.
private let substitutionBlock = 16
