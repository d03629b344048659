internal import CKernels

/// Conversions to and from bfloat16, a `Float` cut to its upper 16 bits. Swift has no such type; the bits travel as
/// `UInt16`.
public enum BFloat16 {
    /// y = x rounded to nearest, ties to even. Infinities stay, a NaN stays a (quiet) NaN.
    public static func round(_ count: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<UInt16>) {
        nl_to_bfloat16(nl_best_isa(), count, x, y)
    }

    /// The same, on all of the lane's threads.
    static func roundInParallel(_ count: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<UInt16>) {
        elementBlocks(count) { start, count in round(count, x + start, y + start) }
    }

    /// Whether each number is a bfloat16 already.
    static func holds(_ count: Int, _ x: UnsafePointer<Float>) -> Bool { nl_is_bfloat16(nl_best_isa(), count, x) }

    /// y = x, exactly.
    public static func widen(_ count: Int, _ x: UnsafePointer<UInt16>, _ y: UnsafeMutablePointer<Float>) {
        nl_from_bfloat16(nl_best_isa(), count, x, y)
    }
}
