internal import CKernels

/// The four projection memories of one layer as one stream reads them: W̄ = W_0 + Δ̄, added once a projection chunk.
///
/// Between two ends of a projection chunk neither part changes (spec §2, "Chunks"), so the sum is worth its cost: it is
/// read C_p times, in one product where W_0 and Δ̄ take two, and lies in one piece of memory for each head. Of the outer
/// layer of the step-size and retention memories only its product with the readout is ever wanted,
/// ⟨r, M̄(z)⟩ = ⟨r, z⟩ + ⟨W̄1ᵀ r, silu(W̄2 z)⟩, so that stands in its place.
///
/// Where the model's matrices are rounded to bfloat16, so are these: of all that many sessions have of their own this is
/// what is read most, and it comes from main memory. Δ̄ itself stays exact, and what is learned goes on from it.
///
/// Derived from the state and the weights: never stored, dropped with ``StreamState/dropDerived()``.
///
/// `@unchecked Sendable`: written only while one stream holds it, each head by one thread: when it is filled, and at the
/// end of a projection chunk, for which a stream that shares it takes a copy first.
final class ProjectionSums<S: TensorScalar>: @unchecked Sendable {
    /// Whose W_0 and readouts went into it: another generation of the weights needs other sums.
    let weights: MemoryIdentity
    /// `[H, …]`: for each head what ``HeadSums`` names, in the form of those weights' ``MixerGeometry/sums``.
    let values: Tensor<S>
    /// Whether the sums are there; set when all heads of a pass are done.
    var isFilled = false

    init(_ geometry: MixerGeometry<S>, _ weights: MemoryIdentity) {
        self.weights = weights
        values = Tensor(uninitialized: [geometry.heads, HeadSums<S>.count(geometry)])
    }

    init(copying other: ProjectionSums) {
        (weights, values, isFilled) = (other.weights, other.values.copy(), other.isFilled)
    }

    /// The part of one head.
    static func head(_ head: Int, of base: UnsafeMutablePointer<S>, _ g: MixerGeometry<S>) -> HeadSums<S> {
        HeadSums(base + head * HeadSums<S>.count(g), g)
    }
}

/// Tells one generation's memories from another's, by being one object or another.
final class MemoryIdentity: Sendable {}

/// ``ProjectionSums`` of one head.
struct HeadSums<S: TensorScalar> {
    /// d and m.
    let head: Int
    let hidden: Int
    private let form: SumForm
    /// W̄2ᵀ of the four, `[d, m]` each, and W̄1ᵀ of the first two, `[m, d]`, as they are read: key inner, key outer,
    /// value inner, value outer, step size inner, retention inner; then W̄1ᵀ r_η and W̄1ᵀ r_α, `[m]` each.
    private let base: UnsafeMutablePointer<S>
    /// Numbers from one matrix to the next.
    private let stride: Int

    init(_ base: UnsafeMutablePointer<S>, _ g: MixerGeometry<S>) {
        (self.base, head, hidden, form) = (base, g.head, g.hidden, g.sums)
        stride = Self.stride(g)
    }

    static func count(_ g: MixerGeometry<S>) -> Int { Scratch<S>.rounded(6 * stride(g) + 2 * g.hidden) }

    private static func stride(_ g: MixerGeometry<S>) -> Int {
        max(g.sums.count(g.head, g.hidden), g.sums.count(g.hidden, g.head))
    }

    private func matrix(_ index: Int) -> UnsafeMutablePointer<S> { base + index * stride }

    /// Where a memory's part begins, and how many matrices it has.
    private func part(_ kind: MemoryKind) -> (inner: UnsafeMutablePointer<S>, matrices: Int) {
        switch kind {
        case .key: (matrix(0), 2)
        case .value: (matrix(2), 2)
        case .stepSize: (matrix(4), 1)
        case .retention: (matrix(5), 1)
        case .main: preconditionFailure("the main memory changes within a projection chunk")
        }
    }

    private func readout(_ kind: MemoryKind) -> UnsafeMutablePointer<S> {
        matrix(6) + (kind == .retention ? hidden : 0)
    }

    /// Asks for a memory's part while something else is computed.
    func prefetch(_ kind: MemoryKind) {
        let (inner, matrices) = part(kind)
        nl_prefetch_pages(inner, matrices * stride * MemoryLayout<S>.stride)
    }

    /// Adds up the key or the value memory.
    func fill(_ kind: MemoryKind, _ memory: HeadMemory<S>) {
        let inner = part(kind).inner
        form.add(head, hidden, memory.w2T, memory.delta2T, into: inner)
        form.add(hidden, head, memory.w1T, memory.delta1T, into: inner + stride)
    }

