import NLCore

/// What a token costs by the model's equations (spec §1–2), whatever the engine does for it but for what it reads of the
/// memories: the denominator of the shares of the machine's limits.
struct TokenWork {
    /// Multiply-adds of the forward pass: weights of projections, links and head, each once.
    let dense: Double
    /// Multiply-adds of reading and writing the memories.
    let memories: Double
    /// Bytes of W_0 and of one stream's memories that a token reads in decoding as the engine does it, each once: of the
    /// main memory W_0, in both directions of the outer layer, and Δ; of the others their sum, and of step size and
    /// retention its inner layer alone.
    let initialBytes: Double
    let stateBytes: Double

    init(_ c: HopeConfiguration) {
        let width = Double(c.width)
        let links = Double(c.levels.reduce(0) { $0 + $1.linkWeights(ofModel: c.width) })
        dense = Double(c.layers) * (5 * width * width + links) + Double(c.vocabularySize) * width

        let (d, m) = (Double(c.headWidth), Double(c.memoryHiddenWidth))
        let matrix = d * m
        let kinds = Double(MemoryKind.allCases.count)
        // Every memory is read through two matrices. Writing: M(k), M(v), the gradient through W1, Δ κ of both layers
        // and the outer products into them.
        let read = kinds * 2 * matrix
        let written = Double(c.adaptiveMemories.count + 1) * (4 + 1 + (c.usesDelta ? 2 : 0) + 2) * matrix
        // κ κᵀ and the solve of both layers over half of a chunk; the reads of the main memory once more the same.
        let halves = Double(c.adaptiveMemories.count) * Double(c.projectionChunkSize) + 2 * Double(c.chunkSize)
        let within = halves * (d + m)
        let heads = Double(c.heads * c.layers)
        memories = heads * (read + written + within)
        initialBytes = heads * 3 * matrix * 4
        stateBytes = heads * (2 + 6) * matrix * 4
    }

    /// Operations of a training step for each of its tokens: forward, and twice that backward.
    var trainingOperations: Double { 2 * 3 * (dense + memories) }
}
