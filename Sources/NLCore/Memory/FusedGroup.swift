/// One stream and head: the parameters it reads, and the scratch memory of the thread that computes it.
struct FusedGroup<S: TensorScalar> {
    let shape: FusedShape
    /// W_0 of this head.
    let initial: PerMemory<LayerPointers<S>>
    /// r_η, r_α `[d]` and b_η, b_α `[1]` of this head.
    let readouts: GatePointers<S>
    let scratch: FusedScratch<S>
    /// Whether every Δ is zero before the first row, as at a document's beginning: then products with it are left out.
    let isFresh: Bool
}

/// Readout and bias of η and of α: values, or their gradients.
struct GatePointers<S: TensorScalar> {
    typealias Gate = (readout: UnsafeMutablePointer<S>, bias: UnsafeMutablePointer<S>)

    let stepSize: Gate
    let retention: Gate
}

/// Where one chunk's intermediate matrices live. Blocks of n rows lie under one another, so that one product
/// serves them all: values, keys and, for the main memory, queries.
struct FusedScratch<S: TensorScalar> {
    /// W̄ of the memory at hand, where it is not W_0.
    let current: LayerPointers<S>
    /// Gradients of W̄.
    let currentGradient: LayerPointers<S>
    /// silu of a: of values, keys, queries, `[3n, m]`.
    let s: UnsafeMutablePointer<S>
    /// κ of W1 over silu of the queries' a, `[2n, m]`.
    let keys1: UnsafeMutablePointer<S>
    /// Gradients of `keys1`.
    let keys1Gradient: UnsafeMutablePointer<S>
    /// W̄1 s in the forward pass, its gradient in the backward one: `[3n, d]`.
    let outer: UnsafeMutablePointer<S>
    /// Gradient of a, `[3n, m]`.
    let inner: UnsafeMutablePointer<S>
    /// Gradient of s, `[3n, m]`.
    let innerGradient: UnsafeMutablePointer<S>
    /// x of both layers' rows: Δ̄ z in the forward pass, gradients of W z in the backward one. `[2n, d]`, `[2n, m]`.
    let rows1: UnsafeMutablePointer<S>
    let rows2: UnsafeMutablePointer<S>
    /// R of the solve, then dw: `[n, d]` and `[n, m]`.
    let right1: UnsafeMutablePointer<S>
    let right2: UnsafeMutablePointer<S>
    /// `[2n, d]` or `[2n, m]`, whichever is larger: for the moment.
    let moment: UnsafeMutablePointer<S>
    /// `[n, n]`.
    let square: (UnsafeMutablePointer<S>, UnsafeMutablePointer<S>)
    /// `[n/2, n/2]`, in whole blocks of 16.
    let quarter: UnsafeMutablePointer<S>
    /// `[m]`.
    let readout: UnsafeMutablePointer<S>
    let readoutGradient: UnsafeMutablePointer<S>
    /// `[n]`.
    let numbers: UnsafeMutablePointer<S>

    init(_ slab: inout Slab<S>, _ shape: FusedShape) {
        let (d, m, span, chunk) = (shape.width, shape.hidden, shape.longestSpan, shape.longestChunk)
        // Three blocks of a chunk with queries, or two of a span without; two and one where values have no part.
        let (three, two) = (max(2 * span, 3 * chunk), max(span, 2 * chunk))
        current = MemoryWeights(w1: slab.take(shape.layer), w2: slab.take(shape.layer))
        currentGradient = MemoryWeights(w1: slab.take(shape.layer), w2: slab.take(shape.layer))
        s = slab.take(three * m)
        keys1 = slab.take(two * m)
        keys1Gradient = slab.take(two * m)
        outer = slab.take(three * d)
        inner = slab.take(three * m)
        innerGradient = slab.take(three * m)
        rows1 = slab.take(two * d)
        rows2 = slab.take(two * m)
        right1 = slab.take(span * d)
        right2 = slab.take(span * m)
        moment = slab.take(two * max(d, m))
        square = (slab.take(span * span), slab.take(span * span))
        let half = (span / 2 + 15) / 16 * 16
        quarter = slab.take(half * half)
        readout = slab.take(m)
        readoutGradient = slab.take(m)
        numbers = slab.take(span)
    }

    static func size(_ shape: FusedShape) -> Int { Slab<S>.size { slab in _ = FusedScratch(&slab, shape) } }
}

extension FusedGroup {
    /// Δ of a memory before its chunk `index`, nil where it is known to be zero.
    func delta(_ kind: MemoryKind, _ index: Int, _ records: FusedRecords<S>) -> LayerPointers<S>? {
        isFresh && index == 0 ? nil : records.state(kind, index).delta
    }

    /// W̄ = W_0 + Δ of a memory.
    func current(_ kind: MemoryKind, _ delta: LayerPointers<S>?) -> LayerPointers<S> {
        guard let delta else { return initial[kind] }
        S.add(shape.layer, initial[kind].w1, delta.w1, scratch.current.w1)
        S.add(shape.layer, initial[kind].w2, delta.w2, scratch.current.w2)
        return scratch.current
    }

    /// dW̄ counts for W_0 and for Δ̄, where these want it.
    func addCurrentGradient(to initial: LayerPointers<S>?, _ delta: LayerPointers<S>?) {
        if let initial { addCurrentGradient(to: initial) }
        if let delta { addCurrentGradient(to: delta) }
    }

    private func addCurrentGradient(to target: LayerPointers<S>) {
        S.axpy(shape.layer, 1, scratch.currentGradient.w1, target.w1)
        S.axpy(shape.layer, 1, scratch.currentGradient.w2, target.w2)
    }
}
