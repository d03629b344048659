/// A stream and the tokens that it reads next.
public struct StreamInput<S: TensorScalar>: Sendable {
    /// The stream before the tokens; ``StreamingHope/advance(_:weights:)`` moves it on.
    public var state: StreamState<S>
    /// At least one token.
    public var tokens: [Int32]
    /// What the session's fast level adds to the CMS links.
    public var fast: FastWeights<S>?
    /// Whether the logits of every token are wanted, or of the last one alone.
    public var wantsAllLogits: Bool

    /// Tokens for a stream.
    public init(
        state: StreamState<S>, tokens: [Int32], fast: FastWeights<S>? = nil, wantsAllLogits: Bool = false
    ) {
        self.state = state
        self.tokens = tokens
        self.fast = fast
        self.wantsAllLogits = wantsAllLogits
    }
}

extension StreamInput {
    /// Checks everything that could go wrong while the stream is advanced.
    func validate(_ stream: Int, _ configuration: HopeConfiguration) throws(StreamError) {
        if tokens.isEmpty { throw .noTokens(stream: stream) }
        let vocabulary = configuration.vocabularySize
        if let token = tokens.first(where: { $0 < 0 || $0 >= vocabulary }) {
            throw .unknownToken(token, stream: stream, vocabularySize: vocabulary)
        }
        guard state.fits(configuration), fast?.fits(configuration) ?? true else {
            throw .otherGeometry(stream: stream)
        }
    }
}

extension StreamState {
    /// Whether this is a state of a model of that geometry.
    func fits(_ c: HopeConfiguration) -> Bool {
        guard pageSize == (c.usesAttention ? c.projectionChunkSize : 0) else { return false }
        guard logits?.count ?? c.vocabularySize == c.vocabularySize else { return false }
        if c.usesAttention {
            let shape = AttentionPage<S>.shape(c)
            return cache.pages.allSatisfy { $0.rows.shape == shape }
        }
        return layers.count == c.layers
            && layers.allSatisfy { layer in
                layer.open.key.shape == [c.heads, c.projectionChunkSize, c.headWidth]
                    && layer.open.hiddenKey.shape == [c.heads, c.chunkSize, c.memoryHiddenWidth]
                    && layer.open.history.shape == [c.convolutionWindow - 1, c.width]
            }
    }

    /// Gives the state its own copy of everything that reading `count` tokens writes.
    mutating func makeWritable(reading count: Int, _ weights: HopeWeights<S>) {
        let c = weights.configuration
        if c.usesAttention { return cache.makeWritable(reading: count, after: position, c) }
        let after = position + count
        let closesChunk = after / c.chunkSize > position / c.chunkSize
        let closesSpan = after / c.projectionChunkSize > position / c.projectionChunkSize
        let adaptive = c.adaptiveMemories
        for (index, block) in zip(layers.indices, weights.blocks) {
            guard case .titans(let own) = block.mixer else { continue }
            layers[index].makeWritable(closesChunk, closesSpan, adaptive)
            layers[index].makeSumsWritable(closesSpan && !adaptive.isEmpty, weights, own.identity)
        }
    }

    /// Notes what was read.
    mutating func note(_ tokens: [Int32], logits: Tensor<S>, _ c: HopeConfiguration) {
        position += tokens.count
        if c.usesAttention { cache.trim(to: position, c) }
        self.logits = logits
        recentTokens = (recentTokens + tokens).suffix(LearningWindow.reach)
        openTokens.append(contentsOf: tokens)
        openTokens.removeFirst(openTokens.count - position % c.projectionChunkSize)
    }
}

extension StreamLayer {
    fileprivate mutating func makeWritable(_ closesChunk: Bool, _ closesSpan: Bool, _ adaptive: [MemoryKind]) {
        if !isKnownUniquelyReferenced(&open) { open = OpenRows(copying: open) }
        if closesChunk { delta[.main] = delta[.main].copied() }
        guard closesSpan else { return }
        for kind in adaptive { delta[kind] = delta[kind].copied() }
        boundaryMain = boundaryMain.copied()
        boundaryHistory = boundaryHistory.copy()
    }

    /// Sums of these weights that the stream owns alone if they change.
    fileprivate mutating func makeSumsWritable(
        _ changes: Bool, _ weights: HopeWeights<S>, _ memories: MemoryIdentity
    ) {
        guard sums?.weights === memories, sums?.isFilled == true else {
            sums = ProjectionSums(MixerGeometry(weights.configuration, weights.precision), memories)
            return
        }
        if changes && !isKnownUniquelyReferenced(&sums) { sums = sums.map(ProjectionSums.init(copying:)) }
    }
}
