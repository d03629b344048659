extension MixerState {
    /// The closed states of all layers of one stream as named tensors, for a store.
    ///
    /// - Precondition: they are a stream's boundary, or a fresh stream's.
    public static func parts(of states: [MixerState]) -> [(name: String, tensor: Tensor<S>)] {
        if case .attention(let state) = states.first {
            guard case .pages(let pages, _) = state.source else { return [] }
            return pages.map { ("pages.\($0.index)", $0.rows) }
        }
        return states.enumerated().flatMap { layer, state in
            state.titans.map { titans in
                [("\(layer)/history", titans.history)]
                    + MemoryKind.allCases.flatMap { kind in
                        [
                            ("\(layer)/\(kind.rawValue).w1", titans.delta[kind].w1),
                            ("\(layer)/\(kind.rawValue).w2", titans.delta[kind].w2),
                        ]
                    }
            } ?? []
        }
    }

    /// States as ``parts(of:)`` named them.
    ///
    /// - Parameters:
    ///   - names: those that are stored.
    ///   - take: gives a tensor of that name and shape.
    /// - Throws: what `take` throws.
    public static func states<E: Error>(
        _ c: HopeConfiguration, names: some Sequence<String>, _ take: (String, Shape) throws(E) -> Tensor<S>
    ) throws(E) -> [MixerState] {
        guard c.usesAttention else {
            var states: [MixerState] = []
            for layer in 0..<c.layers {
                var state = TitansState<S>(c, batch: 1)
                state.history = try take("\(layer)/history", state.history.shape)
                for kind in MemoryKind.allCases {
                    let (w1, w2) = (state.delta[kind].w1.shape, state.delta[kind].w2.shape)
                    state.delta[kind].w1 = try take("\(layer)/\(kind.rawValue).w1", w1)
                    state.delta[kind].w2 = try take("\(layer)/\(kind.rawValue).w2", w2)
                }
                states.append(.titans(state))
            }
            return states
        }
        let indices = names.compactMap { $0.hasPrefix("pages.") ? Int($0.dropFirst("pages.".count)) : nil }.sorted()
        let end = (indices.last ?? -1) + 1
        var pages: [AttentionPage<S>] = []
        // Every page that a stream of that length keeps must be there.
        for index in AttentionCache<S>.firstPage(end * c.projectionChunkSize, c)..<end {
            pages.append(
                AttentionPage(index: index, rows: try take("pages.\(index)", AttentionPage<S>.shape(c))))
        }
        return (0..<c.layers).map {
            .attention(
                AttentionState(position: end * c.projectionChunkSize, batch: 1, source: .pages(pages, layer: $0)))
        }
    }
}
