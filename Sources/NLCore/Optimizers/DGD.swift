/// Delta gradient descent on a matrix that a level adapts (NL Eq. 57): what the inputs recall is taken back before the
/// gradient writes, so that old content makes room where new content is written, and nowhere else.
///
///     Δ ← Δ (I − η′X̄) − η′ G/n        η′ = η / (1 + η),   X̄ = mean of x̂x̂ᵀ over the chunk's inputs, x̂ = x/‖x‖
///
/// Eq. 57 is written for one input; over a chunk the mean of its outer products stands in for it, whose eigenvalues are
/// at most 1, so that the first term contracts. It acts on Δ and not on θ: the base is not to be forgotten.
public enum DGD {
    /// One matrix's step, in place; the same bits whatever the number of threads.
    ///
    /// - Parameters:
    ///   - delta: Δ, `[out, in]`.
    ///   - gradient: G, of the same shape.
    ///   - inputs: Σ x̂x̂ᵀ, `[in, in]`.
    ///   - count: n, the inputs in that sum.
    ///   - gradientScale: 1/n, and what clipping makes of it.
    public static func step<S: TensorScalar>(
        _ delta: Tensor<S>, _ gradient: Tensor<S>, inputs: Tensor<S>, count: Int, learningRate: Double,
        gradientScale: Double
    ) {
        let (rows, width) = (delta.shape[0], delta.shape[1])
        let recalled = Tensor<S>(uninitialized: delta.shape)
        S.multiplyRows(
            ProductShape(m: rows, n: width, k: width), delta.pointer, width, inputs.pointer, width, recalled.pointer,
            width, accumulate: false)
        let rate = learningRate / (1 + learningRate)
        S.axpy(delta.count, S(-rate / Double(count)), recalled.pointer, delta.pointer)
        S.axpy(delta.count, S(-rate * gradientScale), gradient.pointer, delta.pointer)
    }

    /// Adds x̂x̂ᵀ of some rows to a sum.
    ///
    /// - Parameters:
    ///   - rows: `[…, in]`.
    ///   - weights: rows of weight 0 are left out; nil takes all.
    ///   - sum: `[in, in]`, in place.
    static func addInputs<S: TensorScalar>(_ rows: Tensor<S>, weights: [S]?, to sum: Tensor<S>) {
        let width = sum.shape[0]
        let count = rows.count / width
        let units = Tensor<S>(uninitialized: [count, width])
        let scales = Tensor<S>(uninitialized: [count])
        S.unitRows(count, width, rows.pointer, units.pointer, scales.pointer)
        for (row, weight) in (weights ?? []).enumerated() where weight == 0 {
            (units.pointer + row * width).update(repeating: 0, count: width)
        }
        S.multiplyRows(
            ProductShape(m: width, n: width, k: count, transposeA: true), units.pointer, width, units.pointer, width,
            sum.pointer, width, accumulate: true)
    }
}
