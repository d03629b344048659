import Foundation
import NLCore
import Store

extension LearningJournal {
    private enum Deletion: Sendable {
        /// Its job runs and must be cancelled first.
        case isBeingLearned(job: String)
        /// Deleted, now or before.
        case done(ForgetReceipt, cancelled: Store.JobRecord?, isNew: Bool, isQueued: Bool)
    }

    /// See ``ModelEngine/forgetDocument(_:space:keeping:)``.
    func forget(_ id: String, space: String, keeping kept: Set<DocumentHolder>) async throws -> ForgetReceipt {
        try requireOpen(for: "forget a document")
        // A job may begin between the look and the cancelling; twice is bad luck.
        for _ in 0..<3 {
            let deletion = try await database { [self] store in
                let deletion = try store.transaction { try delete(id, space: space, keeping: kept, in: $0) }
                // Until then the log has the text. The learner does the same before it rebuilds, and when idle.
                if case .done(_, _, true, _) = deletion { try? store.checkpoint() }
                return deletion
            }
            switch deletion {
            case .isBeingLearned(let job):
                do {
                    _ = try await cancel(job)
                } catch EngineError.conflict {
                    // It has ended by itself.
                }
            case .done(let receipt, let cancelled, let isNew, let isQueued):
                if isNew { countDocument(-1) }
                if let cancelled {
                    signals.unqueued()
                    events.finish(cancelled.id, with: .cancelled(JobRecord(cancelled)))
                }
                signals.queued(isQueued ? 1 : 0)
                return receipt
            }
        }
        throw EngineError.conflict(
            code: "document_being_learned", message: "Document '\(id)' is being learned. Try again in a moment.")
    }

    private func delete(
        _ id: String, space: String, keeping kept: Set<DocumentHolder>, in transaction: StoreTransaction
    ) throws -> Deletion {
        guard try transaction.space(space) != nil else { throw EngineError.notFound(.space, id: space) }
        guard try transaction.document(space: space, id: id) != nil else {
            return try repeated(id, space: space, in: transaction)
        }
        var cancelled: Store.JobRecord?
        if let job = try transaction.newestJob(space: space, document: id), !job.status.isFinal, job.kind == .learn {
            if job.status == .running { return .isBeingLearned(job: job.id) }
            cancelled = try transaction.cancelQueuedJob(job.id)
        }
        let removed = try transaction.removeDocument(space: space, id: id)
        var receipt = ForgetReceipt(document: id, space: space, state: .forgotten, requested: .now)
        guard removed.firstEvent != nil else {
            (receipt.exact, receipt.completed) = (true, receipt.requested)
            try transaction.recordForgetting(
                of: removed, job: nil, keepsSessions: true, receipt: try JSONText(encoding: receipt))
            return .done(receipt, cancelled: cancelled, isNew: true, isQueued: false)
        }
        let sessions = try removed.firstGeneration.map {
            try transaction.sessionsHolding(space: space, since: $0)
        }
        receipt.state = .rebuilding
        if kept.contains(.sessions) {
            receipt.kept.sessions = sessions ?? []
        } else {
            receipt.removed.sessions = sessions ?? []
        }
        receipt = try queue(receipt, in: transaction)
        try transaction.recordForgetting(
            of: removed, job: receipt.jobID, keepsSessions: kept.contains(.sessions),
            receipt: try JSONText(encoding: receipt))
        return .done(receipt, cancelled: cancelled, isNew: true, isQueued: true)
    }

    /// The document is gone already: what has come of it. A rebuild that failed is queued once more.
    private func repeated(_ id: String, space: String, in transaction: StoreTransaction) throws -> Deletion {
        guard let known = try transaction.forgotten(space: space, document: id) else {
            throw EngineError.notFound(.document, id: id)
        }
        var receipt = try known.receipt.decoded(as: ForgetReceipt.self)
        guard known.state == .failed, let failed = known.job else {
            return .done(receipt, cancelled: nil, isNew: false, isQueued: false)
        }
        (receipt.state, receipt.reason) = (.rebuilding, nil)
        receipt = try queue(receipt, in: transaction)
        try transaction.updateForgetting(
            job: failed, state: .rebuilding, newJob: receipt.jobID, receipt: try JSONText(encoding: receipt))
        return .done(receipt, cancelled: nil, isNew: false, isQueued: true)
    }

    /// Queues a rebuild, whether or not the queue is full: nobody may be kept from having something forgotten.
    private func queue(_ receipt: ForgetReceipt, in transaction: StoreTransaction) throws -> ForgetReceipt {
        let job = try transaction.createJob(
            kind: .forget, space: receipt.space, document: receipt.document,
            detail: try JSONText(encoding: JobDetail(receipt: receipt)))
        var receipt = receipt
        receipt.jobID = job.id
        return receipt
    }

    /// See ``ModelEngine/forgetReceipt(_:space:)``.
    func forgetReceipt(_ document: String, space: String) async throws -> ForgetReceipt? {
        try await database { store in
            try store.read { reader in
                try reader.forgotten(space: space, document: document)?.receipt.decoded(as: ForgetReceipt.self)
            }
        }
    }
}
