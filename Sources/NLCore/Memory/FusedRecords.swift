/// Pointers to the two layers of a memory: W1 `[d, m]`, W2 `[m, d]`.
typealias LayerPointers<S> = MemoryWeights<UnsafeMutablePointer<S>>

/// The rows of one chunk, as every memory that is written from them sees them; n rows.
struct ChunkRows<S: TensorScalar> {
    /// Values, keys and, for the main memory, queries, one block under another: `[2n, d]` or `[3n, d]`.
    let inputs: UnsafeMutablePointer<S>
    /// η_t, `[n]`.
    let stepSize: UnsafeMutablePointer<S>
    /// γ_{t−1}, `[n]`.
    let before: UnsafeMutablePointer<S>
    /// γ_n/γ_t, `[n]`.
    let remaining: UnsafeMutablePointer<S>
    /// γ_n, `[1]`.
    let kept: UnsafeMutablePointer<S>
    /// γ_{t−1}/γ_s below the diagonal, else 0: `[n, n]`.
    let decay: UnsafeMutablePointer<S>
    /// T, and the reads' factors of w, of the layers whose keys are k: ``LayerRecord``.
    let inverse: UnsafeMutablePointer<S>
    let similarity: UnsafeMutablePointer<S>

    init(_ slab: inout Slab<S>, rows: Int, blocks: Int, width: Int) {
        inputs = slab.take(blocks * rows * width)
        stepSize = slab.take(rows)
        before = slab.take(rows)
        remaining = slab.take(rows)
        kept = slab.take(1)
        decay = slab.take(rows * rows)
        inverse = slab.take(rows * rows)
        similarity = slab.take(blocks == 3 ? rows * rows : 0)
    }
}

/// What one layer's write, and its reads where it has any, leave for the backward pass; n rows, o outputs.
struct LayerRecord<S: TensorScalar> {
    /// x + W_0 κ, `[n, o]`; x alone without the delta term.
    let error: UnsafeMutablePointer<S>
    /// w, `[n, o]`.
    let w: UnsafeMutablePointer<S>
    /// T = (I + L)⁻¹, `[n, n]`.
    let inverse: UnsafeMutablePointer<S>
    /// Δ_{t−1} z_t, `[n, o]`.
    let recalled: UnsafeMutablePointer<S>
    /// (γ_{t−1}/γ_s)(κ_s·z_t), `[n, n]`.
    let similarity: UnsafeMutablePointer<S>

    /// - Parameter shared: T and the reads' factors, where other layers have the same.
    init(_ slab: inout Slab<S>, rows: Int, outputs: Int, reads: Bool, shared: ChunkRows<S>?) {
        error = slab.take(rows * outputs)
        w = slab.take(rows * outputs)
        recalled = slab.take(reads ? rows * outputs : 0)
        inverse = shared?.inverse ?? slab.take(rows * rows)
        similarity = shared?.similarity ?? slab.take(reads ? rows * rows : 0)
    }
}

/// What the write of one chunk into one memory leaves for the backward pass; n rows.
struct WriteRecord<S: TensorScalar> {
    /// W̄2 v over W̄2 k and, for the main memory, W2_{t−1} q: `[2n, m]` or `[3n, m]`.
    let a: UnsafeMutablePointer<S>
    /// e, `[n, d]`.
    let e: UnsafeMutablePointer<S>
    /// v̂, `[n, d]`, and the factors that normalised it, `[n]`.
    let target: UnsafeMutablePointer<S>
    let targetScale: UnsafeMutablePointer<S>
    /// W̄1ᵀ e, `[n, m]`.
    let back: UnsafeMutablePointer<S>
    /// ℓ = ‖s‖ + ε, `[n]`.
    let length: UnsafeMutablePointer<S>
    let layer1: LayerRecord<S>
    let layer2: LayerRecord<S>

    /// - Parameter chunk: the rows that are written.
    init(_ slab: inout Slab<S>, _ chunk: ChunkRows<S>, rows: Int, reads: Bool, _ shape: FusedShape) {
        let (width, hidden) = (shape.width, shape.hidden)
        a = slab.take((reads ? 3 : 2) * rows * hidden)
        e = slab.take(rows * width)
        target = slab.take(rows * width)
        targetScale = slab.take(rows)
        back = slab.take(rows * hidden)
        length = slab.take(rows)
        layer1 = LayerRecord(&slab, rows: rows, outputs: width, reads: reads, shared: nil)
        layer2 = LayerRecord(&slab, rows: rows, outputs: hidden, reads: reads, shared: chunk)
    }
}

/// What generating the rows of one span leaves for the backward pass; n rows.
struct RetrievalRecord<S: TensorScalar> {
    /// k or v: W̄2 z, `[n, m]`, and the factors that normalised the rows, `[n]`.
    typealias Unit = (a: UnsafeMutablePointer<S>, scale: UnsafeMutablePointer<S>)
    /// η or α: W̄2 z, `[n, m]`, and d log η / d logit or d log α / d logit, `[n]`.
    typealias Gate = (a: UnsafeMutablePointer<S>, slope: UnsafeMutablePointer<S>)

    let key: Unit
    let value: Unit
    let stepSize: Gate
    let retention: Gate
    /// log α, `[n]`.
    let logRetention: UnsafeMutablePointer<S>

    init(_ slab: inout Slab<S>, rows: Int, hidden: Int) {
        key = (slab.take(rows * hidden), slab.take(rows))
        value = (slab.take(rows * hidden), slab.take(rows))
        stepSize = (slab.take(rows * hidden), slab.take(rows))
        retention = (slab.take(rows * hidden), slab.take(rows))
        logRetention = slab.take(rows)
    }
}

