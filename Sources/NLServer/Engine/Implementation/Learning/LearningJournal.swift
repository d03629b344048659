import Foundation
import NLCore
import Store
import Synchronization

/// The way in and out of learning for everybody but the learner: documents, jobs, consolidations, in the terms of
/// ``ModelEngine``.
final class LearningJournal: Sendable {
    let signals = LearningSignals()
    let events = JobEvents()
    let schedule: ConsolidationSchedule
    let configuration: EngineConfiguration
    let database: DatabaseAccess
    /// Figures of each space as ``LearningLoop/refreshRetention()`` left them, for those who must not wait.
    let retention = Mutex<[String: RetentionSummary]>([:])
    private let model: LoadedModel
    /// Told of sessions that were deleted with a document.
    private let sessionsForgotten = Mutex<(@Sendable ([String]) -> Void)?>(nil)
    private let draining = Mutex(false)
    private let documents = Mutex(0)
    /// Tokenising a megabyte takes a while: not on the cooperative pool, and not while others wait for the database.
    private let tokenizing = DispatchQueue(label: "nlserver.tokenizing", qos: .utility, attributes: .concurrent)

    init(_ configuration: EngineConfiguration, model: LoadedModel, database: DatabaseAccess) {
        self.configuration = configuration
        self.model = model
        self.database = database
        schedule = ConsolidationSchedule(configuration)
    }

    /// Counts what is in the database already.
    func load(from store: MemoryStore) throws {
        let (jobs, stored) = try store.read { reader in
            (try reader.jobCounts(), try reader.spaces().flatMap { try reader.documentCounts(space: $0.id).values })
        }
        signals.queued(jobs[.queued] ?? 0)
        if let count = jobs[.queued], count > 0 {
            let waiting = try store.read { try $0.jobs(status: .queued, .init(limit: count)).items }
            for job in waiting where job.kind == .consolidate { signals.setQueuedConsolidation(job.id, of: job.space) }
        }
        documents.withLock { $0 = stored.reduce(0, +) }
    }

    /// Documents in the database.
    var documentsStored: Int { documents.withLock { $0 } }

    /// Counts documents that came or went, also with a space.
    func noteDocuments(_ count: Int) { documents.withLock { $0 += count } }

    /// Tells who serves sessions that these are deleted.
    func forgetSessions(_ ids: [String]) {
        guard !ids.isEmpty, let tell = sessionsForgotten.withLock(\.self) else { return }
        tell(ids)
    }

    /// Who is to be told of sessions that were deleted with a document.
    func onForgottenSessions(_ tell: @escaping @Sendable ([String]) -> Void) {
        sessionsForgotten.withLock { $0 = tell }
    }

    /// Takes no new work from now on.
    func beginDraining() { draining.withLock { $0 = true } }

    // MARK: - Documents

    /// See ``ModelEngine/acceptDocument(_:)``.
    func accept(_ submission: DocumentSubmission) async throws -> DocumentAcceptance {
        try requireOpen(for: "accept documents")
        try check(submission)
        let tokenCount = await withCheckedContinuation { continuation in
            tokenizing.async { [model] in continuation.resume(returning: model.tokens(of: submission.text).count) }
        }
        let acceptance = try await database { [self] store in
            try store.transaction { try accept(submission, tokenCount: tokenCount, in: $0) }
        }
        let isNew = acceptance.outcome != .duplicate
        if acceptance.outcome == .accepted { noteDocuments(1) }
        if isNew { signals.queued(1) }
        return DocumentAcceptance(
            document: DocumentRecord(acceptance.document, jobID: acceptance.job.id), job: JobRecord(acceptance.job),
            isNew: isNew)
    }

    private func accept(
        _ submission: DocumentSubmission, tokenCount: Int, in transaction: StoreTransaction
    ) throws -> Acceptance {
        let digest = SHA256Digest(of: submission.text)
        var id = submission.id
        // The same text under another id is not learned twice: the answer is the document that is there.
        if let asked = id, try transaction.document(space: submission.space, id: asked) == nil {
            id = try transaction.document(space: submission.space, sha256: digest)?.id ?? asked
        }
        let claim = submission.idempotencyKey.map { key in
            IdempotencyClaim(
                key: Self.stored(key, of: submission.space),
                request: SHA256Digest(of: [submission.space, submission.id ?? "", digest.hex].joined(separator: "\n")))
        }
        let acceptance = try transaction.accept(
            DocumentDraft(
                space: submission.space, id: id, title: submission.title,
                metadata: try submission.metadata.map { try JSONText(encoding: $0) } ?? .empty, text: submission.text,
                tokenCount: tokenCount), idempotency: claim)
        // Asked last, so that what is there already is answered although the queue is full; throwing takes all back.
        if acceptance.outcome != .duplicate {
            try requireRoom()
            try transaction.requireQuotas(
                of: submission.space, added: acceptance.outcome == .accepted ? acceptance.document : nil)
        }
        return acceptance
    }

    /// Keys are a space's own: another may use the same. A blank keeps them apart from those of the default space,
    /// which can have none.
    private static func stored(_ key: String, of space: String) -> String {
        space == Space.default ? key : " " + SHA256Digest(of: space + " " + key).hex
    }

    private func check(_ submission: DocumentSubmission) throws(EngineError) {
        guard !submission.text.isEmpty else { throw .invalid(parameter: "text", message: "A document has text.") }
        let size = submission.text.utf8.count
        guard size <= configuration.maxDocumentBytes else {
            throw .tooLarge(
                parameter: "text",
                message: "The document has \(size) bytes; at most \(configuration.maxDocumentBytes) are accepted.")
        }
    }

