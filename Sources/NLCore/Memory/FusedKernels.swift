/// Small steps of the fused recurrence: products of contiguous matrices, rows times numbers, the decays of a chunk
/// and its triangular inverse.
extension TensorScalar {
    /// C ← A Bᵀ (+ C): `[m, k]`, `[n, k]` → `[m, n]`.
    @inline(__always)
    static func timesTransposed(
        _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>,
        into c: UnsafeMutablePointer<Self>, adding: Bool = false
    ) {
        multiply(ProductShape(m: m, n: n, k: k, transposeB: true), a, k, b, k, c, n, accumulate: adding)
    }

    /// C ← A B (+ C): `[m, k]`, `[k, n]` → `[m, n]`.
    @inline(__always)
    static func times(
        _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>,
        into c: UnsafeMutablePointer<Self>, adding: Bool = false
    ) {
        multiply(ProductShape(m: m, n: n, k: k), a, k, b, n, c, n, accumulate: adding)
    }

    /// C ← Aᵀ B (+ C): `[k, m]`, `[k, n]` → `[m, n]`.
    @inline(__always)
    static func transposedTimes(
        _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>,
        into c: UnsafeMutablePointer<Self>, adding: Bool = false
    ) {
        multiply(ProductShape(m: m, n: n, k: k, transposeA: true), a, m, b, n, c, n, accumulate: adding)
    }

    /// y = factor · x; `y` may be `x`.
    static func scale(
        _ count: Int, _ factor: Self, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>
    ) {
        for i in 0..<count { y[i] = factor * x[i] }
    }

    /// y = factors · y.
    static func scaleElements(_ count: Int, by factors: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>) {
        for i in 0..<count { y[i] *= factors[i] }
    }

    /// Row t of y = factors[t] · row t of x; `y` may be `x`.
    static func scaleRows(
        _ rows: Int, _ width: Int, _ factors: UnsafePointer<Self>, _ x: UnsafePointer<Self>,
        _ y: UnsafeMutablePointer<Self>
    ) {
        for t in 0..<rows { scale(width, factors[t], x + t * width, y + t * width) }
    }

    /// Row t of y += factors[t] · row t of x.
    static func addScaledRows(
        _ rows: Int, _ width: Int, _ factors: UnsafePointer<Self>, _ x: UnsafePointer<Self>,
        _ y: UnsafeMutablePointer<Self>
    ) {
        for t in 0..<rows { axpy(width, factors[t], x + t * width, y + t * width) }
    }

    /// sums[t] += factor · ⟨row t of a, row t of b⟩.
    static func addRowDots(
        _ rows: Int, _ width: Int, _ factor: Self, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>,
        _ sums: UnsafeMutablePointer<Self>
    ) {
        for t in 0..<rows { sums[t] += factor * dot(width, a + t * width, b + t * width) }
    }

    /// γ_{t−1}, γ_n/γ_t, γ_n and γ_{t−1}/γ_s (s < t, else 0) from log α, by differences of prefix sums.
    static func decays(_ n: Int, _ logRetention: UnsafePointer<Self>, into rows: ChunkRows<Self>) {
        // γ_n/γ_t holds log γ_t until the end.
        let logGamma = rows.remaining
        var sum: Self = 0
        for t in 0..<n {
            rows.before[t] = exponential(sum)
            sum += logRetention[t]
            logGamma[t] = sum
        }
        rows.kept[0] = exponential(sum)
        for t in 0..<n {
            let row = rows.decay + t * n
            for s in 0..<t { row[s] = exponential(Swift.min(logGamma[t - 1] - logGamma[s], 0)) }
            (row + t).update(repeating: 0, count: n - t)
        }
        for t in 0..<n { rows.remaining[t] = exponential(sum - logGamma[t]) }
    }

    /// T = (I − M)⁻¹ for M strictly lower triangular, `[n, n]`; entries of M on and above the diagonal are not read.
    ///
    /// By blocks of 16 rows: the diagonal block by substitution, the rest of its rows as
    /// T_i,<i = T_ii (M_i,<i T_<i,<i).
    ///
    /// - Parameter scratch: `16 · n` elements.
    static func invertUnitLower(
        _ n: Int, _ m: UnsafePointer<Self>, into t: UnsafeMutablePointer<Self>, scratch: UnsafeMutablePointer<Self>
    ) {
        let size = 16
        t.update(repeating: 0, count: n * n)
        for start in stride(from: 0, to: n, by: size) {
            let count = Swift.min(size, n - start)
            let diagonal = t + start * n + start
            for i in 0..<count {
                diagonal[i * n + i] = 1
                let factors = m + (start + i) * n + start
                for j in 0..<i { axpy(j + 1, factors[j], diagonal + j * n, diagonal + i * n) }
            }
            guard start > 0 else { continue }
            let inner = ProductShape(m: count, n: start, k: start)
            multiply(inner, m + start * n, n, t, n, scratch, start, accumulate: false)
            let outer = ProductShape(m: count, n: start, k: count)
            multiply(outer, diagonal, n, scratch, start, t + start * n, n, accumulate: false)
        }
    }
}
