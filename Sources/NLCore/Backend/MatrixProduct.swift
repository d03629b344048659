internal import Synchronization

/// Which library multiplies matrices of `Float`, decided once at start.
///
/// | library | where | a row's bits depend on the number of rows |
/// |---|---|---|
/// | oneDNN | AVX-512, and memory that may be written and executed | no: every sum is one chain of fused multiply-adds |
/// | OpenBLAS | everywhere | yes |
///
/// With either one, bits do not depend on the number of threads: each call of a library runs on one thread, and
/// larger products are cut into parts that depend on their shape alone (``TensorScalar/multiplyRows``).
public enum MatrixProduct {
    /// A library that can multiply.
    public enum Library: String, Sendable, CaseIterable {
        case openBLAS = "openblas"
        case oneDNN = "onednn"
    }

    /// What a user may ask for.
    public enum Selection: String, Sendable, CaseIterable {
        /// oneDNN where it is usable, else OpenBLAS.
        case auto
        case openblas
        case onednn
    }

    /// The library in use; the first product decides for ``Selection/auto`` if nobody has before.
    public static var library: Library {
        switch chosen.load(ordering: .relaxed) {
        case Choice.oneDNN: .oneDNN
        case Choice.openBLAS: .openBLAS
        default: decide(nil)
        }
    }

    /// Chooses the library, before the first product.
    /// - throws: ``MatrixProductError`` when the library is not usable here, or another one is already in use.
    public static func select(_ selection: Selection) throws(MatrixProductError) {
        let wanted: Library? =
            switch selection {
            case .auto: nil
            case .openblas: .openBLAS
            case .onednn: .oneDNN
            }
        if wanted == .oneDNN, !OneDNN.isUsable { throw .unusable(OneDNN.description) }
        let inUse = decide(wanted)
        if let wanted, wanted != inUse { throw .alreadyInUse(inUse.rawValue) }
    }

    /// Whether a row of a product has the same bits whatever the number of rows beside it.
    public static var isRowInvariant: Bool { library == .oneDNN }

    /// For the log: library, its version and kernels, and the threads that share the work.
    public static var description: String {
        let name =
            switch library {
            case .oneDNN: OneDNN.description + "; Float64 by " + OpenBLAS.description
            case .openBLAS: OpenBLAS.description
            }
        return "\(name); \(ComputeBudget.threads) threads"
    }

    private enum Choice {
        static let openBLAS: UInt8 = 1
        static let oneDNN: UInt8 = 2
    }

    private static let chosen = Atomic<UInt8>(0)

    /// The first decision stands.
    @discardableResult
    private static func decide(_ wanted: Library?) -> Library {
        let library = wanted ?? (OneDNN.isUsable ? .oneDNN : .openBLAS)
        let choice = library == .oneDNN ? Choice.oneDNN : Choice.openBLAS
        let result = chosen.compareExchange(expected: 0, desired: choice, ordering: .relaxed)
        return (result.exchanged ? choice : result.original) == Choice.oneDNN ? .oneDNN : .openBLAS
    }
}

/// Why a library could not be chosen.
public enum MatrixProductError: Error, Equatable, CustomStringConvertible {
    case unusable(String)
    case alreadyInUse(String)

    public var description: String {
        switch self {
        case .unusable(let library):
            """
            \(library) can't be used: it needs AVX-512, and memory mappings that are both writable and executable \
            (systemd's MemoryDenyWriteExecute= must be off); choose openblas or auto
            """
        case .alreadyInUse(let library):
            "matrix products already run on \(library); choose the library before the first product"
        }
    }
}
