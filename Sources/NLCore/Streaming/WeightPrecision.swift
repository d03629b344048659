/// How the matrices that serving multiplies with are held. Sums and activations are `Float` with any of them, and
/// learning always works on the exact parameters.
public enum WeightPrecision: String, Sendable, CaseIterable {
    /// bfloat16 where a matrix holds nothing else, `Float` elsewhere: half the memory of a model stored in bfloat16,
    /// and the same bits as ``f32`` wherever products treat each row alike (``MatrixProduct/isRowInvariant``).
    case auto
    /// `Float`.
    case f32
    /// Rounded to bfloat16.
    case bf16
    /// Rounded to bfloat16, and what they are multiplied with too, as other engines do: twice the speed of long prompts
    /// where the processor multiplies pairs of bfloat16s (AVX512_BF16). A product is some 0.2 % of its size off.
    case bf16Both = "bf16-both"
    /// Whole numbers from −127 to 127, with a scale for each output.
    case int8

    /// What a session's own Δ is read in: bfloat16 where weights are rounded, since it is read for each token of its
    /// session, and what is learned goes on from the exact one. Rounding moves each number by 0.4 % at most.
    var changeForm: Form { self == .auto || self == .f32 ? .f32 : .bf16 }

    /// What one matrix is held in.
    enum Form: String, Sendable, CaseIterable {
        case f32, bf16, int8
        case bf16Both = "bf16-both"
    }

    /// What to hold a matrix in.
    ///
    /// Tensors that a level of the space adapts are never rounded, for two reasons: what is learned would be rounded
    /// away first, since a Δ is small beside its base; and learning a first Δ would take the base's rounding away with
    /// it, so that a matrix changed by more than was learned. Nor are their inputs.
    ///
    /// - Parameters:
    ///   - isBFloat16: whether every weight is a bfloat16 already; asked only where it matters.
    ///   - mustBeExact: whether it may not be rounded.
    func form(isBFloat16: @autoclosure () -> Bool, mustBeExact: Bool) -> Form {
        switch self {
        case .f32: .f32
        case .bf16 where !mustBeExact: .bf16
        case .bf16Both where !mustBeExact: .bf16Both
        case .int8 where !mustBeExact: .int8
        case .auto, .bf16, .bf16Both, .int8: isBFloat16() ? .bf16 : .f32
        }
    }
}

/// How much of a model's matrices is held in which form.
public struct HeldWeights: Sendable, Equatable {
    /// Scalars by form; forms that hold nothing are left out.
    public internal(set) var scalars: [String: Int] = [:]
    /// What they take together, scales included.
    public internal(set) var bytes = 0

    /// Nothing.
    public init() {}

    /// `bf16 2233344` or, where there are several, `bf16 2000000, f32 233344`.
    public var description: String {
        scalars.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
}
