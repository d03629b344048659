import NLCore

/// The pieces of a prompt that is echoed, with the probabilities the model gave them, noted while it is read.
struct PromptPieces {
    private let tokens: [Int32]
    /// How many of the first tokens are not shown: BOS that the caller did not send.
    private let added: Int
    /// How many alternatives are wanted; nil for no probabilities at all.
    private let topLogprobs: Int?
    private let model: LoadedModel
    private var pieces: [TokenPiece] = []

    init(_ plan: GenerationPlan, _ model: LoadedModel) {
        tokens = plan.input.tokens
        added = plan.input.added
        topLogprobs = plan.request.topLogprobs
        self.model = model
    }

    /// Notes the token at `position`.
    ///
    /// - Parameter logits: what predicted it, `[V]` or `[1, V]`; nil where nothing comes before it.
    mutating func note(_ position: Int, predictedBy logits: Tensor<Float>?) throws(EngineError) {
        guard position >= added, position < tokens.count else { return }
        let id = Int(tokens[position])
        var piece = TokenPiece(id: id, text: "", bytes: model.tokenizer.shownBytes(of: id))
        if let topLogprobs, let logits {
            try EngineError.numerics { () throws(LogitsError) in
                piece.logprob = try LogSoftmax.logProbabilities(of: [tokens[position]], logits)[0]
                guard topLogprobs > 0 else { return }
                // A greedy draw changes nothing, and ranks the alternatives.
                var sampler = Sampler(seed: 0)
                let ranked = try sampler.sample(logits, .greedy, alternatives: topLogprobs)
                piece.alternatives = model.alternatives(ranked.alternatives)
            }
        }
        pieces.append(piece)
    }

    /// Notes the tokens after a segment's first, which its rows predict, and the one after it.
    ///
    /// - Parameters:
    ///   - start: the position of the segment's first token.
    ///   - count: its length.
    ///   - logits: `[count, V]` where probabilities are wanted.
    mutating func note(after start: Int, _ count: Int, predictedBy logits: Tensor<Float>) throws(EngineError) {
        for row in 0..<count {
            try note(start + row + 1, predictedBy: topLogprobs == nil ? nil : logits.rows(row..<row + 1))
        }
    }

    /// All pieces, with their text: what the bytes say when put together, each character with its last token.
    func finished() -> [TokenPiece] {
        var decoder = StreamingDecoder(model.tokenizer, skipSpecialTokens: true)
        var pieces = pieces
        for index in pieces.indices { pieces[index].text = decoder.push(pieces[index].id) }
        if let last = pieces.indices.last { pieces[last].text += decoder.finish() }
        return pieces
    }
}

extension LoadedModel {
    func alternatives(_ ranked: [SampledToken.Alternative]) -> [TokenAlternative] {
        ranked.map {
            TokenAlternative(
                id: Int($0.token), bytes: tokenizer.shownBytes(of: Int($0.token)), logprob: $0.logProbability)
        }
    }
}

extension Tokenizer {
    /// A token's own bytes; none of a special token.
    func shownBytes(of id: Int) -> [UInt8] { isSpecial(id) ? [] : bytes(of: id) }
}