/// Δ of one memory at a chunk's start, and how long the layers were before they were projected.
struct StateRecord<S: TensorScalar> {
    let delta: LayerPointers<S>
    /// sqrt(‖Δ‖² + ε) before the projection, `[1]` each; undefined for the first state.
    let length: LayerPointers<S>

    init(_ slab: inout Slab<S>, layer: Int) {
        delta = MemoryWeights(w1: slab.take(layer), w2: slab.take(layer))
        length = MemoryWeights(w1: slab.take(1), w2: slab.take(1))
    }
}

/// Everything that a group's forward pass keeps for the backward pass, in one block: for each span and each chunk its
/// own records. Without a backward pass, the same ones are used again and again.
struct FusedRecords<S: TensorScalar> {
    private let base: UnsafeMutablePointer<S>
    private let spare: UnsafeMutablePointer<S>
    private let shape: FusedShape
    private let layout: Layout

    /// Sizes of the parts, in elements: spans, their writes, chunks of the main memory, states.
    struct Layout: Sendable {
        fileprivate let span: Int
        fileprivate let writes: Int
        fileprivate let chunk: Int
        fileprivate let state: Int
        fileprivate let chunksAt: Int
        fileprivate let statesAt: Int
        fileprivate let keeps: Bool
        /// Elements that are kept from the forward pass to the backward pass.
        let kept: Int
        /// Elements of scratch in the forward pass: the last span's writes are not walked back, nor is anything
        /// when nothing is kept.
        let spare: Int

        init(_ shape: FusedShape, keeps: Bool) {
            self.keeps = keeps
            span = Slab<S>.size { slab in _ = Span(&slab, shape) }
            let withWrites = Slab<S>.size { slab in
                let rows = Span(&slab, shape).rows
                for _ in shape.adaptive {
                    _ = WriteRecord(&slab, rows, rows: shape.longestSpan, reads: false, shape)
                }
            }
            writes = withWrites - span
            chunk = Slab<S>.size { slab in _ = Chunk(&slab, shape) }
            state = Slab<S>.size { slab in _ = StateRecord(&slab, layer: shape.layer) }
            let (spans, chunks) = keeps ? (shape.spans, shape.chunks) : (1, 1)
            // Each memory has one state more than chunks; two take turns when none is kept.
            let states = 4 * (spans + 1) + chunks + 1
            chunksAt = spans * span + (spans - 1) * writes
            statesAt = chunksAt + chunks * chunk
            let total = statesAt + states * state
            kept = keeps ? total : 0
            spare = writes + (keeps ? 0 : total)
        }
    }

    /// One span's own records.
    struct Span {
        let rows: ChunkRows<S>
        let retrieval: RetrievalRecord<S>

        init(_ slab: inout Slab<S>, _ shape: FusedShape) {
            rows = ChunkRows(&slab, rows: shape.longestSpan, blocks: 2, width: shape.width)
            retrieval = RetrievalRecord(&slab, rows: shape.longestSpan, hidden: shape.hidden)
        }
    }

    /// One chunk of the main memory.
    struct Chunk {
        let rows: ChunkRows<S>
        let write: WriteRecord<S>

        init(_ slab: inout Slab<S>, _ shape: FusedShape) {
            rows = ChunkRows(&slab, rows: shape.longestChunk, blocks: 3, width: shape.width)
            write = WriteRecord(&slab, rows, rows: shape.longestChunk, reads: true, shape)
        }
    }

    /// - Parameters:
    ///   - kept: the block from the forward pass, nil when nothing is kept.
    ///   - spare: scratch; only the forward pass uses it.
    init(
        kept: UnsafeMutablePointer<S>?, spare: UnsafeMutablePointer<S>, _ shape: FusedShape, _ layout: Layout
    ) {
        base = kept ?? spare + layout.writes
        self.spare = spare
        self.shape = shape
        self.layout = layout
    }

    /// The records of span `index`, those of the writes aside.
    func span(_ index: Int) -> Span {
        var slab = Slab(base + (layout.keeps ? index : 0) * layout.span)
        return Span(&slab, shape)
    }

    /// The writes of span `index`, in the order of ``FusedShape/adaptive``.
    func forEachWrite(_ index: Int, _ body: (MemoryKind, WriteRecord<S>) -> Void) {
        let rows = span(index).rows
        let isKept = layout.keeps && index < shape.spans - 1
        var slab = Slab(isKept ? base + shape.spans * layout.span + index * layout.writes : spare)
        for kind in shape.adaptive {
            body(kind, WriteRecord(&slab, rows, rows: shape.longestSpan, reads: false, shape))
        }
    }

    /// The records of chunk `index` of the main memory.
    func chunk(_ index: Int) -> Chunk {
        var slab = Slab(base + layout.chunksAt + (layout.keeps ? index : 0) * layout.chunk)
        return Chunk(&slab, shape)
    }

    /// The state of a memory before its chunk `index`; one past the last is the state after it.
    func state(_ kind: MemoryKind, _ index: Int) -> StateRecord<S> {
        let states = layout.keeps ? shape.spans + 1 : 2
        let number = MemoryKind.projections.firstIndex(of: kind) ?? MemoryKind.projections.count
        let slot = number * states + (layout.keeps ? index : index % 2)
        var slab = Slab(base + layout.statesAt + slot * layout.state)
        return StateRecord(&slab, layer: shape.layer)
    }
}
