internal import CKernels

/// Matrix products by this project's own kernel, on the calling thread.
///
/// It exists for the many small products of per-head memories and for decoding, where a library's call and its
/// rearranging of the operands cost more than the arithmetic, and keeps up with the libraries beyond. Its sums are ``longestChain``-long chains of fused
/// multiply-adds, bit for bit what oneDNN computes for dense matrices; see `product_body.h`.
enum BuiltInProduct {
    /// Terms of the longest sum that is one chain of multiply-adds from zero. oneDNN 2.6 keeps sums of this length
    /// whole too; where it cuts longer ones depends on the other sizes, so nobody gives it any.
    static let longestChain = Int(nl_longest_chain)

    /// Whether its sums are fused, and with that its bits the same on every processor where they are.
    static let isFused = InstructionSet.best.isFused

    static var description: String { "built-in kernels, \(InstructionSet.best)" }

    @inline(__always)
    static func multiply(
        on instructions: InstructionSet = .best, _ shape: ProductShape, _ a: UnsafePointer<Float>, _ lda: Int,
        _ b: UnsafePointer<Float>, _ ldb: Int, _ c: UnsafeMutablePointer<Float>, _ ldc: Int, accumulate: Bool
    ) {
        nl_product(
            instructions.isa, shape.m, shape.n, shape.k, a, lda, shape.transposeA, b, ldb, shape.transposeB, c, ldc,
            accumulate)
    }
}
