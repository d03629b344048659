/// Pointers to the two layers of a memory: W1 `[d, m]`, W2 `[m, d]`.
typealias LayerPointers<S> = MemoryWeights<UnsafeMutablePointer<S>>

/// The rows of one chunk, as every memory that is written from them sees them; n rows.
struct ChunkRows<S: TensorScalar> {
    /// Keys, values and, for the main memory, queries, one block after another: `[2n, d]` or `[3n, d]`.
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
    /// T of the layers whose keys are k, `[n, n]`.
    let inverse: UnsafeMutablePointer<S>

    init(_ slab: inout Slab<S>, rows: Int, blocks: Int, width: Int) {
        inputs = slab.take(blocks * rows * width)
        stepSize = slab.take(rows)
        before = slab.take(rows)
        remaining = slab.take(rows)
        kept = slab.take(1)
        decay = slab.take(rows * rows)
        inverse = slab.take(rows * rows)
    }
}

/// What the write of one chunk into one memory leaves for the backward pass; n rows.
struct WriteRecord<S: TensorScalar> {
    /// W̄2 k over W̄2 v, `[2n, m]`.
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
    /// ℓe + W_0 κ of W1, `[n, d]`: −u/η with what W_0 recalls.
    let error1: UnsafeMutablePointer<S>
    /// δ + W_0 κ of W2, `[n, m]`.
    let error2: UnsafeMutablePointer<S>
    /// T of W1, `[n, n]`.
    let inverse1: UnsafeMutablePointer<S>
    /// w of W1, `[n, d]`.
    let w1: UnsafeMutablePointer<S>
    /// w of W2, `[n, m]`.
    let w2: UnsafeMutablePointer<S>

    init(_ slab: inout Slab<S>, rows: Int, width: Int, hidden: Int) {
        a = slab.take(2 * rows * hidden)
        e = slab.take(rows * width)
        target = slab.take(rows * width)
        targetScale = slab.take(rows)
        back = slab.take(rows * hidden)
        length = slab.take(rows)
        error1 = slab.take(rows * width)
        error2 = slab.take(rows * hidden)
        inverse1 = slab.take(rows * rows)
        w1 = slab.take(rows * width)
        w2 = slab.take(rows * hidden)
    }
}

/// What the reads of one chunk of the main memory leave for the backward pass; n rows.
struct ReadRecord<S: TensorScalar> {
    /// W2_{t−1} q, `[n, m]`.
    let a: UnsafeMutablePointer<S>
    /// Δ2_{t−1} q, `[n, m]`.
    let recalled2: UnsafeMutablePointer<S>
    /// Δ1_{t−1} silu(a), `[n, d]`.
    let recalled1: UnsafeMutablePointer<S>
    /// (γ_{t−1}/γ_s)(κ_s·z_t) of W1 and of W2, `[n, n]`.
    let similarity1: UnsafeMutablePointer<S>
    let similarity2: UnsafeMutablePointer<S>

    init(_ slab: inout Slab<S>, rows: Int, width: Int, hidden: Int) {
        a = slab.take(rows * hidden)
        recalled2 = slab.take(rows * hidden)
        recalled1 = slab.take(rows * width)
        similarity1 = slab.take(rows * rows)
        similarity2 = slab.take(rows * rows)
    }
}

/// What generating the rows of one span leaves for the backward pass; n rows.
struct RetrievalRecord<S: TensorScalar> {
    /// W̄2 z of the four projection memories, `[n, m]` each.
    let aKey: UnsafeMutablePointer<S>
    let aValue: UnsafeMutablePointer<S>
    let aStepSize: UnsafeMutablePointer<S>
    let aRetention: UnsafeMutablePointer<S>
    /// The factors that normalised k and v, `[n]`.
    let keyScale: UnsafeMutablePointer<S>
    let valueScale: UnsafeMutablePointer<S>
    /// log α, `[n]`.
    let logRetention: UnsafeMutablePointer<S>
    /// d log η / d logit and d log α / d logit, `[n]`.
    let stepSizeSlope: UnsafeMutablePointer<S>
    let retentionSlope: UnsafeMutablePointer<S>

