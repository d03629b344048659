internal import CKernels

/// The kernels of softmax attention on `Float`.
extension Float {
    /// See ``TensorScalar/maximum(_:_:)``.
    public static func maximum(_ count: Int, _ x: UnsafePointer<Float>) -> Float {
        nl_maximum(nl_best_isa(), count, x)
    }

    /// See ``TensorScalar/shiftedExponentials(_:_:shift:_:)``; the sum's order depends on the count alone.
    public static func shiftedExponentials(
        _ count: Int, _ x: UnsafePointer<Float>, shift: Float, _ y: UnsafeMutablePointer<Float>
    ) -> Float {
        nl_shifted_exponentials(nl_best_isa(), count, x, shift, y)
    }
}
