/// A number that tensors hold, with the kernels that act on rows of them.
///
/// The model code is generic over `Scalar`, so that the golden vectors can be matched in `Double`, while the
/// daemon computes in `Float`. Every loop over elements lies behind this protocol: generic code above it only
/// arranges calls, and costs the same specialised or not.
///
/// The extension below gives each kernel its naive form (``NaiveKernels``), which is what `Double` uses and what
/// the vectorised `Float` kernels are tested against.
///
/// Conventions: matrices are row-major; `rows` × `width` describes contiguous rows; a gradient is named with a `d`
/// in front and is *accumulated into* (`+=`) by every `…Backward` kernel. Pointers must not overlap unless said.
public protocol TensorScalar: BinaryFloatingPoint, Sendable {
    /// C ← op(A)·op(B) (+ C when `accumulate`), one product.
    ///
    /// `op(A)` is `[m, k]`, `op(B)` is `[k, n]`, C is `[m, n]`; leading dimensions count elements.
    static func multiply(
        _ shape: ProductShape, _ a: UnsafePointer<Self>, _ lda: Int, _ b: UnsafePointer<Self>, _ ldb: Int,
        _ c: UnsafeMutablePointer<Self>, _ ldc: Int, accumulate: Bool)

    /// y = eˣ.
    static func exponentials(_ count: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>)
    /// y = 1 / (1 + e⁻ˣ).
    static func sigmoids(_ count: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>)
    /// y = silu(x).
    static func silu(_ count: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>)
    /// dx += dy · silu'(x).
    static func siluBackward(
        _ count: Int, _ x: UnsafePointer<Self>, _ dy: UnsafePointer<Self>, _ dx: UnsafeMutablePointer<Self>)
    /// y = silu'(x), the slope itself.
    static func siluSlope(_ count: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>)
    /// dx += dy · silu''(x).
    static func siluSlopeBackward(
        _ count: Int, _ x: UnsafePointer<Self>, _ dy: UnsafePointer<Self>, _ dx: UnsafeMutablePointer<Self>)

    /// y = a + b.
    static func add(
        _ count: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>)
    /// y = a · b.
    static func multiplyElements(
        _ count: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>)
    /// y += a · b.
    static func multiplyAccumulate(
        _ count: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>)
    /// y += scale · x.
    static func axpy(
        _ count: Int, _ scale: Self, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>)
    /// y += value where a bit is 0, y −= value where it is 1; bits are taken from the lowest of the first word on.
    static func addSigned(
        _ count: Int, _ value: Self, _ bits: UnsafePointer<UInt64>, _ y: UnsafeMutablePointer<Self>)
    /// Σ a · b.
    static func dot(_ count: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>) -> Self

    /// y = x / sqrt(Σx² + ε) by row; `scales[row]` keeps the factor for the backward pass.
    static func unitRows(
        _ rows: Int, _ width: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>,
        _ scales: UnsafeMutablePointer<Self>)
    /// dx += scale · (dy − y · ⟨dy, y⟩) by row.
    static func unitRowsBackward(
        _ rows: Int, _ width: Int, _ y: UnsafePointer<Self>, _ scales: UnsafePointer<Self>,
        _ dy: UnsafePointer<Self>, _ dx: UnsafeMutablePointer<Self>)
    /// y = g ⊙ x / sqrt(mean(x²) + ε) by row; `scales[row]` keeps 1/sqrt(…).
    static func rmsRows(
        _ rows: Int, _ width: Int, epsilon: Self, _ x: UnsafePointer<Self>, _ gain: UnsafePointer<Self>,
        _ y: UnsafeMutablePointer<Self>, _ scales: UnsafeMutablePointer<Self>)
    /// dx += …, and dgain += Σ_rows dy ⊙ x · scale.
    static func rmsRowsBackward(
        _ rows: Int, _ width: Int, _ x: UnsafePointer<Self>, _ gain: UnsafePointer<Self>,
        _ scales: UnsafePointer<Self>, _ dy: UnsafePointer<Self>, _ dx: UnsafeMutablePointer<Self>,
        _ dgain: UnsafeMutablePointer<Self>)

