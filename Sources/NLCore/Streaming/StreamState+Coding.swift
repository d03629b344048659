/// A state as named arrays, for a store: the same numbers to the last bit.
public struct EncodedStreamState<S: TensorScalar>: Sendable {
    /// Arrays of numbers with their shapes, in a fixed order.
    ///
    /// Open rows are cut at the position, so what is stale is not kept; their number is less than C_p.
    public var tensors: [(name: String, shape: [Int], values: [S])]
    /// Tokens read.
    public var position: Int
    /// The tokens since the last multiple of C_p.
    public var openTokens: [Int32]
    /// The last tokens read (``StreamState/recentTokens``); more of them do no harm.
    public var recentTokens: [Int32]

    /// A state from its parts.
    public init(
        tensors: [(name: String, shape: [Int], values: [S])], position: Int, openTokens: [Int32],
        recentTokens: [Int32]
    ) {
        self.tensors = tensors
        self.position = position
        self.openTokens = openTokens
        self.recentTokens = recentTokens
    }
}

extension StreamState {
    /// The state as named arrays: at most ``largestElementCount(_:)`` numbers, and fewer than C_p tokens.
    @specialized(where S == Float)
    public func encoded() -> EncodedStreamState<S> {
        var tensors: [(name: String, shape: [Int], values: [S])] = []
        for (index, layer) in layers.enumerated() {
            let rows = OpenRowCounts(position, layer.open)
            layer.forEachPart(rows) { name, tensor, held in
                let cut = tensor.firstRows(held)
                tensors.append(("layers.\(index).\(name)", cut.shape.axes, cut.elements))
            }
        }
        let shape = cache.pages.first?.rows.shape
        for page in cache.pages {
            let held = min(position - page.index * pageSize, pageSize)
            let cut = held == pageSize ? page.rows : page.rows.firstRows(held)
            tensors.append(("pages.\(page.index)", [shape?[0] ?? 0, held, shape?[2] ?? 0], cut.elements))
        }
        if let logits { tensors.append(("logits", logits.shape.axes, logits.elements)) }
        return EncodedStreamState(
            tensors: tensors, position: position, openTokens: openTokens, recentTokens: Array(recentTokens))
    }

    /// A state as it was encoded.
    ///
    /// - Throws: ``StreamStateError`` when it can't be one of a model with this configuration.
    @specialized(where S == Float)
    public init(
        decoding encoded: EncodedStreamState<S>, _ configuration: HopeConfiguration
    ) throws(StreamStateError) {
        self.init(configuration)
        let filled = encoded.position % configuration.projectionChunkSize
        guard encoded.position >= 0, encoded.openTokens.count == filled else {
            throw .openTokens(position: encoded.position, found: encoded.openTokens.count)
        }
        let vocabulary = configuration.vocabularySize
        if let token = encoded.openTokens.first(where: { $0 < 0 || $0 >= vocabulary }) {
            throw .unknownToken(token, vocabularySize: vocabulary)
        }
        var found: [String: (shape: [Int], values: [S])] = [:]
        for (name, shape, values) in encoded.tensors {
            if found.updateValue((shape, values), forKey: name) != nil { throw .unexpected(name) }
        }
        func take(_ name: String, _ shape: [Int]) throws(StreamStateError) -> [S] {
            guard let (foundShape, values) = found.removeValue(forKey: name) else { throw .missing(name) }
            guard foundShape == shape, values.count == shape.reduce(1, *) else {
                throw .shape(name: name, expected: shape, found: foundShape, count: values.count)
            }
            return values
        }
        for index in layers.indices {
            let rows = OpenRowCounts(encoded.position, layers[index].open)
            try layers[index].fillParts(rows) { (name, shape) throws(StreamStateError) in
                try take("layers.\(index).\(name)", shape)
            }
        }
        if configuration.usesAttention {
            try cache.fill(encoded.position, configuration, take)
        }
        if encoded.position > 0 { logits = Tensor(try take("logits", [vocabulary]), shape: [vocabulary]) }
        if let name = found.keys.min() { throw .unexpected(name) }
        position = encoded.position
        openTokens = encoded.openTokens
        recentTokens = encoded.recentTokens.suffix(LearningWindow.reach)
    }
}

extension AttentionCache {
    /// The pages that a stream of so many tokens keeps.
    fileprivate mutating func fill(
        _ position: Int, _ c: HopeConfiguration, _ take: (String, [Int]) throws(StreamStateError) -> [S]
    ) throws(StreamStateError) {
        let shape = AttentionPage<S>.shape(c)
        var index = Self.firstPage(position, c)
        while index * shape[1] < position {
            let held = min(position - index * shape[1], shape[1])
            let page = AttentionPage<S>(c, index: index)
            page.rows.fillFirstRows(held, try take("pages.\(index)", [shape[0], held, shape[2]]))
            pages.append(page)
            index += 1
        }
    }
}

