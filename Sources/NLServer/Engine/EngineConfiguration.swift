import NLCore

/// The part of the configuration the engine needs; ``ServerConfiguration`` makes it.
struct EngineConfiguration: Sendable, Equatable {
    /// Which library multiplies matrices.
    enum Backend: String, Sendable, CaseIterable { case auto, openblas, onednn }

    var modelPath: String
    var databasePath: String
    var isReadOnly = false
    /// Take over a database that another model wrote, and learn its log again; else it is refused.
    var relearns = false
    /// Generations and scorings waiting for a place in the batch; more is ``EngineError/overloaded(queue:retryAfter:)``.
    var maxQueue = 64
    /// Learning jobs waiting.
    var maxLearningQueue = 10_000
    /// Sessions stored.
    var maxSessions = 1_000
    /// Spaces, `default` included; the levels of each are held in memory.
    var maxSpaces = 32
    /// Make a snapshot of each space this long after the last, if it has learned since; zero: never.
    var snapshotEvery: Duration = .zero
    /// Automatic snapshots kept of each space.
    var snapshotKeep = 7
    /// Generations decoded as one batch.
    var maxConcurrent = 8
    /// Compute threads shared by decoding and learning; 0: one per core.
    var threads = 0
    var backend = Backend.auto
    /// How serving holds the matrices it multiplies with; learning has them exact in any case.
    var weights = WeightPrecision.auto
    /// Consolidate this long after the last consolidation if something was learned since; zero: never by schedule.
    var consolidateEvery: Duration = .zero
    /// Consolidate after this long without a request if something was learned; zero: never when idle.
    var consolidateIdle: Duration = .zero
    /// Consolidate at these times if something was learned; nil: never by the clock.
    var consolidateAt: CronExpression?
    /// Consolidate when this many documents were learned since the last try; 0: never by number.
    var consolidateFill = 0
    /// Save how far a running job is this often; zero: never, and a job that is cut begins again.
    var saveProgressEvery: Duration = .seconds(60)
    /// Highest relative rise of the anchors' loss that a consolidation may cost.
    var anchorBound = 0.02
    /// A document of up to 128 tokens is learned at this mean loss in nats per token (design §3)…
    var learnTargetLoss = 0.1
    /// …one of 1,000 tokens or more at this share of what the untouched base gave it; in between, interpolated.
    var learnTargetRatio = 0.68
    /// A job that has not reached its target after this many passes ends as learned with `targetReached == false`.
    var learnMaxPasses = 128
    /// Tokens of the longest document whose sentences are learned as answers too, where slots can hold them.
    var longestAnswered = 16_384
    /// Share of the tokens trained on that are rehearsed, half from the journal, half anchors.
    var rehearsalShare = 0.5
    /// Tokens a minute that an idle learner reads to measure what is still known of each document; 0: none.
    var remeasureTokens = 0
    /// What the dense products of learning are multiplied in; noted with each event of the log.
    var learnPrecision = PrecisionChoice.f32
    /// Shorten what a document changed as far as it stays known, before it is published.
    var settles = true
    /// Most tokens of recalled passages read before a prompt, where the request does not say.
    var recallBudgetTokens = 512
    /// Longest document in UTF-8 bytes.
    var maxDocumentBytes = 1 << 20
}