    /// The largest of at least one number.
    static func maximum(_ count: Int, _ x: UnsafePointer<Self>) -> Self
    /// y = eˣ⁻ˢ, which may be x itself; returns Σ y.
    static func shiftedExponentials(
        _ count: Int, _ x: UnsafePointer<Self>, shift: Self, _ y: UnsafeMutablePointer<Self>
    ) -> Self
    /// Turns the two halves of each head's row by the angles of one position, in place: (a, b) becomes
    /// (a cos − b sin, b cos + a sin).
    static func rotateHalves(
        _ heads: Int, _ half: Int, _ x: UnsafeMutablePointer<Self>, _ cosines: UnsafePointer<Self>,
        _ sines: UnsafePointer<Self>)

    /// Softmax cross-entropy by row: returns −log softmax(x)[target] for each row in `losses`, and turns x in
    /// place into its gradient `(softmax(x) − onehot(target)) · weight[row]`.
    static func crossEntropyRows(
        _ rows: Int, _ width: Int, _ x: UnsafeMutablePointer<Self>, _ targets: UnsafePointer<Int32>,
        _ weights: UnsafePointer<Self>, _ losses: UnsafeMutablePointer<Self>)

    /// One AdamW step on `count` numbers (Loshchilov & Hutter 2019, Algorithm 2).
    static func adamW(
        _ count: Int, _ step: AdamWStep<Self>, _ gradient: UnsafePointer<Self>,
        _ parameter: UnsafeMutablePointer<Self>, _ first: UnsafeMutablePointer<Self>,
        _ second: UnsafeMutablePointer<Self>)
}

/// The sizes of one matrix product and which operands are read transposed.
public struct ProductShape: Sendable, Hashable {
    /// Rows of the result.
    public var m: Int
    /// Columns of the result.
    public var n: Int
    /// Length of the sums.
    public var k: Int
    /// A is stored `[k, m]`.
    public var transposeA: Bool
    /// B is stored `[n, k]`.
    public var transposeB: Bool

    /// A product of an `[m, k]` and a `[k, n]` matrix.
    public init(m: Int, n: Int, k: Int, transposeA: Bool = false, transposeB: Bool = false) {
        self.m = m
        self.n = n
        self.k = k
        self.transposeA = transposeA
        self.transposeB = transposeB
    }
}

/// The scalars of one AdamW step, with the bias corrections already taken.
public struct AdamWStep<S: TensorScalar>: Sendable {
    /// Learning rate of this step.
    public var learningRate: S
    /// Decay of the first moment.
    public var beta1: S
    /// Decay of the second moment.
    public var beta2: S
    /// Added to the root of the second moment.
    public var epsilon: S
    /// Decoupled weight decay.
    public var weightDecay: S
    /// 1 − β₁ᵗ.
    public var correction1: S
    /// 1 − β₂ᵗ.
    public var correction2: S
    /// Multiplies the gradient before use (gradient clipping, 1/n).
    public var gradientScale: S
}

extension TensorScalar {
    /// ``rmsRows(_:_:epsilon:_:_:_:_:)`` with the model's own ε.
    static func rmsRows(
        _ rows: Int, _ width: Int, _ x: UnsafePointer<Self>, _ gain: UnsafePointer<Self>,
        _ y: UnsafeMutablePointer<Self>, _ scales: UnsafeMutablePointer<Self>
    ) {
        rmsRows(rows, width, epsilon: normalizationEpsilon(Self.self), x, gain, y, scales)
    }
}

/// ε of every normalisation in the model (spec §1, §2), unless an imported model brings its own.
@inlinable
public func normalizationEpsilon<S: TensorScalar>(_: S.Type) -> S { 1e-6 }