/// How many rows of the open chunks are filled.
private struct OpenRowCounts {
    let projection: Int
    let main: Int

    init<S: TensorScalar>(_ position: Int, _ open: OpenRows<S>) {
        projection = position % open.key.shape[1]
        main = position % open.hiddenKey.shape[1]
    }
}

extension StreamLayer {
    /// Every part by name, and how many rows of its second axis are held; nil for all of the tensor.
    fileprivate func forEachPart<E: Error>(
        _ rows: OpenRowCounts, _ body: (_ name: String, Tensor<S>, _ held: Int?) throws(E) -> Void
    ) throws(E) {
        for kind in MemoryKind.allCases {
            try body("delta.\(kind.rawValue).w1_transposed", delta[kind].w1, nil)
            try body("delta.\(kind.rawValue).w2_transposed", delta[kind].w2, nil)
        }
        try body("boundary.main.w1_transposed", boundaryMain.w1, nil)
        try body("boundary.main.w2_transposed", boundaryMain.w2, nil)
        try body("boundary.history", boundaryHistory, nil)
        try body("open.history", open.history, nil)
        try body("open.key", open.key, rows.projection)
        try body("open.value", open.value, rows.projection)
        try body("open.step_size", open.stepSize, rows.projection)
        try body("open.log_retention", open.logRetention, rows.projection)
        try body("open.hidden_key", open.hiddenKey, rows.main)
        try body("open.w1", open.w1, rows.main)
        try body("open.w2", open.w2, rows.main)
    }

    /// Replaces every part of a fresh layer.
    fileprivate mutating func fillParts(
        _ rows: OpenRowCounts, _ values: (_ name: String, _ shape: [Int]) throws(StreamStateError) -> [S]
    ) throws(StreamStateError) {
        // Parts of a fresh state share storage (zeros); each gets its own before it is filled.
        for kind in MemoryKind.allCases { delta[kind] = delta[kind].copied() }
        boundaryMain = boundaryMain.copied()
        try forEachPart(rows) { (name, tensor, held) throws(StreamStateError) in
            let shape = tensor.shape.axes
            tensor.fillFirstRows(held, try values(name, held.map { [shape[0], $0] + shape.dropFirst(2) } ?? shape))
        }
    }
}

extension MemoryWeights {
    /// Both layers with their own storage.
    func copied<S>() -> MemoryWeights where Content == Tensor<S> {
        MemoryWeights(w1: w1.copy(), w2: w2.copy())
    }
}

extension Tensor {
    /// The first `held` positions of axis 1; all of the tensor for nil.
    fileprivate func firstRows(_ held: Int?) -> Tensor {
        guard let held else { return self }
        let cut = Tensor(uninitialized: Shape([shape[0], held] + shape.axes.dropFirst(2)))
        let (from, to) = (count / shape[0], cut.count / shape[0])
        for group in 0..<shape[0] { (cut.pointer + group * to).update(from: pointer + group * from, count: to) }
        return cut
    }

    /// Writes what ``firstRows(_:)`` took.
    fileprivate func fillFirstRows(_ held: Int?, _ values: [S]) {
        values.withUnsafeBufferPointer { source in
            guard let base = source.baseAddress else { return }
            let groups = held == nil ? 1 : shape[0]
            let (from, to) = (values.count / groups, count / groups)
            for group in 0..<groups { (pointer + group * to).update(from: base + group * from, count: from) }
        }
    }
}

/// Stored numbers that are no state of the model.
public enum StreamStateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A part is missing.
    case missing(String)
    /// There is a part that a state does not have, or one part twice.
    case unexpected(String)
    /// A part has another shape, or another number of values than its shape says.
    case shape(name: String, expected: [Int], found: [Int], count: Int)
    /// The open tokens are not those since the last multiple of C_p.
    case openTokens(position: Int, found: Int)
    /// An open token is not in the vocabulary.
    case unknownToken(Int32, vocabularySize: Int)

    /// What is wrong with which part.
    public var description: String {
        switch self {
        case .missing(let name): "the stored session state lacks \"\(name)\""
        case .unexpected(let name): "the stored session state has \"\(name)\", which no state of this model has once"
        case .shape(let name, let expected, let found, let count):
            "\"\(name)\" of the stored session state has shape \(found) and \(count) values; the model asks for \(expected)"
        case .openTokens(let position, let found):
            "the stored session state has \(found) open tokens at position \(position), which does not fit the model's projection chunk"
        case .unknownToken(let token, let vocabularySize):
            "the stored session state holds token \(token), outside the vocabulary of \(vocabularySize)"
        }
    }
}
