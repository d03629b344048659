import struct Foundation.Date

// What the engine keeps: documents, jobs, levels, consolidations, sessions.

/// A slice of a list: at most `limit` items after the item whose id is `after`.
struct PageRequest: Sendable, Equatable {
    /// 1…1000.
    var limit: Int = 100
    /// The id (or, for histories, the generation) of the last item seen. Unknown ids are `.invalid(parameter: "after", …)`.
    var after: String?
}

struct Page<Item: Sendable>: Sendable {
    var items: [Item]
    /// Whether more follow the last item.
    var hasMore: Bool
}

// MARK: - Documents and jobs

struct DocumentSubmission: Sendable {
    /// Not empty, at most `--max-document-bytes`.
    var text: String
    /// Chosen by the caller, or made by the engine.
    var id: String?
    var title: String?
    var space: String
    /// A JSON object, kept as it is.
    var metadata: JSONValue?
    /// From `Idempotency-Key`; for a line of a stream, with the line number appended.
    var idempotencyKey: String?
}

struct DocumentAcceptance: Sendable {
    var document: DocumentRecord
    var job: JobRecord
    /// False if document and job were already there.
    var isNew: Bool
}

struct DocumentRecord: Sendable {
    /// `unlearned`: a restore went back to before it was learned, or it waits to be learned again on another model.
    enum Status: String, Sendable, CaseIterable { case queued, learning, learned, failed, cancelled, unlearned }

    var id: String
    var space: String
    var title: String?
    var metadata: JSONValue?
    /// Of the UTF-8 text, hex.
    var sha256: String
    var status: Status
    var byteCount: Int
    var tokenCount: Int
    var created: Date
    var learned: Date?
    /// The job that learns it.
    var jobID: String
    /// Mean loss in nats per token: by the untouched base, when just learned, now. `nil` until measured.
    var losses: Losses
    /// Generations whose levels this document changed, oldest first.
    var generations: [Int]

    struct Losses: Sendable, Equatable {
        var base: Double?
        var learned: Double?
        var now: Double?
    }
}

struct JobRecord: Sendable {
    enum Kind: String, Sendable, CaseIterable { case learn, consolidate, forget, restore, relearn }
    /// `learned` ends a learn job and a relearn job, `adopted` and `rejected` end a consolidation, `forgotten` a rebuild, `restored` a
    /// restore.
    enum Status: String, Sendable, CaseIterable {
        case queued, running, learned, adopted, rejected, forgotten, restored, failed, cancelled
        var isFinal: Bool { self != .queued && self != .running }
    }

    var id: String
    var kind: Kind
    var status: Status
    var space: String
    var documentID: String?
    var consolidationID: String?
    var snapshotID: String?
    /// 0…1, never falls while the job runs.
    var progress: Double
    var created: Date
    var started: Date?
    var finished: Date?
    var failure: Failure?
    /// Filled in while and after running.
    var learning: LearningProgress?
    /// Whether the loss target was reached; `nil` until the job ended as `learned`.
    var targetReached: Bool?
    /// The generation the job published.
    var generation: Int?
    /// Of a rebuild, once it has begun.
    var replay: ReplayProgress?
    /// Of a rebuild.
    var receipt: ForgetReceipt?

    struct Failure: Sendable, Equatable {
        /// A stable `snake_case` word: `non_finite_gradient`, `disk_full`, ….
        var code: String
        var message: String
    }
}

/// Where a job stands, and one line of its live progress.
struct LearningProgress: Sendable, Equatable {
    /// Passes over the document so far, from 1.
    var pass: Int
    /// Tokens trained on so far, rehearsal included.
    var tokens: Int
    /// The document's mean loss in nats per token over the last pass (or the part of it read so far).
    var loss: Double
    /// 0…1, as in the job.
    var progress: Double
}

/// What ``ModelEngine/follow(job:)`` delivers.
enum LearningEvent: Sendable {
    case accepted(JobRecord)
    case progress(LearningProgress)
    /// Of a rebuild.
    case replaying(ReplayProgress)
    /// Final.
    case learned(JobRecord)
    /// Final, of a rebuild.
    case forgotten(JobRecord)
    /// Final, of a consolidation, whatever the verdict.
    case consolidated(JobRecord, ConsolidationRecord)
    /// Final.
    case restored(JobRecord)
    /// Final.
    case failed(JobRecord)
    /// Final.
    case cancelled(JobRecord)
}

// MARK: - Levels

struct LevelsReport: Sendable {
    var space: String
    var session: String?
    var generation: Int
    /// Since the generation was published.
    var age: Duration
    /// Faster first.
    var levels: [LevelRecord]
}