    /// Adds up the step-size or the retention memory behind its readout r, `[d]`.
    func fill(_ kind: MemoryKind, _ memory: HeadMemory<S>, readout r: UnsafePointer<S>) {
        form.add(head, hidden, memory.w2T, memory.delta2T, into: part(kind).inner)
        let p = readout(kind)
        multiplySmall(1, hidden, head, r, head, memory.w1T, head, p, hidden, transposeB: true)
        multiplySmall(1, hidden, head, r, head, memory.delta1T, head, p, hidden, transposeB: true, accumulate: true)
    }

    /// y = M̄(z) = z + W̄1 silu(W̄2 z) (NL Eq. 89), of the key or the value memory.
    ///
    /// - Parameters:
    ///   - z: `count` rows of d numbers, each `stride` after the last.
    ///   - y: `[count, d]`.
    func retrieve(
        _ kind: MemoryKind, _ count: Int, _ z: UnsafePointer<S>, stride apart: Int, into y: UnsafeMutablePointer<S>,
        _ scratch: Scratch<S>
    ) {
        var scratch = scratch
        let s = activated(kind, count, z, apart, &scratch)
        for row in 0..<count { (y + row * head).update(from: z + row * apart, count: head) }
        form.multiply(count, hidden, head, s, hidden, part(kind).inner + stride, into: y, accumulate: true)
    }

    /// ⟨r, M̄(z)⟩ of the step-size or the retention memory, for `count` rows of z.
    func readOut(
        _ kind: MemoryKind, _ count: Int, _ z: UnsafePointer<S>, stride apart: Int, readout r: UnsafePointer<S>,
        into logits: UnsafeMutablePointer<S>, _ scratch: Scratch<S>
    ) {
        var scratch = scratch
        let s = activated(kind, count, z, apart, &scratch)
        let p = readout(kind)
        for row in 0..<count {
            logits[row] = S.dot(head, z + row * apart, r) + S.dot(hidden, s + row * hidden, p)
        }
    }

    /// silu(W̄2 z), `[count, m]`.
    private func activated(
        _ kind: MemoryKind, _ count: Int, _ z: UnsafePointer<S>, _ apart: Int, _ scratch: inout Scratch<S>
    ) -> UnsafeMutablePointer<S> {
        let a = scratch.take(count * hidden)
        let s = scratch.take(count * hidden)
        form.multiply(count, head, hidden, z, apart, part(kind).inner, into: a, accumulate: false)
        S.silu(count * hidden, a, s)
        return s
    }

    /// What reading needs.
    static func scratchCount(_ hidden: Int, _ count: Int) -> Int { 2 * Scratch<S>.rounded(count * hidden) }
}

/// How a stream's sums are held.
enum SumForm: Sendable {
    /// As they are, a row for each input.
    case exact
    /// In bfloat16, laid out as ``PackedMatrix`` lays out its strips; of `Float`s alone.
    case bfloat16(InstructionSet)

    /// `Float`s, with any precision but those that round a session's own weights.
    init<S: TensorScalar>(_ precision: WeightPrecision, of _: S.Type) {
        self = precision.changeForm == .bf16 && S.self == Float.self ? .bfloat16(.best) : .exact
    }

    /// Scalars of 32 bits (or of any, where it is exact) that a matrix takes.
    func count(_ inputs: Int, _ outputs: Int) -> Int {
        switch self {
        case .exact: return inputs * outputs
        case .bfloat16(let instructions):
            let width = nl_strip_outputs(instructions.isa)
            let strips = (outputs + width - 1) / width
            return strips * nl_strip_bytes(instructions.isa, .bfloat16, inputs) / MemoryLayout<Float>.size
        }
    }

    /// Lays out a + b, `[inputs, outputs]`.
    func add<S>(
        _ inputs: Int, _ outputs: Int, _ a: UnsafePointer<S>, _ b: UnsafePointer<S>, into sum: UnsafeMutablePointer<S>
    ) where S: TensorScalar {
        switch self {
        case .exact: S.add(inputs * outputs, a, b, sum)
        case .bfloat16(let instructions):
            nl_pack_sum(instructions.isa, inputs, outputs, floats(a), floats(b), sum)
        }
    }

    /// y ← x (a + b) (+ y), for `count` rows of x, each `apart` after the last.
    func multiply<S>(
        _ count: Int, _ inputs: Int, _ outputs: Int, _ x: UnsafePointer<S>, _ apart: Int, _ sum: UnsafePointer<S>,
        into y: UnsafeMutablePointer<S>, accumulate: Bool
    ) where S: TensorScalar {
        switch self {
        case .exact: multiplySmall(count, outputs, inputs, x, apart, sum, outputs, y, outputs, accumulate: accumulate)
        case .bfloat16(let instructions):
            let to = UnsafeMutableRawPointer(y).assumingMemoryBound(to: Float.self)
            nl_packed_product(
                instructions.isa, .bfloat16, count, outputs, inputs, floats(x), apart, sum, nil, to, outputs, accumulate
            )
        }
    }

    private func floats<S>(_ pointer: UnsafePointer<S>) -> UnsafePointer<Float> {
        UnsafeRawPointer(pointer).assumingMemoryBound(to: Float.self)
    }
}
