import Foundation

/// A document as lists and answers show it.
struct WireDocument: Encodable, Sendable {
    struct Losses: Encodable, Sendable {
        @Nullable var base: Double?
        @Nullable var learned: Double?
        @Nullable var now: Double?
    }

    var id: String
    var space: String
    var sha256: String
    var status: String
    @Nullable var title: String?
    @Nullable var metadata: JSONValue?
    var bytes: Int
    var tokens: Int
    var created: Date
    @Nullable var learned: Date?
    var jobId: String
    /// Nats per token.
    var losses: Losses
    var generations: [Int]

    init(_ record: DocumentRecord) {
        id = record.id
        space = record.space
        sha256 = record.sha256
        status = record.status.rawValue
        title = record.title
        metadata = record.metadata
        bytes = record.byteCount
        tokens = record.tokenCount
        created = record.created
        learned = record.learned
        jobId = record.jobID
        losses = Losses(base: record.losses.base, learned: record.losses.learned, now: record.losses.now)
        generations = record.generations
    }
}

struct WireJob: Encodable, Sendable {
    struct Failure: Encodable, Sendable {
        var code: String
        var message: String
    }

    var id: String
    var kind: String
    var status: String
    var space: String
    var progress: Double
    var created: Date
    @Nullable var started: Date?
    @Nullable var finished: Date?
    @Nullable var error: Failure?
    var documentId: String?
    var consolidationId: String?
    var snapshotId: String?
    var pass: Int?
    var tokens: Int?
    /// Nats per token.
    var loss: Double?
    var targetReached: Bool?
    var generation: Int?
    var eventsReplayed: Int?
    var events: Int?
    var receipt: WireForgetReceipt?

    init(_ record: JobRecord) {
        id = record.id
        kind = record.kind.rawValue
        status = record.status.rawValue
        space = record.space
        progress = record.progress
        created = record.created
        started = record.started
        finished = record.finished
        error = record.failure.map { Failure(code: $0.code, message: $0.message) }
        documentId = record.documentID
        consolidationId = record.consolidationID
        snapshotId = record.snapshotID
        pass = record.learning?.pass
        tokens = record.learning?.tokens
        loss = record.learning?.loss
        targetReached = record.targetReached
        generation = record.generation
        eventsReplayed = record.replay?.replayed
        events = record.replay?.events
        receipt = record.receipt.map(WireForgetReceipt.init)
    }
}

/// The answer to a document: 202, an event, or a line of a stream.
struct WireAcceptance: Encodable, Sendable {
    /// Of the NDJSON stream, from 1.
    var line: Int?
    var document: WireDocument
    var job: WireJob
    /// Whether the document was here before, so that nothing was added.
    var existing: Bool

    init(_ acceptance: DocumentAcceptance, line: Int? = nil) {
        self.line = line
        document = WireDocument(acceptance.document)
        job = WireJob(acceptance.job)
        existing = !acceptance.isNew
    }
}

struct WireJobAnswer: Encodable, Sendable {
    var job: WireJob
}

/// One `progress` event of learning.
struct WireProgress: Encodable, Sendable {
    var pass: Int
    var tokens: Int
    var loss: Double
    var progress: Double

    init(_ progress: LearningProgress) {
        pass = progress.pass
        tokens = progress.tokens
        loss = progress.loss
        self.progress = progress.progress
    }
}

struct WireConsolidation: Encodable, Sendable {
    struct Change: Encodable, Sendable {
        @Nullable var before: Double?
        @Nullable var after: Double?
    }

    var id: String
    var jobId: String
    var space: String
    var trigger: String
    var started: Date
    @Nullable var finished: Date?
    @Nullable var verdict: String?
    @Nullable var reason: String?
    /// Nats per token.
    var anchorLoss: Change
    var documentLoss: Change
    var anchorBound: Double
    var documents: Int
    var tokens: Int
    var generationBefore: Int
    @Nullable var generationAfter: Int?

    init(_ record: ConsolidationRecord) {
        id = record.id
        jobId = record.jobID
        space = record.space
        trigger = record.trigger.rawValue
        started = record.started
        finished = record.finished
        verdict = record.verdict?.rawValue
        reason = record.reason
        anchorLoss = Change(before: record.anchorLossBefore, after: record.anchorLossAfter)
        documentLoss = Change(before: record.documentLossBefore, after: record.documentLossAfter)
        anchorBound = record.anchorBound
        documents = record.documentCount
        tokens = record.tokens
        generationBefore = record.generationBefore
        generationAfter = record.generationAfter
    }
}

/// The final event of a consolidation that is followed.
struct WireConsolidationOutcome: Encodable, Sendable {
    var job: WireJob
    var consolidation: WireConsolidation
}

struct WireSession: Encodable, Sendable {
    var id: String
    var space: String
    var created: Date
    var lastUsed: Date
    var tokens: Int
    var fastUpdates: Int
    var generation: Int
    @Nullable var parent: String?
    var inUse: Bool
    var bytes: Int

    init(_ record: SessionRecord) {
        id = record.id
        space = record.space
        created = record.created
        lastUsed = record.lastUsed
        tokens = record.tokenCount
        fastUpdates = record.fastUpdates
        generation = record.generation
        parent = record.parent
        inUse = record.isInUse
        bytes = record.byteCount
    }
}

/// A page of a list.
struct WireList<Item: Encodable & Sendable>: Encodable, Sendable {
    let object = "list"
    var data: [Item]
    var hasMore: Bool
    /// What to send as `after` for the next page.
    @Nullable var next: String?

    init<Record>(_ page: Page<Record>, cursor: (Record) -> String, _ item: (Record) -> Item) {
        data = page.items.map(item)
        hasMore = page.hasMore
        next = page.hasMore ? page.items.last.map(cursor) : nil
    }
}
