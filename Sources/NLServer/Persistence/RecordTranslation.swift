import Foundation
import Store

// The store's records as the engine's own. Both sides call theirs `DocumentRecord`: the store's are written with the
// module's name.

/// Why a job failed, as its row keeps it.
struct JobFailure: Codable {
    /// A stable `snake_case` word.
    var code: String
    /// A sentence.
    var message: String
}

/// What a job's row keeps beside what the store knows of it.
struct JobDetail: Codable {
    struct Progress: Codable {
        var pass: Int
        var tokens: Int
        var loss: Double
        var progress: Double
    }
    var learning: Progress?
    var targetReached: Bool?
    var generation: Int64?
    /// Of a consolidation: what asked for it.
    var trigger: String?
    /// Of a rebuild: events done again, of how many, and what it comes to.
    var replayed: Int?
    var events: Int?
    var receipt: ForgetReceipt?
    /// Of a restore: the snapshot.
    var snapshot: String?
}

extension JobDetail.Progress {
    init(_ progress: LearningProgress) {
        self.init(
            pass: progress.pass, tokens: progress.tokens, loss: progress.loss, progress: progress.progress)
    }
}

extension JobRecord {
    init(_ record: Store.JobRecord) {
        let detail = (try? record.detail.decoded(as: JobDetail.self)) ?? JobDetail()
        let failure = record.error.flatMap { try? $0.decoded(as: JobFailure.self) }
        let kind = Kind(rawValue: record.kind.rawValue) ?? .learn
        var receipt = detail.receipt
        receipt?.jobID = record.id
        let replay = detail.replayed.map {
            ReplayProgress(replayed: $0, events: detail.events ?? $0, progress: record.progress)
        }
        self.init(
            id: record.id, kind: kind, status: Status(record.status), space: record.space,
            documentID: record.document, consolidationID: kind == .consolidate ? record.id : nil,
            snapshotID: detail.snapshot, progress: record.progress, created: record.created, started: record.started,
            finished: record.finished,
            failure: failure.map { Failure(code: $0.code, message: $0.message) },
            learning: detail.learning.map {
                LearningProgress(pass: $0.pass, tokens: $0.tokens, loss: $0.loss, progress: $0.progress)
            },
            targetReached: detail.targetReached, generation: detail.generation.map(Int.init), replay: replay,
            receipt: receipt)
    }
}

extension JobRecord.Status {
    init(_ status: JobStatus) {
        switch status {
        case .queued: self = .queued
        case .running: self = .running
        case .learned: self = .learned
        case .adopted: self = .adopted
        case .rejected: self = .rejected
        case .forgotten: self = .forgotten
        case .restored: self = .restored
        case .failed: self = .failed
        case .cancelled: self = .cancelled
        }
    }
}

extension JobStatus {
    init(_ status: JobRecord.Status) {
        switch status {
        case .queued: self = .queued
        case .running: self = .running
        case .learned: self = .learned
        case .adopted: self = .adopted
        case .rejected: self = .rejected
        case .forgotten: self = .forgotten
        case .restored: self = .restored
        case .failed: self = .failed
        case .cancelled: self = .cancelled
        }
    }
}

extension DocumentRecord {
    /// - Parameter jobID: the document's newest job.
    init(_ record: Store.DocumentRecord, jobID: String) {
        let status: Status =
            switch record.status {
            case .queued: .queued
            case .learning: .learning
            case .learned: .learned
            case .failed: .failed
            case .cancelled: .cancelled
            case .unlearned: .unlearned
            }
        let generations = [record.firstGeneration, record.lastGeneration].compactMap { $0.map(Int.init) }
        self.init(
            id: record.id, space: record.space, title: record.title,
            metadata: record.metadata == .empty ? nil : try? record.metadata.decoded(as: JSONValue.self),
            sha256: record.sha256.hex, status: status, byteCount: record.byteCount, tokenCount: record.tokenCount,
            created: record.created, learned: record.learned, jobID: jobID,
            losses: Losses(base: record.losses.base, learned: record.losses.learned, now: record.losses.now),
            generations: generations.count == 2 && generations[0] == generations[1] ? [generations[0]] : generations)
    }
}

/// What the log of consolidations keeps of a run beside its verdict.
struct ConsolidationDetail: Codable {
    var anchorsBefore: Double?
    var anchorsAfter: Double?
    var documentsBefore: Double?
    var documentsAfter: Double?
    var anchorBound: Double
    var documentCount: Int
    var generationBefore: Int64
}

extension ConsolidationRecord {
    /// A consolidation's id is its job's: a job is one consolidation.
    init(_ record: Store.ConsolidationRecord) {
        let detail = try? record.losses.decoded(as: ConsolidationDetail.self)
        self.init(
            id: record.job, jobID: record.job, space: record.space,
            trigger: Trigger(rawValue: record.trigger) ?? .manual, started: record.started, finished: record.finished,
            verdict: record.verdict == .adopted ? .adopted : .rejected, reason: record.reason,
            anchorLossBefore: detail?.anchorsBefore, anchorLossAfter: detail?.anchorsAfter,
            documentLossBefore: detail?.documentsBefore, documentLossAfter: detail?.documentsAfter,
            anchorBound: detail?.anchorBound ?? 0, documentCount: detail?.documentCount ?? 0, tokens: record.tokens,
            generationBefore: Int(detail?.generationBefore ?? 0), generationAfter: record.generation.map(Int.init))
    }
}
