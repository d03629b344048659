extension Variable {
    /// x Wᵀ over the last axis, in the tape's precision.
    ///
    /// - Parameter weight: `[out, in]`.
    /// - Returns: `[…, out]` for `x` of shape `[…, in]`.
    public func linear(_ weight: Variable) -> Variable {
        let (out, width) = (weight.shape[0], weight.shape[1])
        precondition(shape.last == width, "a weight of shape \(weight.shape) can't be applied to \(shape)")
        let rows = value.count / width
        let y = Tensor<S>(uninitialized: Shape(shape.axes.dropLast() + [out]))
        let precision = tape.precision
        let (input, matrix) = (value, weight.value)
        ProductOperand.multiply(
            ProductShape(m: rows, n: out, k: width, transposeB: true), tape.inputOperand(input), width,
            tape.weightOperand(matrix), width, y.pointer, accumulate: false)
        return tape.record(y, [self, weight]) { tape, dy in
            // Rounded again, and not kept: activations are what a step takes its memory for.
            let error = ProductOperand(dy, precision)
            if let d = tape.gradientTarget(self) {
                ProductOperand.multiply(
                    ProductShape(m: rows, n: width, k: out), error, out, tape.weightOperand(matrix), width, d.pointer,
                    accumulate: d.accumulate)
            }
            if let dweight = tape.gradientTarget(weight) {
                ProductOperand.multiply(
                    ProductShape(m: out, n: width, k: rows, transposeA: true), error, out,
                    tape.inputOperand(input), width, dweight.pointer,
                    accumulate: dweight.accumulate)
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

/// One small product for each group of two `[G, …, …]` tensors.
private func products<S: TensorScalar>(
    _ groups: Int, _ shape: ProductShape, _ a: Tensor<S>, _ b: Tensor<S>, _ c: UnsafeMutablePointer<S>,
    accumulate: Bool
) {
    let (m, n, k) = (shape.m, shape.n, shape.k)
    S.multiplyBatched(
        groups, shape, a.pointer, m * k, shape.transposeA ? m : k, b.pointer, k * n, shape.transposeB ? k : n,
        c, m * n, n, accumulate: accumulate)
}
