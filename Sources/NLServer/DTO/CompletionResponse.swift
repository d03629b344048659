/// What both completion shapes say beyond OpenAI's fields.
struct GenerationDetail: Encodable, Sendable {
    var generation: Int
    /// As a string: a seed may need all 64 bits, a JSON number has 53.
    var seed: String
    var space: String
    var session: String?
    /// Updates of the session's fast level that the request caused.
    var fastUpdates: Int
    /// With `learn: "space"`.
    var job: WireJob?
    /// With `recall`, nearest first.
    var recall: [Recalled]?

    struct Recalled: Encodable, Sendable {
        var document: String
        var score: Double
    }

    init(_ request: GenerationRequest, _ start: GenerationStart, _ summary: GenerationSummary) {
        generation = start.generation
        seed = String(start.seed)
        space = request.space
        session = request.session
        fastUpdates = summary.fastUpdates
        job = start.job.map(WireJob.init)
        recall = start.recalled?.map { Recalled(document: $0.id, score: $0.score) }
    }
}

struct WireUsage: Encodable, Sendable {
    struct PromptDetails: Encodable, Sendable { var cachedTokens: Int }
    var promptTokens: Int
    var completionTokens: Int
    var totalTokens: Int
    var promptTokensDetails: PromptDetails

    init(_ usage: TokenUsage) {
        promptTokens = usage.promptTokens
        completionTokens = usage.completionTokens
        totalTokens = usage.promptTokens + usage.completionTokens
        promptTokensDetails = PromptDetails(cachedTokens: usage.reusedTokens)
    }
}

/// `text_completion`, whole or as a chunk of a stream.
struct CompletionResponse: Encodable, Sendable {
    struct Choice: Encodable, Sendable {
        var index = 0
        var text: String
        @Nullable var logprobs: Logprobs?
        @Nullable var finishReason: String?
    }

    /// OpenAI's four parallel arrays.
    struct Logprobs: Encodable, Sendable {
        var tokens: [String] = []
        var tokenLogprobs: [Double?] = []
        /// `null` where no alternatives were asked for.
        @Nullable var topLogprobs: [[String: Double]?]? = nil
        /// Where each token begins in the text, in Unicode scalars.
        var textOffset: [Int] = []
    }

    var id: String
    let object = "text_completion"
    var created: Int
    var model: String
    var choices: [Choice]
    var usage: WireUsage?
    var nlserver: GenerationDetail?
}

/// `chat.completion`.
struct ChatCompletionResponse: Encodable, Sendable {
    struct Message: Encodable, Sendable {
        let role = "assistant"
        var content: String
        /// OpenAI's clients look for it.
        @Nullable var refusal: String? = nil
    }
    struct Choice: Encodable, Sendable {
        var index = 0
        var message: Message
        @Nullable var logprobs: ChatLogprobs?
        var finishReason: String
    }

    var id: String
    let object = "chat.completion"
    var created: Int
    var model: String
    var choices: [Choice]
    var usage: WireUsage?
    var nlserver: GenerationDetail?
}

/// `chat.completion.chunk`.
struct ChatCompletionChunk: Encodable, Sendable {
    struct Delta: Encodable, Sendable {
        var role: String?
        var content: String?
    }
    struct Choice: Encodable, Sendable {
        var index = 0
        var delta: Delta
        @Nullable var logprobs: ChatLogprobs? = nil
        @Nullable var finishReason: String? = nil
    }

    var id: String
    let object = "chat.completion.chunk"
    var created: Int
    var model: String
    var choices: [Choice]
    var usage: WireUsage?
    var nlserver: GenerationDetail?
}

struct ChatLogprobs: Encodable, Sendable {
    struct Alternative: Encodable, Sendable {
        var token: String
        var logprob: Double
        var bytes: [UInt8]
    }
    struct Entry: Encodable, Sendable {
        var token: String
        var logprob: Double
        var bytes: [UInt8]
        var topLogprobs: [Alternative]
    }
    var content: [Entry]

    init(_ pieces: [TokenPiece]) {
        content = pieces.compactMap { piece in
            guard let logprob = piece.logprob else { return nil }
            return Entry(
                token: TokenText.describe(piece.bytes, id: piece.id), logprob: logprob, bytes: piece.bytes,
                topLogprobs: piece.alternatives.map {
                    Alternative(token: TokenText.describe($0.bytes, id: $0.id), logprob: $0.logprob, bytes: $0.bytes)
                })
        }
    }
}

/// How one token is written where JSON wants a string.
enum TokenText {
    /// The text of the token; `bytes:\xe2\x82` for part of a character, as OpenAI does; `<|17|>` for one without text.
    static func describe(_ bytes: [UInt8], id: Int) -> String {
        if bytes.isEmpty { return "<|\(id)|>" }
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        return "bytes:" + bytes.map { "\\x" + (($0 < 16 ? "0" : "") + String($0, radix: 16)) }.joined()
    }
}
