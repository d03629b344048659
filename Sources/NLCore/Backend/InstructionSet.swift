internal import CKernels

/// Instruction sets that the C kernels are compiled for, from the least.
enum InstructionSet: String, CaseIterable, Sendable, CustomStringConvertible {
    /// What the compiler assumes of every processor: SSE2, NEON.
    case portable
    /// AVX2 and FMA.
    case avx2 = "AVX2"
    /// AVX-512 F, BW, DQ and VL.
    case avx512 = "AVX-512"

    /// The best one that this processor has.
    static let best = allCases.first { $0.isa == nl_best_isa() } ?? .portable

    /// Those that this processor has.
    static var usable: [InstructionSet] { allCases.filter { $0.isa.rawValue <= best.isa.rawValue } }

    /// Whether a product and its addition are rounded together.
    var isFused: Bool { nl_has_fused_multiply_add(isa) }

    var isa: nl_isa {
        switch self {
        case .portable: .portable
        case .avx2: .avx2
        case .avx512: .avx512
        }
    }

    var description: String { rawValue }
}