    // MARK: - Jobs

    /// See ``ModelEngine/follow(job:)``.
    func follow(_ id: String) async throws -> EventStream<LearningEvent> {
        let follower = events.follow(job: id)
        let stream = follower.makeStream()
        do {
            let (job, final) = try await database { store in
                try store.read { reader in
                    guard let record = try reader.job(id) else { throw EngineError.notFound(.job, id: id) }
                    let job = JobRecord(record)
                    return (job, try Self.finalEvent(of: job, reader))
                }
            }
            follower.begin(job, final: final)
            return stream
        } catch {
            follower.leave()
            throw error
        }
    }

    /// The event a job that has ended would have ended with; nil while it has not.
    private static func finalEvent(of job: JobRecord, _ reader: StoreReader) throws -> LearningEvent? {
        switch job.status {
        case .queued, .running: return nil
        case .learned: return .learned(job)
        case .forgotten: return .forgotten(job)
        case .restored: return .restored(job)
        case .failed: return .failed(job)
        case .cancelled: return .cancelled(job)
        case .adopted, .rejected:
            guard let record = try reader.consolidation(job: job.id, space: job.space) else { return .failed(job) }
            return .consolidated(job, record)
        }
    }

    /// See ``ModelEngine/cancelJob(_:)``.
    func cancel(_ id: String) async throws -> JobRecord {
        try requireWritable("cancel a job")
        let record = try await database { store in
            try store.transaction { transaction in
                guard let record = try transaction.job(id) else { throw EngineError.notFound(.job, id: id) }
                guard !record.status.isFinal else {
                    throw EngineError.conflict(
                        code: "job_ended", message: "Job '\(id)' has ended as \(record.status.rawValue).")
                }
                guard record.kind != .forget else { throw EngineError.forgettingIsFinal(id) }
                guard record.kind != .relearn else { throw EngineError.relearningIsFinal(id) }
                return record.status == .queued ? try transaction.cancelQueuedJob(id) : record
            }
        }
        guard record.status == .running else {
            signals.unqueued()
            if record.kind == .consolidate {
                signals.setQueuedConsolidation(nil, of: record.space)
                // Its schedule does not bring it back at once.
                signals.updateStanding(of: record.space) { $0.noteTried(isAdopted: false) }
            }
            let job = JobRecord(record)
            events.finish(id, with: .cancelled(job))
            return job
        }
        return try await cancelRunning(id)
    }

    /// Asks the learner to end a job, and waits a moment for it.
    private func cancelRunning(_ id: String) async throws -> JobRecord {
        let stream = try await follow(id)
        signals.cancel(job: id)
        let deadline = Task {
            try await Task.sleep(for: .seconds(5))
            stream.interrupt(throwing: CancellationError())
        }
        do {
            for try await _ in stream {}
        } catch {
            // The window is a long one: the job is still running, and the answer says so.
        }
        deadline.cancel()
        let job = try await job(id)
        if job.status.isFinal { signals.forgetCancelling(id) }
        return job
    }

    /// See ``ModelEngine/job(_:)``.
    func job(_ id: String) async throws -> JobRecord {
        try await database { store in
            guard let record = try store.read({ try $0.job(id) }) else { throw EngineError.notFound(.job, id: id) }
            return JobRecord(record)
        }
    }

    // MARK: - Consolidation

    /// See ``ModelEngine/consolidate(space:)``.
    func consolidate(space: String) async throws -> JobRecord {
        try requireOpen(for: "consolidate")
        let (record, isNew) = try await database { [self] store in
            try store.transaction { transaction in
                guard try transaction.space(space) != nil else { throw EngineError.notFound(.space, id: space) }
                guard try transaction.documentCounts(space: space)[.learned] ?? 0 > 0 else {
                    throw EngineError.conflict(code: "nothing_to_consolidate", message: "Nothing has been learned yet.")
                }
                try transaction.requireQuotas(of: space, added: nil)
                return try queueConsolidation(of: space, trigger: .manual, in: transaction)
            }
        }
        if isNew { signals.queued(1) }
        return JobRecord(record)
    }

    /// Queues a consolidation unless one waits already.
    func queueConsolidation(
        of space: String, trigger: ConsolidationRecord.Trigger, in transaction: StoreTransaction
    ) throws -> (job: Store.JobRecord, isNew: Bool) {
        if let id = signals.queuedConsolidation(of: space), let job = try transaction.job(id), job.status == .queued {
            return (job, false)
        }
        try requireRoom()
        let job = try transaction.createJob(
            kind: .consolidate, space: space,
            detail: try JSONText(encoding: JobDetail(trigger: trigger.rawValue)))
        signals.setQueuedConsolidation(job.id, of: space)
        return (job, true)
    }

    // MARK: - Limits

    func requireRoom() throws(EngineError) {
        guard signals.counts.queued < configuration.maxLearningQueue else {
            throw .overloaded(queue: "learning queue", retryAfter: .seconds(10))
        }
    }

    func requireWritable(_ action: String) throws(EngineError) {
        if configuration.isReadOnly { throw .readOnly(action: action) }
    }

    func requireOpen(for action: String) throws(EngineError) {
        try requireWritable(action)
        if draining.withLock({ $0 }) {
            throw .unavailable(reason: "the daemon is shutting down", retryAfter: .seconds(5))
        }
    }
}
