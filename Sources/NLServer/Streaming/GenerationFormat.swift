/// One of the two shapes in which OpenAI's API tells a generation, whole or piece by piece.
protocol GenerationFormat: Sendable {
    associatedtype Whole: Encodable & Sendable
    associatedtype Chunk: Encodable & Sendable

    /// The answer in one body.
    func whole(_ answer: GenerationAnswer) -> Whole
    /// What a stream says when the input has been read.
    mutating func opening(_ start: GenerationStart) -> [Chunk]
    /// One token; `nil` when it shows nothing yet.
    mutating func chunk(_ piece: TokenPiece) -> Chunk?
    /// The last choice, and the usage where it was asked for.
    mutating func closing(_ summary: GenerationSummary) -> [Chunk]
}

/// A generation collected to its end.
struct GenerationAnswer: Sendable {
    var start: GenerationStart
    var pieces: [TokenPiece]
    var summary: GenerationSummary

    var text: String { pieces.map(\.text).joined() + summary.text }
}

/// What every body of one generation repeats.
struct GenerationEnvelope: Sendable {
    var request: GenerationRequest
    var model: String
    /// Unix seconds.
    var created: Int
    var includesUsage: Bool
}

/// `POST /v1/completions`.
struct CompletionFormat: GenerationFormat {
    let envelope: GenerationEnvelope
    private var start: GenerationStart?
    /// Unicode scalars before the next token: OpenAI's `text_offset` counts as Python indexes strings.
    private var offset = 0

    init(_ envelope: GenerationEnvelope) {
        self.envelope = envelope
    }

    func whole(_ answer: GenerationAnswer) -> CompletionResponse {
        var offset = 0
        let pieces = answer.start.promptTokens + answer.pieces
        var body = response(
            text: answer.start.promptTokens.map(\.text).joined() + answer.text, pieces: pieces, offset: &offset,
            reason: answer.summary.reason)
        body.usage = WireUsage(answer.summary.usage)
        body.nlserver = GenerationDetail(envelope.request, answer.start, answer.summary)
        return body
    }

    mutating func opening(_ start: GenerationStart) -> [CompletionResponse] {
        self.start = start
        guard !start.promptTokens.isEmpty else { return [] }
        return [response(text: start.promptTokens.map(\.text).joined(), pieces: start.promptTokens, offset: &offset)]
    }

    mutating func chunk(_ piece: TokenPiece) -> CompletionResponse? {
        if piece.text.isEmpty, envelope.request.topLogprobs == nil { return nil }
        return response(text: piece.text, pieces: [piece], offset: &offset)
    }

    mutating func closing(_ summary: GenerationSummary) -> [CompletionResponse] {
        var last = response(text: summary.text, pieces: [], offset: &offset, reason: summary.reason)
        last.nlserver = start.map { GenerationDetail(envelope.request, $0, summary) }
        guard envelope.includesUsage else { return [last] }
        var usage = last
        (usage.choices, usage.nlserver, usage.usage) = ([], nil, WireUsage(summary.usage))
        return [last, usage]
    }

    private func response(
        text: String, pieces: [TokenPiece], offset: inout Int, reason: GenerationSummary.Reason? = nil
    ) -> CompletionResponse {
        CompletionResponse(
            id: "cmpl-\(envelope.request.requestID)", created: envelope.created, model: envelope.model,
            choices: [
                .init(
                    text: text, logprobs: logprobs(pieces, offset: &offset),
                    finishReason: reason?.rawValue)
            ])
    }

    private func logprobs(_ pieces: [TokenPiece], offset: inout Int) -> CompletionResponse.Logprobs? {
        guard let alternatives = envelope.request.topLogprobs, !pieces.isEmpty else { return nil }
        var logprobs = CompletionResponse.Logprobs()
        var tops: [[String: Double]?] = []
        for piece in pieces {
            logprobs.tokens.append(TokenText.describe(piece.bytes, id: piece.id))
            logprobs.tokenLogprobs.append(piece.logprob)
            logprobs.textOffset.append(offset)
            tops.append(
                piece.logprob == nil
                    ? nil
                    : Dictionary(
                        piece.alternatives.map { (TokenText.describe($0.bytes, id: $0.id), $0.logprob) },
                        uniquingKeysWith: max))
            // A scalar is counted with its first byte; the others are 10xxxxxx.
            offset += piece.bytes.count { $0 & 0b1100_0000 != 0b1000_0000 }
        }
        if alternatives > 0 { logprobs.topLogprobs = tops }
        return logprobs
    }
}

/// `POST /v1/chat/completions`.
struct ChatFormat: GenerationFormat {
    let envelope: GenerationEnvelope
    private var start: GenerationStart?
    /// The space after `Assistant:` belongs to the template, not to the answer.
    private var isAtBeginning = true

    init(_ envelope: GenerationEnvelope) {
        self.envelope = envelope
    }

    func whole(_ answer: GenerationAnswer) -> ChatCompletionResponse {
        ChatCompletionResponse(
            id: "chatcmpl-\(envelope.request.requestID)", created: envelope.created, model: envelope.model,
            choices: [
                .init(
                    message: .init(content: String(answer.text.drop { $0 == " " })), logprobs: logprobs(answer.pieces),
                    finishReason: answer.summary.reason.rawValue)
            ], usage: WireUsage(answer.summary.usage),
            nlserver: GenerationDetail(envelope.request, answer.start, answer.summary))
    }

    mutating func opening(_ start: GenerationStart) -> [ChatCompletionChunk] {
        self.start = start
        return [chunk(.init(role: "assistant", content: ""))]
    }

    mutating func chunk(_ piece: TokenPiece) -> ChatCompletionChunk? {
        let text = shown(piece.text)
        if text.isEmpty, envelope.request.topLogprobs == nil { return nil }
        return chunk(.init(content: text), logprobs: logprobs([piece]))
    }

    mutating func closing(_ summary: GenerationSummary) -> [ChatCompletionChunk] {
        var chunks: [ChatCompletionChunk] = []
        let rest = shown(summary.text)
        if !rest.isEmpty { chunks.append(chunk(.init(content: rest))) }
        var last = chunk(.init(), reason: summary.reason)
        last.nlserver = start.map { GenerationDetail(envelope.request, $0, summary) }
        chunks.append(last)
        if envelope.includesUsage {
            var usage = last
            (usage.choices, usage.nlserver, usage.usage) = ([], nil, WireUsage(summary.usage))
            chunks.append(usage)
        }
        return chunks
    }

    private mutating func shown(_ text: String) -> String {
        guard isAtBeginning else { return text }
        let shown = String(text.drop { $0 == " " })
        isAtBeginning = shown.isEmpty
        return shown
    }

    private func logprobs(_ pieces: [TokenPiece]) -> ChatLogprobs? {
        envelope.request.topLogprobs == nil ? nil : ChatLogprobs(pieces)
    }

    private func chunk(
        _ delta: ChatCompletionChunk.Delta, logprobs: ChatLogprobs? = nil, reason: GenerationSummary.Reason? = nil
    ) -> ChatCompletionChunk {
        ChatCompletionChunk(
            id: "chatcmpl-\(envelope.request.requestID)", created: envelope.created, model: envelope.model,
            choices: [.init(delta: delta, logprobs: logprobs, finishReason: reason?.rawValue)])
    }
}
