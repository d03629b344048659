import Foundation
import Store

// What a space may use, and the end of its jobs when it goes.

extension StoreReader {
    /// Holds what a space uses against its quotas.
    ///
    /// - Parameter added: the document that is already counted, and would be too much; nil for work that adds none.
    /// - Throws: ``EngineError/quotaExceeded(message:)``.
    func requireQuotas(of id: String, added: Store.DocumentRecord?) throws {
        guard let quotas = try space(id)?.quotas, quotas != Store.SpaceQuotas() else { return }
        let usage = try usage(space: id)
        let remedy = "Raise or remove it with PATCH /v1/spaces/\(id), or use another space."
        if added != nil, let limit = quotas.documents, usage.documents > limit {
            throw EngineError.quotaExceeded(
                message: "Space '\(id)' may hold \(limit) documents (quotas.documents) and holds "
                    + "\(usage.documents - 1). \(remedy)")
        }
        if let added, let limit = quotas.bytes, usage.bytes > limit {
            throw EngineError.quotaExceeded(
                message: "Space '\(id)' may hold \(limit) bytes of text (quotas.bytes) and holds "
                    + "\(usage.bytes - added.byteCount); this document has \(added.byteCount). \(remedy)")
        }
        if let limit = quotas.learningSeconds, usage.learningSeconds >= limit {
            throw EngineError.quotaExceeded(
                message: "Space '\(id)' may learn for \(limit) seconds (quotas.learning_seconds) and has learned for "
                    + "\(usage.learningSeconds.formatted(.number.precision(.fractionLength(1)).grouping(.never))). "
                    + remedy)
        }
    }
}

extension LearningJournal {
    /// Cancels what waits in a space, and asks the learner to end what runs there, for which it waits a moment.
    func cancelJobs(of space: String) async throws {
        let (cancelled, running) = try await database { store in
            try store.transaction { transaction in
                // What is to be forgotten or learned again is to be that, should the space stay after all.
                let cancelled = try transaction.jobs(space: space, status: .queued, .init(limit: Self.allJobs)).items
                    .filter { $0.kind != .forget && $0.kind != .relearn }.map { try transaction.cancelQueuedJob($0.id) }
                let running = try transaction.jobs(space: space, status: .running, .init(limit: Self.allJobs)).items
                return (cancelled, running)
            }
        }
        announce(cancelled)
        for job in running {
            if job.kind == .relearn {
                // The learner puts it back and waits, long enough for the space to be deleted with it.
                signals.cancel(job: job.id)
                continue
            }
            do {
                _ = try await cancel(job.id)
            } catch EngineError.conflict, EngineError.notFound {
                // It has just ended by itself.
            }
        }
    }

    /// Deletes a space if none of its jobs runs, and tells the followers of those that waited.
    ///
    /// - Parameter then: runs while nobody else can read the database, once the space is gone from it.
    /// - Returns: nil while a job runs.
    func deleteSpace(_ id: String, then: @escaping @Sendable () -> Void) async throws -> DeletedSpace? {
        let deleted = try await database { store in
            try store.transaction { transaction -> DeletedSpace? in
                guard try transaction.space(id) != nil else { throw EngineError.notFound(.space, id: id) }
                guard try transaction.jobs(space: id, status: .running, .init(limit: 1)).items.isEmpty else {
                    return nil
                }
                let jobs = try transaction.jobs(space: id, status: .queued, .init(limit: Self.allJobs)).items
                    .map { try transaction.cancelQueuedJob($0.id) }
                let sessions = try transaction.sessions(space: id, .init(limit: Self.allJobs)).items.map(\.id)
                let documents = try transaction.usage(space: id).documents
                try transaction.deleteSpace(id)
                transaction.afterCommit(then)
                return DeletedSpace(jobs: jobs, sessions: sessions, documents: documents)
            }
        }
        guard let deleted else { return nil }
        signals.forget(space: id)
        noteDocuments(-deleted.documents)
        announce(deleted.jobs)
        return deleted
    }

    /// More than any queue holds.
    private static let allJobs = 1 << 30

    private func announce(_ cancelled: [Store.JobRecord]) {
        for job in cancelled {
            signals.unqueued()
            if job.kind == .consolidate { signals.setQueuedConsolidation(nil, of: job.space) }
            events.finish(job.id, with: .cancelled(JobRecord(job)))
        }
    }
}

/// What went with a space.
struct DeletedSpace: Sendable {
    let jobs: [Store.JobRecord]
    let sessions: [String]
    let documents: Int
}