struct LevelRecord: Sendable {
    /// `self_modifying_titans` for the working level, `cms` for the others, `base` for what never changes.
    enum Kind: String, Sendable, CaseIterable {
        case selfModifyingTitans = "self_modifying_titans"
        case attention
        case cms
        case base
    }
    enum Owner: String, Sendable, CaseIterable { case session, space, modelFile = "model_file" }

    var name: String
    var kind: Kind
    var owner: Owner
    /// `cms`, `initial_states`, or patterns of tensor names.
    var adapts: [String]
    /// Tokens; 0 for the base, which has none.
    var chunkSize: Int
    /// Scalars this level adapts.
    var parameterCount: Int
    var tokensRead: Int
    /// Tokens in the open chunk.
    var pendingTokens: Int
    var updates: Int
    var lastUpdate: Date?
    /// ‖Δθ‖₂ over the level's tensors.
    var deltaNorm: Double
    /// ‖Δθ‖₂ ÷ ‖θ_base‖₂ over the same tensors.
    var relativeDrift: Double
    /// Next-token loss in nats over the last chunk, and the mean over all chunks; `nil` before the first.
    var lastSurprise: Double?
    var meanSurprise: Double?
    /// `nil` where the update rule is part of the forward pass or there is none.
    var optimizer: String?
    var learningRate: Double?
    /// β of the optimizer's momentum; `nil` where the rule has none that is set.
    var momentum: Double?
    /// In words: `after 48 tokens`, `at consolidation`, `never`; with the moment if there is one.
    var nextDue: String
    /// Size of the level's state as persisted.
    var byteCount: Int
    /// `nil` where the level has no slots.
    var slots: Slots?

    /// Slots that hold something the level learned, and how many all levels of the space together may fill.
    struct Slots: Sendable {
        var used: Int
        var capacity: Int
    }
}

struct LevelHistoryEntry: Sendable {
    var generation: Int
    var created: Date
    /// What made the generation: a job's id.
    var jobID: String?
    var updates: Int
    var tokensRead: Int
    var deltaNorm: Double
    var relativeDrift: Double
    var meanSurprise: Double?
    /// `nil` where it was not noted.
    var byteCount: Int?
}

// MARK: - Consolidation

struct ConsolidationRecord: Sendable {
    enum Trigger: String, Sendable, CaseIterable { case manual, schedule, cron, idle, mediumFull = "medium_full" }
    enum Verdict: String, Sendable, CaseIterable { case adopted, rejected }

    var id: String
    var jobID: String
    var space: String
    var trigger: Trigger
    var started: Date
    var finished: Date?
    /// `nil` while it runs, or if it was cancelled or failed.
    var verdict: Verdict?
    /// Why, in words: "anchors 2.9 % worse, bound is 2 %".
    var reason: String?
    /// Mean losses in nats per token. Documents: those consolidated in this run.
    var anchorLossBefore: Double?
    var anchorLossAfter: Double?
    var documentLossBefore: Double?
    var documentLossAfter: Double?
    /// The gate: highest relative rise of the anchors' loss that is adopted, 0.02 for 2 %.
    var anchorBound: Double
    var documentCount: Int
    var tokens: Int
    var generationBefore: Int
    /// Only if adopted.
    var generationAfter: Int?
}

/// When a space consolidates next without being asked, and why.
struct ConsolidationForecast: Sendable {
    struct Schedule: Sendable {
        var trigger: ConsolidationRecord.Trigger
        /// As a user would write it: `3600s`, `30 3 * * *`, `64 documents`.
        var setting: String
        /// As things stand; nil if it will not be.
        var due: Date?
    }

    /// Whether one waits or runs already.
    var isQueued = false
    /// Documents learned since the last one that was adopted.
    var documentsWaiting = 0
    /// Of those, documents learned since the last one that was tried: what fills the medium level.
    var documentsUntried = 0
    /// The schedules in force.
    var schedules: [Schedule] = []

    /// The schedule that comes first.
    var next: Schedule? { schedules.filter { $0.due != nil }.min { $0.due ?? .now < $1.due ?? .now } }
}

// MARK: - Sessions

struct SessionCreation: Sendable {
    /// Chosen by the caller, or made by the engine.
    var id: String?
    var space: String
}

struct SessionRecord: Sendable {
    var id: String
    var space: String
    var created: Date
    var lastUsed: Date
    /// Position: tokens read and written so far.
    var tokenCount: Int
    /// Updates of its fast level.
    var fastUpdates: Int
    /// The generation its last request read.
    var generation: Int
    /// The session it was forked from.
    var parent: String?
    var isInUse: Bool
    /// Size of its persisted state.
    var byteCount: Int
}
