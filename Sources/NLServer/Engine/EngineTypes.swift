import struct Foundation.Date

// The engine's own values: what a request asks and what reading it gives. Named for what they mean, not for how
// they travel; DTO/ holds the wire types. Learning's records are in EngineRecords.swift.

// MARK: - Generation

/// One request to read and continue.
struct GenerationRequest: Sendable {
    /// What is read before the first token is written.
    enum Input: Sendable {
        /// Tokenised by the engine. Not empty. A session that has read nothing gets BOS first.
        case text(String)
        /// Token ids as the caller sent them. Not empty. BOS is added only to an unread session whose first id
        /// is not BOS already.
        case tokens([Int])
        /// A conversation, rendered by ``ChatTemplate``: from the start for a session that has read nothing or
        /// whose tokens it repeats, else `continuing`. Not empty. The HTTP side adds ``ChatTemplate/stop`` to `stop`.
        case messages([ChatMessage])
    }

    /// Appended to the session: input is append-only. One exception (design §2): where `.messages` rendered *from
    /// the start* begins with exactly the tokens the session has already read, that part is not read again.
    var input: Input
    var sampling: SamplingParameters
    /// Most tokens to write; 0 reads and scores only. The HTTP side has applied `--max-tokens-limit`.
    var maxTokens: Int
    /// Up to 4 non-empty strings. Generation ends when one appears in the *answer*; its text is not delivered,
    /// nor what follows.
    var stop: [String] = []
    /// How many alternatives to report per token, 0…20; `nil`: no log-probabilities at all.
    /// Log-probabilities are natural logarithms of the unscaled softmax (before temperature and truncation), at the
    /// parameters before any update (design §2).
    var topLogprobs: Int?
    /// Deliver the tokens of the input, with log-probabilities if asked, in ``GenerationStart/promptTokens``.
    var echo = false
    /// Ends at the EOS token unless set; EOS itself is counted but delivers no text.
    var ignoresEndOfText = false
    /// Which space is read. Must be the session's own if a session is named.
    var space: String
    /// `nil`: a fresh session that ends with the request and is never stored.
    var session: String?
    var learn: LearnMode
    /// For logs only.
    var requestID: String
    /// Where the answer's knowledge comes from. Other than `.weights` only without a session, whose reading would
    /// keep the passages.
    var recall = RecallMode.weights
    /// Most tokens of passages read before the input; `nil`: the daemon's default.
    var recallBudget: Int?
}

/// What a request is allowed to change. Defaults are resolved before this: `.session` where a session is named,
/// else `.none`.
enum LearnMode: String, Sendable, CaseIterable {
    /// The fast level stays as it is. The working level, being the reading itself, still moves.
    case none
    /// The fast level takes gradients from the tokens the caller sent, never from those the model wrote.
    case session
    /// As `.session` if a session is named, else as `.none`; and the input is accepted as a document of the
    /// space, whose job is reported in ``GenerationStart/job``.
    case space
}

/// How the next token is chosen. Ranges are checked by the HTTP side.
///
/// Applied in this order: temperature, top-k, top-p, min-p. One seed gives one text, whoever else is served.
struct SamplingParameters: Sendable, Equatable {
    /// 0…2, finite; 0 is greedy (ties go to the lower id).
    var temperature: Double = 1
    /// (0, 1]; 1 keeps all.
    var topP: Double = 1
    /// At least 0; 0 keeps all.
    var topK: Int = 0
    /// [0, 1): tokens less likely than `minP` × the most likely are dropped.
    var minP: Double = 0
    /// `nil`: the engine draws one, and says which in ``GenerationStart/seed``.
    var seed: UInt64?
}

/// One message of a conversation.
struct ChatMessage: Sendable, Equatable {
    enum Role: String, Sendable, CaseIterable { case system, developer, user, assistant }
    var role: Role
    var content: String
}

/// What ``ModelEngine/generate(_:)`` delivers.
enum GenerationEvent: Sendable {
    /// First, once, when the whole input has been read.
    case started(GenerationStart)
    case token(TokenPiece)
    /// Last, once.
    case finished(GenerationSummary)
}

struct GenerationStart: Sendable {
    /// The generation of the space this request is pinned to.
    var generation: Int
    var seed: UInt64
    /// Tokens of the input, BOS included where the engine added it.
    var promptTokenCount: Int
    /// Of those, how many the session had already read and were not read again.
    var reusedTokenCount: Int = 0
    /// With `echo`: the input's tokens *without* a BOS the engine added, else empty. A token with nothing
    /// before it has a `nil` log-probability. `text` of these pieces concatenates to the input.
    var promptTokens: [TokenPiece] = []
    /// With `learn: space`: the job that learns the input.
    var job: JobRecord?
    /// With recall: documents whose passages were read before the input, nearest first; else `nil`.
    var recalled: [RecalledDocument]?
}

