/// What the dense products of training and of learning are multiplied in. Sums, activations, gradients, parameters and the optimizer's
/// state are `Float` with either; so are the memories of self-modifying Titans.
public enum ProductPrecision: String, Sendable, CaseIterable, Codable {
    /// `Float`.
    case f32
    /// Both factors rounded to bfloat16 as they are read: twice the speed where the processor multiplies those.
    case bf16

    /// Whether this processor and process can: bfloat16 takes AVX512-BF16 or AMX, and memory that oneDNN may both
    /// write and execute.
    public var isUsable: Bool { self == .f32 || OneDNN.multipliesBFloat16 }

    /// The fastest that is usable here.
    public static var fastest: ProductPrecision { ProductPrecision.bf16.isUsable ? .bf16 : .f32 }
}

/// A matrix as products read it: its own numbers, or those rounded to bfloat16.
struct ProductOperand<S: TensorScalar> {
    /// The matrix, and with it what its file holds.
    private let exact: Tensor<S>
    /// bfloat16s, two in the place of a `Float`; nil where they are the file's, or not wanted.
    private let own: Tensor<Float>?
    /// Where the bfloat16s are.
    private let rounded: UnsafePointer<UInt16>?

    /// For scalars other than `Float` the precision does not count.
    ///
    /// A model's weights that nothing adapts are rounded once in the life of the process, and not at all where their
    /// file holds bfloat16s: those are multiplied where they are, and no `Float`s are made of them.
    init(_ tensor: Tensor<S>, _ precision: ProductPrecision) {
        exact = tensor
        guard precision == .bf16, let source = tensor as? Tensor<Float> else {
            (own, rounded) = (nil, nil)
            return
        }
        if let held = source.storage.deferred?.rounded {
            (own, rounded) = (nil, held)
            return
        }
        let result = Tensor<Float>(uninitialized: [(tensor.count + 1) / 2])
        let to = UnsafeMutableRawPointer(result.pointer).assumingMemoryBound(to: UInt16.self)
        BFloat16.roundInParallel(tensor.count, source.pointer, to)
        (own, rounded) = (result, UnsafePointer(to))
    }

    /// C ← op(A)·op(B) (+ C), cut into tiles as ``TensorScalar/multiplyRows`` cuts it; C is `[m, n]` without gaps.
    static func multiply(
        _ shape: ProductShape, _ a: ProductOperand, _ lda: Int, _ b: ProductOperand, _ ldb: Int,
        _ c: UnsafeMutablePointer<S>, accumulate: Bool
    ) {
        let operands = (a, b)
        let isSomething = shape.m > 0 && shape.n > 0 && shape.k > 0
        guard isSomething, let a = operands.0.rounded, let b = operands.1.rounded else {
            S.multiplyRows(
                shape, operands.0.exact.pointer, lda, operands.1.exact.pointer, ldb, c, shape.n,
                accumulate: accumulate)
            return
        }
        let sum = UnsafeMutableRawPointer(c).assumingMemoryBound(to: Float.self)
        ProductTile(rounded: shape).forEach(of: shape, lda, ldb, shape.n) { part, offsetA, offsetB, offsetC in
            multiplyRounded(part, a + offsetA, lda, b + offsetB, ldb, sum + offsetC, shape.n, accumulate: accumulate)
        }
        withExtendedLifetime(operands) {}
    }
}

/// C ← op(A)·op(B) (+ C) with A and B in bfloat16, on the calling thread.
func multiplyRounded(
    _ shape: ProductShape, _ a: UnsafePointer<UInt16>, _ lda: Int, _ b: UnsafePointer<UInt16>, _ ldb: Int,
    _ c: UnsafeMutablePointer<Float>, _ ldc: Int, accumulate: Bool
) {
    // A small one costs more in oneDNN's call than it gains.
    if ProductTile.isLarge(shape), OneDNN.multiplyRounded(shape, a, lda, b, ldb, c, ldc, accumulate: accumulate) {
        return
    }
    // Small, or oneDNN has no memory left: the same numbers, as `Float`s.
    let (rowsA, rowsB) = (shape.transposeA ? shape.k : shape.m, shape.transposeB ? shape.n : shape.k)
    let wide = (Tensor<Float>(uninitialized: [rowsA, lda]), Tensor<Float>(uninitialized: [rowsB, ldb]))
    let widths = (shape.transposeA ? shape.m : shape.k, shape.transposeB ? shape.k : shape.n)
    for row in 0..<rowsA { BFloat16.widen(widths.0, a + row * lda, wide.0.pointer + row * lda) }
    for row in 0..<rowsB { BFloat16.widen(widths.1, b + row * ldb, wide.1.pointer + row * ldb) }
    BuiltInProduct.multiply(shape, wide.0.pointer, lda, wide.1.pointer, ldb, c, ldc, accumulate: accumulate)
}
