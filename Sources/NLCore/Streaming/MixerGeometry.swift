/// Sizes and switches of self-modifying Titans in the form that the serving code computes with.
struct MixerGeometry<S: TensorScalar> {
    /// D.
    let width: Int
    /// H.
    let heads: Int
    /// d.
    let head: Int
    /// m.
    let hidden: Int
    /// C.
    let chunk: Int
    /// C_p.
    let span: Int
    /// w.
    let window: Int
    /// η_max.
    let stepSizeMaximum: S
    /// ρ.
    let radius: S
    let usesDelta: Bool
    let retains: Bool
    let adapts: InlineArray<5, Bool>
    /// How ``ProjectionSums`` are held.
    let sums: SumForm

    init(_ c: HopeConfiguration, _ precision: WeightPrecision) {
        width = c.width
        heads = c.heads
        head = c.headWidth
        hidden = c.memoryHiddenWidth
        chunk = c.chunkSize
        span = c.projectionChunkSize
        window = c.convolutionWindow
        stepSizeMaximum = S(c.stepSizeMaximum)
        radius = S(c.memoryRadius)
        usesDelta = c.usesDelta
        retains = c.retains
        let adaptive = c.adaptiveMemories
        adapts = InlineArray { MemoryKind.allCases[$0] == .main || adaptive.contains(MemoryKind.allCases[$0]) }
        sums = SumForm(precision, of: S.self)
    }
}

extension MemoryKind {
    /// Place among the five.
    var index: Int {
        switch self {
        case .key: 0
        case .value: 1
        case .stepSize: 2
        case .retention: 3
        case .main: 4
        }
    }
}

/// Memory for the intermediate results of one head, handed out from the front.
///
/// A value: what a function takes from its copy is free again when it returns.
struct Scratch<S: TensorScalar> {
    private var next: UnsafeMutablePointer<S>
    private let end: UnsafeMutablePointer<S>

    /// All of `tensor`, which must outlive this.
    init(_ tensor: Tensor<S>) {
        next = tensor.pointer
        end = next + tensor.count
    }

    /// Room for `count` numbers of undefined content, aligned like a tensor.
    mutating func take(_ count: Int) -> UnsafeMutablePointer<S> {
        let result = next
        next += Self.rounded(count)
        precondition(next <= end, "the scratch of a head is too small by \(next - end) numbers")
        return result
    }

    /// What taking `count` numbers uses up.
    static func rounded(_ count: Int) -> Int { (count + 15) & ~15 }
}

/// C ← op(A)·op(B) (+ C) on the calling thread: the small products of a memory.
///
/// - Parameters:
///   - transposeA: A is stored `[k, m]`.
///   - transposeB: B is stored `[n, k]`.
@inline(__always)
func multiplySmall<S: TensorScalar>(
    _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<S>, _ lda: Int, _ b: UnsafePointer<S>, _ ldb: Int,
    _ c: UnsafeMutablePointer<S>, _ ldc: Int, transposeA: Bool = false, transposeB: Bool = false,
    accumulate: Bool = false
) {
    let shape = ProductShape(m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB)
    S.multiply(shape, a, lda, b, ldb, c, ldc, accumulate: accumulate)
}
