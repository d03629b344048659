/// One stream and head: the parameters it reads, and the scratch memory of the thread that computes it.
struct FusedGroup<S: TensorScalar> {
    let shape: FusedShape
    /// W_0 of this head.
    let initial: PerMemory<LayerPointers<S>>
    /// r_η, r_α `[d]` and b_η, b_α `[1]` of this head.
    let readouts: GatePointers<S>
    let scratch: FusedScratch<S>
}

/// Readout and bias of η and of α: values, or their gradients.
struct GatePointers<S: TensorScalar> {
    typealias Gate = (readout: UnsafeMutablePointer<S>, bias: UnsafeMutablePointer<S>)

    let stepSize: Gate
    let retention: Gate
}

/// Where one chunk's intermediate matrices live; n rows at most.
struct FusedScratch<S: TensorScalar> {
    /// W̄ of the memory at hand.
    let current: LayerPointers<S>
    /// Gradients of W̄.
    let currentGradient: LayerPointers<S>
    /// s over silu(W̄2 v), `[2n, m]`.
    let s: UnsafeMutablePointer<S>
    /// κ of W1, `[n, m]`.
    let key1: UnsafeMutablePointer<S>
    /// `[2n, d]`.
    let outer: UnsafeMutablePointer<S>
    /// `[2n, m]`.
    let inner: (UnsafeMutablePointer<S>, UnsafeMutablePointer<S>)
    /// R of the solve, then dw: `[n, d]` and `[n, m]`.
    let right1: UnsafeMutablePointer<S>
    let right2: UnsafeMutablePointer<S>
    /// W_0 κ, then −η dR: `[n, d]` and `[n, m]`.
    let solved1: UnsafeMutablePointer<S>
    let solved2: UnsafeMutablePointer<S>
    /// dκ of W1, `[n, m]`.
    let key1Gradient: UnsafeMutablePointer<S>
    /// `[n, n]`.
    let square: (UnsafeMutablePointer<S>, UnsafeMutablePointer<S>)
    /// `[16, n]`.
    let strip: UnsafeMutablePointer<S>
    /// `[m]`.
    let readout: UnsafeMutablePointer<S>
    let readoutGradient: UnsafeMutablePointer<S>
    /// `[n]`.
    let numbers: (UnsafeMutablePointer<S>, UnsafeMutablePointer<S>)

    init(_ slab: inout Slab<S>, _ shape: FusedShape) {
        let (n, d, m) = (shape.longestSpan, shape.width, shape.hidden)
        current = MemoryWeights(w1: slab.take(shape.layer), w2: slab.take(shape.layer))
        currentGradient = MemoryWeights(w1: slab.take(shape.layer), w2: slab.take(shape.layer))
        s = slab.take(2 * n * m)
        key1 = slab.take(n * m)
        outer = slab.take(2 * n * d)
        inner = (slab.take(2 * n * m), slab.take(2 * n * m))
        right1 = slab.take(n * d)
        right2 = slab.take(n * m)
        solved1 = slab.take(n * d)
        solved2 = slab.take(n * m)
        key1Gradient = slab.take(n * m)
        square = (slab.take(n * n), slab.take(n * n))
        strip = slab.take(16 * n)
        readout = slab.take(m)
        readoutGradient = slab.take(m)
        numbers = (slab.take(n), slab.take(n))
    }

    static func size(_ shape: FusedShape) -> Int { Slab<S>.size { slab in _ = FusedScratch(&slab, shape) } }
}

extension FusedGroup {
    /// W̄ = W_0 + Δ into the scratch.
    func setCurrent(_ initial: LayerPointers<S>, _ delta: LayerPointers<S>) {
        S.add(shape.layer, initial.w1, delta.w1, scratch.current.w1)
        S.add(shape.layer, initial.w2, delta.w2, scratch.current.w2)
    }

    /// s of keys and values, and κ = s/ℓ of W1, from a and ℓ.
    func setKeys(_ n: Int, _ record: WriteRecord<S>) {
        let m = shape.hidden
        S.silu(2 * n * m, record.a, scratch.s)
        for t in 0..<n { S.scale(m, 1 / record.length[t], scratch.s + t * m, scratch.key1 + t * m) }
    }
}
