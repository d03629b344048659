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

    /// Rows that a product with a triangular matrix takes at a time: it leaves out the blocks that are zero.
    private static var triangleStep: Int { 32 }

    /// The lower triangle of A Bᵀ (+ C), with `w` columns in A and B; above the diagonal C is undefined.
    static func lowerOfTimesTransposed(
        _ n: Int, _ w: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, into c: UnsafeMutablePointer<Self>,
        adding: Bool = false
    ) {
        for start in stride(from: 0, to: n, by: triangleStep) {
            let end = Swift.min(start + triangleStep, n)
            multiply(
                ProductShape(m: end - start, n: end, k: w, transposeB: true), a + start * w, w, b, w, c + start * n,
                n, accumulate: adding)
        }
    }

    /// Y ← L X (+ Y) with L lower triangular and `w` columns in X; nothing above L's diagonal blocks is read.
    static func lowerTimes(
        _ n: Int, _ w: Int, _ l: UnsafePointer<Self>, _ x: UnsafePointer<Self>, into y: UnsafeMutablePointer<Self>,
        adding: Bool = false
    ) {
        for start in stride(from: 0, to: n, by: triangleStep) {
            let end = Swift.min(start + triangleStep, n)
            multiply(
                ProductShape(m: end - start, n: w, k: end), l + start * n, n, x, w, y + start * w, w,
                accumulate: adding)
        }
    }

    /// Y ← Lᵀ X (+ Y) with L lower triangular and `w` columns in X; nothing above L's diagonal blocks is read.
    static func lowerTransposedTimes(
        _ n: Int, _ w: Int, _ l: UnsafePointer<Self>, _ x: UnsafePointer<Self>, into y: UnsafeMutablePointer<Self>,
        adding: Bool = false
    ) {
        for start in stride(from: 0, to: n, by: triangleStep) {
            let end = Swift.min(start + triangleStep, n)
            multiply(
                ProductShape(m: end - start, n: w, k: n - start, transposeA: true), l + start * n + start, n,
                x + start * w, w, y + start * w, w, accumulate: adding)
        }
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
    /// By halves, T₂₁ = T₂₂ M₂₁ T₁₁, down to blocks of 16 rows, which are solved by substitution.
    ///
    /// - Parameter scratch: `n²/4` elements.
    static func invertUnitLower(
        _ n: Int, _ m: UnsafePointer<Self>, into t: UnsafeMutablePointer<Self>, scratch: UnsafeMutablePointer<Self>
    ) {
        t.update(repeating: 0, count: n * n)
        invertBlock(0..<n, n, m, t, scratch)
    }

    private static func invertBlock(
        _ block: Range<Int>, _ n: Int, _ m: UnsafePointer<Self>, _ t: UnsafeMutablePointer<Self>,
        _ scratch: UnsafeMutablePointer<Self>
    ) {
        let start = block.lowerBound
        guard block.count > 16 else {
            // Whole vectors of 16: what lies to the right of a diagonal is zero, in the next block too.
            let width = Swift.min(16, n - start)
            for i in block {
                let row = t + i * n + start
                row[i - start] = 1
                for j in start..<i { axpy(width, m[i * n + j], t + j * n + start, row) }
            }
            return
        }
        // Whole blocks of 16 in the first half.
        let middle = start + (block.count / 2 + 15) / 16 * 16
        let (first, second) = (middle - start, block.upperBound - middle)
        invertBlock(start..<middle, n, m, t, scratch)
        invertBlock(middle..<block.upperBound, n, m, t, scratch)
        multiply(
            ProductShape(m: second, n: first, k: first), m + middle * n + start, n, t + start * n + start, n, scratch,
            first, accumulate: false)
        multiply(
            ProductShape(m: second, n: first, k: second), t + middle * n + middle, n, scratch, first,
            t + middle * n + start, n, accumulate: false)
    }
}
