internal import CKernels

/// The four projection memories of one layer as one stream reads them: W̄ = W_0 + Δ̄, added once a projection chunk.
///
/// Between two ends of a projection chunk neither part changes (spec §2, "Chunks"), so the sum is worth its cost: it is
/// read C_p times, in one product where W_0 and Δ̄ take two, and lies in one piece of memory for each head. Of the outer
/// layer of the step-size and retention memories only its product with the readout is ever wanted,
/// ⟨r, M̄(z)⟩ = ⟨r, z⟩ + ⟨W̄1ᵀ r, silu(W̄2 z)⟩, so that stands in its place.
///
/// Derived from the state and the weights: never stored, dropped with ``StreamState/dropDerived()``.
///
/// `@unchecked Sendable`: written only while one stream holds it, each head by one thread: when it is filled, and at the
/// end of a projection chunk, for which a stream that shares it takes a copy first.
final class ProjectionSums<S: TensorScalar>: @unchecked Sendable {
    /// Whose W_0 and readouts went into it: another generation of the weights needs other sums.
    let weights: MemoryIdentity
    /// `[H, …]`: for each head what ``HeadSums`` names.
    let values: Tensor<S>
    /// Whether the sums are there; set when all heads of a pass are done.
    var isFilled = false

    init(_ c: HopeConfiguration, _ weights: MemoryIdentity) {
        self.weights = weights
        values = Tensor(uninitialized: [c.heads, HeadSums<S>.count(c.headWidth, c.memoryHiddenWidth)])
    }

    init(copying other: ProjectionSums) {
        (weights, values, isFilled) = (other.weights, other.values.copy(), other.isFilled)
    }

    /// The part of one head.
    static func head(_ head: Int, of base: UnsafeMutablePointer<S>, _ g: MixerGeometry<S>) -> HeadSums<S> {
        HeadSums(base + head * HeadSums<S>.count(g.head, g.hidden), g.head, g.hidden)
    }
}

/// Tells one generation's memories from another's, by being one object or another.
final class MemoryIdentity: Sendable {}

/// ``ProjectionSums`` of one head.
struct HeadSums<S: TensorScalar> {
    /// d and m.
    let head: Int
    let hidden: Int
    /// W̄2ᵀ of the four, `[d, m]` each, and W̄1ᵀ of the first two, `[m, d]`, as they are read: key inner, key outer,
    /// value inner, value outer, step size inner, retention inner; then W̄1ᵀ r_η and W̄1ᵀ r_α, `[m]` each.
    private let base: UnsafeMutablePointer<S>

    init(_ base: UnsafeMutablePointer<S>, _ head: Int, _ hidden: Int) {
        (self.base, self.head, self.hidden) = (base, head, hidden)
    }

    static func count(_ head: Int, _ hidden: Int) -> Int { Scratch<S>.rounded(6 * head * hidden + 2 * hidden) }

    private func matrix(_ index: Int) -> UnsafeMutablePointer<S> { base + index * head * hidden }

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
        nl_prefetch_pages(inner, matrices * head * hidden * MemoryLayout<S>.stride)
    }

    /// Adds up the key or the value memory.
    func fill(_ kind: MemoryKind, _ memory: HeadMemory<S>) {
        let inner = part(kind).inner
        let count = head * hidden
        S.add(count, memory.w2T, memory.delta2T, inner)
        S.add(count, memory.w1T, memory.delta1T, inner + count)
    }

    /// Adds up the step-size or the retention memory behind its readout r, `[d]`.
    func fill(_ kind: MemoryKind, _ memory: HeadMemory<S>, readout r: UnsafePointer<S>) {
        S.add(head * hidden, memory.w2T, memory.delta2T, part(kind).inner)
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
        _ kind: MemoryKind, _ count: Int, _ z: UnsafePointer<S>, stride: Int, into y: UnsafeMutablePointer<S>,
        _ scratch: Scratch<S>
    ) {
        var scratch = scratch
        let s = activated(kind, count, z, stride, &scratch)
        for row in 0..<count { (y + row * head).update(from: z + row * stride, count: head) }
        let outer = part(kind).inner + head * hidden
        multiplySmall(count, head, hidden, s, hidden, outer, head, y, head, accumulate: true)
    }

    /// ⟨r, M̄(z)⟩ of the step-size or the retention memory, for `count` rows of z.
    func readOut(
        _ kind: MemoryKind, _ count: Int, _ z: UnsafePointer<S>, stride: Int, readout r: UnsafePointer<S>,
        into logits: UnsafeMutablePointer<S>, _ scratch: Scratch<S>
    ) {
        var scratch = scratch
        let s = activated(kind, count, z, stride, &scratch)
        let p = readout(kind)
        for row in 0..<count {
            logits[row] = S.dot(head, z + row * stride, r) + S.dot(hidden, s + row * hidden, p)
        }
    }

    /// silu(W̄2 z), `[count, m]`.
    private func activated(
        _ kind: MemoryKind, _ count: Int, _ z: UnsafePointer<S>, _ stride: Int, _ scratch: inout Scratch<S>
    ) -> UnsafeMutablePointer<S> {
        let a = scratch.take(count * hidden)
        let s = scratch.take(count * hidden)
        multiplySmall(count, hidden, head, z, stride, part(kind).inner, hidden, a, hidden)
        S.silu(count * hidden, a, s)
        return s
    }

    /// What reading needs.
    static func scratchCount(_ hidden: Int, _ count: Int) -> Int { 2 * Scratch<S>.rounded(count * hidden) }
}