    init(_ slab: inout Slab<S>, rows: Int, hidden: Int) {
        aKey = slab.take(rows * hidden)
        aValue = slab.take(rows * hidden)
        aStepSize = slab.take(rows * hidden)
        aRetention = slab.take(rows * hidden)
        keyScale = slab.take(rows)
        valueScale = slab.take(rows)
        logRetention = slab.take(rows)
        stepSizeSlope = slab.take(rows)
        retentionSlope = slab.take(rows)
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

/// Everything that a group's forward pass keeps, in one block: for each span and each chunk its own records when
/// they are kept for a backward pass, or the same ones again and again when they are not.
struct FusedRecords<S: TensorScalar> {
    private let base: UnsafeMutablePointer<S>
    private let shape: FusedShape
    private let layout: Layout

    /// Sizes of the parts, in elements.
    struct Layout: Sendable {
        let spanSize: Int
        let chunkSize: Int
        let stateSize: Int
        let keeps: Bool
        let total: Int

        init(_ shape: FusedShape, keeps: Bool) {
            self.keeps = keeps
            spanSize = Slab<S>.size { slab in
                _ = Span(&slab, shape)
                for _ in shape.adaptive {
                    _ = WriteRecord(&slab, rows: shape.longestSpan, width: shape.width, hidden: shape.hidden)
                }
            }
            chunkSize = Slab<S>.size { slab in _ = Chunk(&slab, shape) }
            stateSize = Slab<S>.size { slab in _ = StateRecord(&slab, layer: shape.layer) }
            let states = keeps ? 4 * (shape.spans + 1) + shape.chunks + 1 : 5
            total = (keeps ? shape.spans : 1) * spanSize + (keeps ? shape.chunks : 1) * chunkSize + states * stateSize
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
        let read: ReadRecord<S>

        init(_ slab: inout Slab<S>, _ shape: FusedShape) {
            let (rows, width, hidden) = (shape.longestChunk, shape.width, shape.hidden)
            self.rows = ChunkRows(&slab, rows: rows, blocks: 3, width: width)
            write = WriteRecord(&slab, rows: rows, width: width, hidden: hidden)
            read = ReadRecord(&slab, rows: rows, width: width, hidden: hidden)
        }
    }

    init(_ base: UnsafeMutablePointer<S>, _ shape: FusedShape, _ layout: Layout) {
        self.base = base
        self.shape = shape
        self.layout = layout
    }

    /// The records of span `index`, those of the writes aside.
    func span(_ index: Int) -> Span {
        var slab = Slab(base + (layout.keeps ? index * layout.spanSize : 0))
        return Span(&slab, shape)
    }

    /// The writes of span `index`, in the order of ``FusedShape/adaptive``.
    func forEachWrite(_ index: Int, _ body: (MemoryKind, WriteRecord<S>) -> Void) {
        var slab = Slab(base + (layout.keeps ? index * layout.spanSize : 0))
        _ = Span(&slab, shape)
        for kind in shape.adaptive {
            body(kind, WriteRecord(&slab, rows: shape.longestSpan, width: shape.width, hidden: shape.hidden))
        }
    }

    /// The records of chunk `index` of the main memory.
    func chunk(_ index: Int) -> Chunk {
        let spans = (layout.keeps ? shape.spans : 1) * layout.spanSize
        var slab = Slab(base + spans + (layout.keeps ? index * layout.chunkSize : 0))
        return Chunk(&slab, shape)
    }

    /// The state of a memory before its chunk `index`; one past the last is the state after it.
    func state(_ kind: MemoryKind, _ index: Int) -> StateRecord<S> {
        let before = (layout.keeps ? shape.spans : 1) * layout.spanSize + (layout.keeps ? shape.chunks : 1) * layout.chunkSize
        let number = MemoryKind.projections.firstIndex(of: kind) ?? MemoryKind.projections.count
        let slot = layout.keeps ? number * (shape.spans + 1) + index : number
        var slab = Slab(base + before + slot * layout.stateSize)
        return StateRecord(&slab, layer: shape.layer)
    }
}
