/// Everything the model knows of one stream (spec §2, "State"): a bounded amount, however long the stream is.
///
/// A value: a copy is a snapshot, and costs no more than counting references. What a copy shares is replaced when it is
/// written, never changed.
public struct StreamState<S: TensorScalar>: Sendable {
    /// Tokens read so far.
    public internal(set) var position: Int
    /// The tokens read since the last multiple of C_p, oldest first: what the fast level has yet to learn from, behind
    /// the state ``boundary``.
    public internal(set) var openTokens: [Int32]
    /// The last tokens read, oldest first: as many as slots look back at (``LearningWindow/reach``).
    public internal(set) var recentTokens: ArraySlice<Int32> = []
    /// Logits after the last token, `[V]`: its loss belongs to the next request. Nil before the first token.
    public internal(set) var logits: Tensor<S>?
    /// One of each layer where the mixer is self-modifying Titans, else none.
    var layers: [StreamLayer<S>]
    /// Keys and values where the mixer is attention.
    var cache = AttentionCache<S>()
    /// Page size of the cache; 0 where the mixer is not attention.
    private(set) var pageSize = 0
    private(set) var layerCount = 0

    /// The state before the first token.
    @specialized(where S == Float)
    public init(_ configuration: HopeConfiguration) {
        position = 0
        openTokens = []
        layers =
            configuration.usesAttention ? [] : (0..<configuration.layers).map { _ in StreamLayer(configuration) }
        pageSize = configuration.usesAttention ? configuration.projectionChunkSize : 0
        layerCount = configuration.layers
    }

    /// The closed state at the last multiple of C_p, batch 1, one of each layer: what a learning step over
    /// ``openTokens`` starts from.
    ///
    /// It is transposed from the reading layout: ask once a projection chunk, not once a token.
    public var boundary: [MixerState<S>] {
        @specialized(where S == Float)
        get {
            if pageSize > 0 {
                let closed = position / pageSize * pageSize
                let pages = cache.pages.filter { $0.index < closed / pageSize }
                return (0..<layerCount).map {
                    .attention(AttentionState(position: closed, batch: 1, source: .pages(pages, layer: $0)))
                }
            }
            return layers.map { layer in
                let history = layer.boundaryHistory
                return .titans(
                    TitansState(
                        history: history.reshaped([1, history.shape[0], history.shape[1]]),
                        delta: PerMemory { kind in
                            // The four other memories are written at these moments alone: theirs are the current ones.
                            let delta = kind == .main ? layer.boundaryMain : layer.delta[kind]
                            return MemoryWeights(w1: delta.w1.transposed(), w2: delta.w2.transposed())
                        }))
            }
        }
    }

    /// The most numbers that a state of this geometry holds, open rows, boundary and logits included.
    public static func largestElementCount(_ c: HopeConfiguration) -> Int {
        if c.usesAttention {
            return c.vocabularySize + AttentionCache<S>.largestCount(c) * AttentionPage<S>.shape(c).count
        }
        let (head, hidden) = (c.headWidth, c.memoryHiddenWidth)
        let memories = MemoryKind.allCases.count + 1  // the main memory once more, as it was at the boundary
        let histories = 2 * (c.convolutionWindow - 1) * c.width
        let projectionRows = c.projectionChunkSize * (2 * head + 2)
        let mainRows = c.chunkSize * (2 * hidden + head)
        let layer = histories + c.heads * (memories * 2 * head * hidden + projectionRows + mainRows)
        return c.vocabularySize + c.layers * layer
    }
}

/// One layer's part of a stream's state. Δ in reading layout: W1ᵀ `[H, m, d]`, W2ᵀ `[H, d, m]`.
struct StreamLayer<S: TensorScalar>: Sendable {
    /// Δ̄ of each memory: after the last chunk that it was written with.
    var delta: PerMemory<MemoryWeights<Tensor<S>>>
    /// Δ of the main memory at the last multiple of C_p.
    var boundaryMain: MemoryWeights<Tensor<S>>
    /// The rows of `u` before the last multiple of C_p, `[w − 1, D]`.
    var boundaryHistory: Tensor<S>
    var open: OpenRows<S>
    /// What the four projection memories are read from; nil until the stream reads on.
    var sums: ProjectionSums<S>?

    init(_ c: HopeConfiguration) {
        let zero = MemoryWeights<Tensor<S>>(
            w1: .zeros([c.heads, c.memoryHiddenWidth, c.headWidth]),
            w2: .zeros([c.heads, c.headWidth, c.memoryHiddenWidth]))
        delta = PerMemory { _ in zero }
        boundaryMain = zero
        open = OpenRows(c)
        boundaryHistory = .zeros([c.convolutionWindow - 1, c.width])
    }
}

/// The rows of the chunks that are still open.
///
/// The one part of a state that changes with every token, so it is written in place as long as it has one owner:
/// ``StreamingHope`` copies it before writing if it has more.
///
/// Rows past the position are left from earlier chunks, or zero: finite, and multiplied by zero wherever they are read.
///
/// `@unchecked Sendable`: written only by its one owner.
final class OpenRows<S: TensorScalar>: @unchecked Sendable {
    /// The last rows of `u`, for the convolution, `[w − 1, D]`.
    let history: Tensor<S>
    /// k and v of the projection chunk, `[H, C_p, d]`; the keys of the main memory's chunk are among them.
    let key: Tensor<S>
    let value: Tensor<S>
    /// η and log α of the projection chunk, `[H, C_p]`.
    let stepSize: Tensor<S>
    let logRetention: Tensor<S>
    /// κ of the main memory's W1 in its chunk, `[H, C, m]`.
    let hiddenKey: Tensor<S>
    /// w of the main memory's W1, `[H, C, d]`, and of its W2, `[H, C, m]`.
    let w1: Tensor<S>
    let w2: Tensor<S>

    init(_ c: HopeConfiguration) {
        let (heads, chunk, span) = (c.heads, c.chunkSize, c.projectionChunkSize)
        history = .zeros([c.convolutionWindow - 1, c.width])
        key = .zeros([heads, span, c.headWidth])
        value = .zeros([heads, span, c.headWidth])
        stepSize = .zeros([heads, span])
        logRetention = .zeros([heads, span])
        hiddenKey = .zeros([heads, chunk, c.memoryHiddenWidth])
        w1 = .zeros([heads, chunk, c.headWidth])
        w2 = .zeros([heads, chunk, c.memoryHiddenWidth])
    }

    init(copying other: OpenRows) {
        history = other.history.copy()
        key = other.key.copy()
        value = other.value.copy()
        stepSize = other.stepSize.copy()
        logRetention = other.logRetention.copy()
        hiddenKey = other.hiddenKey.copy()
        w1 = other.w1.copy()
        w2 = other.w2.copy()
    }
}
