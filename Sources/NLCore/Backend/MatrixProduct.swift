internal import Synchronization

/// What multiplies matrices of `Float`, decided once at start.
///
/// | library | where | a row's bits depend on the number of rows beside it |
/// |---|---|---|
/// | built in | everywhere; AVX-512, AVX2 or the compiler's vectors | no |
/// | oneDNN | AVX-512, and memory that may be written and executed | no |
/// | OpenBLAS | everywhere | yes |
///
/// The built-in kernel and oneDNN make every sum a chain of fused multiply-adds in the order of its terms, bit for bit
/// the same; so oneDNN takes the large dense products and leaves the others to the built-in kernel. OpenBLAS leaves
/// tiny ones to it. With any of them, bits do not depend on the number of threads: each call runs on one thread, and
/// larger products are cut into parts that depend on their shape alone (``TensorScalar/multiplyRows``).
///
/// Measured on one core of a Zen 5 EPYC with AVX-512 (GFLOPS; NT, `[m, 256] · [256, 256]ᵀ`):
///
/// | m | 1 | 8 | 16 | 64 | 256 | 2048 |
/// |---|---|---|---|---|---|---|
/// | built in | 44 | 130 | 177 | 240 | 273 | 270 |
/// | oneDNN 2.6.3 | 21 | 127 | 175 | 238 | 257 | 265 |
/// | OpenBLAS 0.3.21 | 65 | 64 | 113 | 197 | 249 | 257 |
public enum MatrixProduct {
    /// What can multiply.
    public enum Library: String, Sendable, CaseIterable {
        case openBLAS = "openblas"
        case oneDNN = "onednn"
        case builtIn = "builtin"

        /// Whether this processor and process have what it needs.
        public var isUsable: Bool { self != .oneDNN || OneDNN.isUsable }
    }

    /// What a user may ask for.
    public enum Selection: String, Sendable, CaseIterable {
        /// The built-in kernel where its multiply-adds are fused, else OpenBLAS.
        case auto
        case openblas
        case onednn
        case builtin
    }

    /// The library in use; the first product decides for ``Selection/auto`` if nobody has before.
    public static var library: Library {
        switch chosen.load(ordering: .relaxed) {
        case 0: decide(nil)
        case let choice: Library.allCases[Int(choice) - 1]
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
            case .builtin: .builtIn
            }
        if let wanted, !wanted.isUsable { throw .unusable(OneDNN.description) }
        let inUse = decide(wanted)
        if let wanted, wanted != inUse { throw .alreadyInUse(inUse.rawValue) }
    }

    /// Whether a row of a product has the same bits whatever the number of rows beside it.
    public static var isRowInvariant: Bool { library != .openBLAS }

    /// For the log: library, versions and kernels, and the threads that share the work.
    public static var description: String {
        let own = BuiltInProduct.description
        let name =
            switch library {
            case .oneDNN: "\(OneDNN.description), and \(own)"
            case .openBLAS: "OpenBLAS, and for tiny ones \(own)"
            case .builtIn: own
            }
        return "products by \(name); Double by \(OpenBLAS.description); \(ComputeBudget.threads) threads"
    }

    /// 0, or one more than the library's place in `allCases`.
    private static let chosen = Atomic<UInt8>(0)

    /// The first decision stands.
    @discardableResult
    private static func decide(_ wanted: Library?) -> Library {
        let best: Library = BuiltInProduct.isFused ? .builtIn : .openBLAS
        let all = Library.allCases
        let choice = UInt8(all.firstIndex(of: wanted ?? best)! + 1)
        let result = chosen.compareExchange(expected: 0, desired: choice, ordering: .relaxed)
        return all[Int(result.exchanged ? choice : result.original) - 1]
    }
}

/// Why a library could not be chosen.
public enum MatrixProductError: Error, Equatable, CustomStringConvertible {
    case unusable(String)
    case alreadyInUse(String)

    /// What is missing, and what to do.
    public var description: String {
        switch self {
        case .unusable(let library):
            """
            \(library) can't be used: it needs AVX-512, and memory mappings that are both writable and executable \
            (systemd's MemoryDenyWriteExecute= must be off); choose auto, builtin or openblas
            """
        case .alreadyInUse(let library):
            "matrix products already run on \(library); choose the library before the first product"
        }
    }
}
