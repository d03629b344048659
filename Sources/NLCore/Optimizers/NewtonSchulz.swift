/// NS_k: the nearest matrix with orthonormal rows or columns, nearly, by k steps of a quintic iteration
/// (K. Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks").
///
///     X ← M / (‖M‖_F + ε)
///     k times:  A ← X Xᵀ,   X ← aX + (bA + cA²) X        (a, b, c) = (3.4445, −4.7750, 2.0315)
///
/// With M = U Σ Vᵀ the result is U Σ′ Vᵀ with all of Σ′ near 1 (0.7 to 1.2 after five steps, whatever the condition of
/// M): the coefficients are chosen for the steepest slope at 0, not for convergence to 1. A matrix with more rows than
/// columns is treated as its transpose is, which gives the transpose of the same result.
public enum NewtonSchulz {
    static let coefficients = (a: 3.4445, b: -4.7750, c: 2.0315)
    /// Keeps a matrix of zeros what it is.
    static let epsilon = 1e-7

    /// NS_k of a matrix; the same bits whatever the number of threads.
    ///
    /// - Precondition: a matrix, `[rows, columns]`.
    @specialized(where S == Float)
    public static func orthogonalized<S: TensorScalar>(_ matrix: Tensor<S>, steps: Int = 5) -> Tensor<S> {
        let (rows, columns) = (matrix.shape[0], matrix.shape[1])
        let side = min(rows, columns)
        let isWide = rows <= columns
        var x = Tensor<S>(uninitialized: matrix.shape)
        let scale = S(1 / (matrix.squaredNorm.squareRoot() + epsilon))
        S.scale(matrix.count, scale, matrix.pointer, x.pointer)
        var next = Tensor<S>(uninitialized: matrix.shape)
        let (gram, polynomial) = (Tensor<S>(uninitialized: [side, side]), Tensor<S>(uninitialized: [side, side]))
        let gramShape =
            isWide
            ? ProductShape(m: rows, n: rows, k: columns, transposeB: true)
            : ProductShape(m: columns, n: columns, k: rows, transposeA: true)
        let square = ProductShape(m: side, n: side, k: side)
        let whole = ProductShape(m: rows, n: columns, k: side)
        let (a, b, c) = (S(coefficients.a), S(coefficients.b), S(coefficients.c))
        for _ in 0..<steps {
            S.multiplyRows(gramShape, x.pointer, columns, x.pointer, columns, gram.pointer, side, accumulate: false)
            S.multiplyRows(
                square, gram.pointer, side, gram.pointer, side, polynomial.pointer, side, accumulate: false)
            let (linear, quadratic) = (gram.pointer, polynomial.pointer)
            for i in 0..<side * side { quadratic[i] = b * linear[i] + c * quadratic[i] }
            S.scale(x.count, a, x.pointer, next.pointer)
            if isWide {
                S.multiplyRows(
                    whole, polynomial.pointer, side, x.pointer, columns, next.pointer, columns, accumulate: true)
            } else {
                S.multiplyRows(
                    whole, x.pointer, columns, polynomial.pointer, side, next.pointer, columns, accumulate: true)
            }
            swap(&x, &next)
        }
        return x
    }
}
