extension Variable {
    /// x Wᵀ over the last axis.
    ///
    /// - Parameter weight: `[out, in]`.
    /// - Returns: `[…, out]` for `x` of shape `[…, in]`.
    public func linear(_ weight: Variable) -> Variable {
        let (out, width) = (weight.shape[0], weight.shape[1])
        precondition(shape.last == width, "a weight of shape \(weight.shape) can't be applied to \(shape)")
        let rows = value.count / width
        let y = Tensor<S>(uninitialized: Shape(shape.axes.dropLast() + [out]))
        let forward = ProductShape(m: rows, n: out, k: width, transposeB: true)
        product(forward, value.pointer, width, weight.value.pointer, width, y.pointer, out, accumulate: false)
        return tape.record(y, [self, weight]) { tape, dy in
            if let d = tape.gradientBuffer(self) {
                let shape = ProductShape(m: rows, n: width, k: out)
                product(shape, dy.pointer, out, weight.value.pointer, width, d, width, accumulate: true)
            }
            if let dweight = tape.gradientBuffer(weight) {
                let shape = ProductShape(m: out, n: width, k: rows, transposeA: true)
                product(shape, dy.pointer, out, value.pointer, width, dweight, width, accumulate: true)
            }
        }
    }

    /// op(A)·op(B) for each group.
    ///
    /// - Parameters:
    ///   - other: `[G, K, N]`, or `[G, N, K]` when `transposeRight`.
    ///   - transposeLeft: `self` is `[G, K, M]` instead of `[G, M, K]`.
    ///   - transposeRight: `other` is read transposed.
    /// - Returns: `[G, M, N]`.
    public func matmul(_ other: Variable, transposeLeft: Bool = false, transposeRight: Bool = false) -> Variable {
        let groups = shape[0]
        let (m, k) = transposeLeft ? (shape[2], shape[1]) : (shape[1], shape[2])
        let n = transposeRight ? other.shape[1] : other.shape[2]
        precondition(
            other.shape[0] == groups && (transposeRight ? other.shape[2] : other.shape[1]) == k,
            "no product of \(shape) and \(other.shape), transposed \(transposeLeft), \(transposeRight)")
        let y = Tensor<S>(uninitialized: [groups, m, n])
        let forward = ProductShape(m: m, n: n, k: k, transposeA: transposeLeft, transposeB: transposeRight)
        products(groups, forward, value, other.value, y.pointer, accumulate: false)
        return tape.record(y, [self, other]) { tape, dy in
            // With A' = op(A) and B' = op(B): dA' = dY B'ᵀ and dB' = A'ᵀ dY, written transposed where op transposes.
            if let d = tape.gradientBuffer(self) {
                if transposeLeft {
                    let shape = ProductShape(m: k, n: m, k: n, transposeA: transposeRight, transposeB: true)
                    products(groups, shape, other.value, dy, d, accumulate: true)
                } else {
                    let shape = ProductShape(m: m, n: k, k: n, transposeA: false, transposeB: !transposeRight)
                    products(groups, shape, dy, other.value, d, accumulate: true)
                }
            }
            if let d = tape.gradientBuffer(other) {
                if transposeRight {
                    let shape = ProductShape(m: n, n: k, k: m, transposeA: true, transposeB: transposeLeft)
                    products(groups, shape, dy, value, d, accumulate: true)
                } else {
                    let shape = ProductShape(m: k, n: n, k: m, transposeA: !transposeLeft, transposeB: false)
                    products(groups, shape, value, dy, d, accumulate: true)
                }
            }
        }
    }
}

/// One product, cut into a partition fixed by its shape and spread over the compute threads.
///
/// Large products are cut by rows of C; those of few rows and many columns (decoding) by columns.
func product<S: TensorScalar>(
    _ shape: ProductShape, _ a: UnsafePointer<S>, _ lda: Int, _ b: UnsafePointer<S>, _ ldb: Int,
    _ c: UnsafeMutablePointer<S>, _ ldc: Int, accumulate: Bool
) {
    guard shape.m > 0 && shape.n > 0 else { return }
    let byColumns = shape.m < 64 && shape.n >= 256
    let (axis, step) = byColumns ? (shape.n, 128) : (shape.m, 64)
    guard shape.m * shape.n * shape.k >= 1 << 18 && axis > step else {
        return S.multiply(shape, a, lda, b, ldb, c, ldc, accumulate: accumulate)
    }
    inParallel((axis + step - 1) / step) { block in
        let start = block * step
        var part = shape
        if byColumns {
            part.n = min(step, shape.n - start)
            let from = b + (shape.transposeB ? start * ldb : start)
            S.multiply(part, a, lda, from, ldb, c + start, ldc, accumulate: accumulate)
        } else {
            part.m = min(step, shape.m - start)
            let from = a + (shape.transposeA ? start : start * lda)
            S.multiply(part, from, lda, b, ldb, c + start * ldc, ldc, accumulate: accumulate)
        }
    }
}

/// One small product for each group of two `[G, …, …]` tensors.
private func products<S: TensorScalar>(
    _ groups: Int, _ shape: ProductShape, _ a: Tensor<S>, _ b: Tensor<S>, _ c: UnsafeMutablePointer<S>,
    accumulate: Bool
) {
    let (m, n, k) = (shape.m, shape.n, shape.k)
    guard m > 0 && n > 0 else { return }
    let (lda, ldb) = (shape.transposeA ? m : k, shape.transposeB ? k : n)
    inParallel(groups, work: groups * m * n * k) { group in
        S.multiply(
            shape, a.pointer + group * m * k, lda, b.pointer + group * k * n, ldb, c + group * m * n, n,
            accumulate: accumulate)
    }
}