/// One token, read or written.
struct TokenPiece: Sendable, Equatable {
    var id: Int
    /// What may be shown now. All `text` in order, then ``GenerationSummary/text``, is the answer. Always whole
    /// UTF-8; empty while a character is incomplete or the text could begin a stop string; empty for special tokens.
    var text: String
    /// The token's own bytes, perhaps half a character; empty for special tokens.
    var bytes: [UInt8]
    /// Natural logarithm; `nil` without `topLogprobs`, or where there is nothing to condition on.
    var logprob: Double?
    /// The `topLogprobs` most likely tokens, most likely first. Empty when none were asked for.
    var alternatives: [TokenAlternative] = []
}

struct TokenAlternative: Sendable, Equatable {
    var id: Int
    var bytes: [UInt8]
    var logprob: Double
}

/// How a generation ended.
struct GenerationSummary: Sendable {
    enum Reason: String, Sendable {
        /// EOS or a stop string.
        case stop
        /// `maxTokens` written.
        case length
        /// Cut off by shutdown. (A consumer that cancels gets no event.)
        case cancelled
    }
    var reason: Reason
    /// What was held back as a possible stop string or half a character (then U+FFFD), if it is to be shown after all.
    var text: String = ""
    var usage: TokenUsage
    var timings: GenerationTimings
    /// Updates of the session's fast level caused by this request.
    var fastUpdates: Int = 0
}

struct TokenUsage: Sendable, Equatable {
    var promptTokens: Int
    var completionTokens: Int
    /// Of `promptTokens`, those not read again.
    var reusedTokens: Int = 0
}

struct GenerationTimings: Sendable, Equatable {
    var queued: Duration = .zero
    var reading: Duration = .zero
    var writing: Duration = .zero
}

// MARK: - Scoring

/// Text to score; BOS is put before it (or it follows what the session has read, if one is named).
struct ScoreRequest: Sendable {
    enum Input: Sendable {
        /// All of it is scored.
        case text(String)
        /// Only the completion is scored, after the prompt. The two are tokenised apart.
        case completion(String, after: String)
    }
    var input: Input
    var space: String
    var session: String?
}

struct ScoreResult: Sendable {
    /// Ids of everything read here, BOS first where it was added.
    var tokens: [Int]
    /// One per token: natural logarithm, `nil` for BOS and for tokens of the prompt.
    var logprobs: [Double?]
    /// Tokens scored: those with a log-probability.
    var tokenCount: Int
    var meanLogprob: Double
    /// −Σ log₂ p ÷ UTF-8 bytes of the scored text.
    var bitsPerByte: Double
    var generation: Int
}

// MARK: - Models and health

struct ModelDescription: Sendable {
    /// What requests may put into `model`.
    var id: String
    var created: Date
    /// SHA-256 over architecture, tokenizer and weights, hex.
    var fingerprint: String
    var parameterCount: Int
    var vocabularySize: Int
    /// Faster first.
    var levelNames: [String]
    var weights = Weights()

    /// How the matrices that serving multiplies with are held.
    struct Weights: Sendable, Equatable {
        /// As configured: auto, f32, bf16, bf16-both or int8.
        var precision = "f32"
        /// Scalars by what they are held in.
        var scalars: [String: Int] = [:]
        var byteCount = 0
    }
}

/// The three probes' answers, with reasons in words when negative.
struct EngineHealth: Sendable {
    enum Phase: String, Sendable { case starting, running, draining, stopped, failed }
    var phase: Phase
    /// Why a thread that should make progress has not; empty means alive.
    var stalls: [String] = []
    /// Facts an operator wants to see although they stop nothing: "generation 7 was damaged, 6 is used".
    var notices: [String] = []

    var isLive: Bool { phase != .failed && stalls.isEmpty }
    var isStarted: Bool { phase == .running || phase == .draining }
    var isReady: Bool { phase == .running && stalls.isEmpty }
}

/// A snapshot of counters and gauges. Totals count since process start and never fall.
struct EngineStatistics: Sendable {
    var generationsQueued = 0
    var generationsRunning = 0
    var learningJobsQueued = 0
    var learningJobsRunning = 0
    var sessionsStored = 0
    var sessionsInUse = 0
    var documentsStored = 0
    var spacesStored = 0
    var promptTokensTotal = 0
    var completionTokensTotal = 0
    var learnedTokensTotal = 0
    var documentsLearnedTotal = 0
    var documentsFailedTotal = 0
    var consolidationsAdoptedTotal = 0
    var consolidationsRejectedTotal = 0
    var databaseBytes = 0
    /// Of the space `default`.
    var generation = 0
    /// Of the space `default`.
    var retention = RetentionSummary()
    /// Levels of the space `default`; those owned by sessions as a fresh session would see them.
    var levels: [LevelRecord] = []
}
