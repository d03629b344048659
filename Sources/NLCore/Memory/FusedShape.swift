/// The sizes of one fused recurrence, in the symbols of spec §2.
struct FusedShape: Sendable {
    /// B.
    let batch: Int
    /// H.
    let heads: Int
    /// T.
    let length: Int
    /// d.
    let width: Int
    /// m.
    let hidden: Int
    /// C.
    let chunk: Int
    /// C_p.
    let span: Int
    /// Whether the −η W κκᵀ term of DGD is in force.
    let usesDelta: Bool
    /// Whether α may differ from 1.
    let retains: Bool
    /// ρ.
    let radius: Double
    /// η_max.
    let stepSizeMaximum: Double
    /// The memories besides `main` that are written.
    let adaptive: [MemoryKind]

    init(_ c: HopeConfiguration, batch: Int, length: Int) {
        self.batch = batch
        heads = c.heads
        self.length = length
        width = c.headWidth
        hidden = c.memoryHiddenWidth
        chunk = c.chunkSize
        span = c.projectionChunkSize
        usesDelta = c.usesDelta
        retains = c.retains
        radius = c.memoryRadius
        stepSizeMaximum = c.stepSizeMaximum
        adaptive = c.adaptiveMemories
    }

    /// G.
    var groups: Int { batch * heads }
    /// Elements of one layer of one memory.
    var layer: Int { width * hidden }
    /// Chunks of the main memory; C_p is a multiple of C, so that they never cross a span's end.
    var chunks: Int { (length + chunk - 1) / chunk }
    /// Chunks of the other four: spans.
    var spans: Int { (length + span - 1) / span }
    /// The most rows that a chunk of the main memory has here.
    var longestChunk: Int { min(chunk, length) }
    /// The most rows that a span has here.
    var longestSpan: Int { min(span, length) }

    /// The rows of span `index`.
    func spanRows(_ index: Int) -> Range<Int> { index * span..<min((index + 1) * span, length) }

    /// The chunks of the main memory inside span `index`.
    func chunksOfSpan(_ index: Int) -> Range<Int> {
        let rows = spanRows(index)
        return rows.lowerBound / chunk..<(rows.upperBound + chunk - 1) / chunk
    }

    /// The rows of chunk `index` of the main memory.
    func chunkRows(_ index: Int) -> Range<Int> { index * chunk..<min((index + 1) * chunk, length) }
}

/// Hands out aligned pieces of one block of memory, one after another.
struct Slab<S: TensorScalar> {
    private let base: UnsafeMutablePointer<S>
    /// Elements handed out, alignment included.
    private(set) var count = 0

    init(_ base: UnsafeMutablePointer<S>) { self.base = base }

    /// The next `size` elements.
    mutating func take(_ size: Int) -> UnsafeMutablePointer<S> {
        let piece = base + count
        let unit = BufferPool.alignment / MemoryLayout<S>.stride
        count += (size + unit - 1) / unit * unit
        return piece
    }

    /// How many elements `layout` takes: it is carried out on addresses that nothing is read from.
    static func size(_ layout: (inout Slab) -> Void) -> Int {
        guard let nowhere = UnsafeMutablePointer<S>(bitPattern: BufferPool.alignment) else { return 0 }
        var slab = Slab(nowhere)
        layout(&slab)
        return slab.count
    }
}
