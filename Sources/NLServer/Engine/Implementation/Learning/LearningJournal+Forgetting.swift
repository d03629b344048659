import Foundation
import NLCore
import Store

extension LearningJournal {
    private enum Deletion: Sendable {
        /// Its job runs and must be cancelled first.
        case isBeingLearned(job: String)
        /// Deleted, now or before.
        case done(ForgetReceipt, Changes)
    }

    /// What a deletion changed beside the receipt.
    private struct Changes: Sendable {
        var documents = 0
        var cancelled: [Store.JobRecord] = []
        var queued = 0
    }

    /// See ``ModelEngine/forgetDocument(_:space:keeping:)``.
    func forget(_ id: String, space: String, keeping kept: Set<DocumentHolder>) async throws -> ForgetReceipt {
        try requireOpen(for: "forget a document")
        // A job may begin between the look and the cancelling; each of a few forks may have one.
        for _ in 0..<8 {
            let deletion = try await database { [self] store in
                let deletion = try store.transaction { try delete(id, space: space, keeping: kept, in: $0) }
                // Until then the log has the text. The learner does the same before it rebuilds, and when idle.
                if case .done(_, let changes) = deletion, changes.documents > 0 { try? store.checkpoint() }
                return deletion
            }
            switch deletion {
            case .isBeingLearned(let job):
                do {
                    _ = try await cancel(job)
                } catch EngineError.conflict {
                    // It has ended by itself.
                }
            case .done(let receipt, let changes):
                noteDocuments(-changes.documents)
                for job in changes.cancelled {
                    signals.unqueued()
                    events.finish(job.id, with: .cancelled(JobRecord(job)))
                }
                signals.queued(changes.queued)
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
        let holders = try transaction.holders(space: space, document: id)
        let forks = kept.contains(.forks) ? [] : holders.forks
        for name in [space] + forks {
            let job = try transaction.newestJob(space: name, document: id)
            if let job, job.kind == .learn, job.status == .running { return .isBeingLearned(job: job.id) }
        }
        var changes = Changes()
        // A fork's log and levels are its own: it forgets by itself, in a job of its own.
        let forkJobs = try forks.map { fork in
            let receipt = ForgetReceipt(document: id, space: fork, state: .rebuilding, requested: .now)
            let done = try delete(
                receipt, keeping: kept, try transaction.holders(space: fork, document: id), &changes, in: transaction)
            return ForgetReceipt.ForkJob(space: fork, jobID: done.jobID)
        }
        var receipt = ForgetReceipt(document: id, space: space, state: .rebuilding, requested: .now)
        receipt.forkJobs = forkJobs
        receipt.removed.forks = forks
        if kept.contains(.forks) { receipt.kept.forks = holders.forks }
        receipt = try delete(receipt, keeping: kept, holders, &changes, in: transaction)
        return .done(receipt, changes)
    }

    /// Deletes a document of one space.
    private func delete(
        _ begun: ForgetReceipt, keeping kept: Set<DocumentHolder>, _ holders: DocumentHolders,
        _ changes: inout Changes, in transaction: StoreTransaction
    ) throws -> ForgetReceipt {
        var receipt = begun
        let (id, space) = (receipt.document, receipt.space)
        let job = try transaction.newestJob(space: space, document: id)
        if let job, job.kind == .learn, !job.status.isFinal {
            changes.cancelled.append(try transaction.cancelQueuedJob(job.id))
        }
        let removed = try transaction.removeDocument(space: space, id: id)
        changes.documents += 1
        guard removed.firstEvent != nil else {
            (receipt.state, receipt.exact, receipt.completed) = (.forgotten, true, receipt.requested)
            try transaction.recordForgetting(
                of: removed, job: nil, keepsSessions: true, receipt: try JSONText(encoding: receipt))
            return receipt
        }
        for snapshot in holders.snapshots {
            // What a file brought may or may not hold it: not to be deleted on a suspicion, but to be named.
            if snapshot.isImported || kept.contains(.snapshots) {
                receipt.kept.snapshots.append(snapshot.id)
            } else {
                try transaction.deleteSnapshot(space: space, id: snapshot.id)
                receipt.removed.snapshots.append(snapshot.id)
            }
        }
        let sessions = try removed.firstGeneration.map {
            try transaction.sessionsHolding(space: space, since: $0)
        }
        if kept.contains(.sessions) {
            receipt.kept.sessions = sessions ?? []
        } else {
            receipt.removed.sessions = sessions ?? []
        }
        receipt = try queue(receipt, in: transaction)
        changes.queued += 1
        try transaction.recordForgetting(
            of: removed, job: receipt.jobID, keepsSessions: kept.contains(.sessions),
            receipt: try JSONText(encoding: receipt))
        return receipt
    }

    /// The document is gone already: what has come of it. A rebuild that failed is queued once more.
    private func repeated(_ id: String, space: String, in transaction: StoreTransaction) throws -> Deletion {
        guard let known = try transaction.forgotten(space: space, document: id) else {
            throw EngineError.notFound(.document, id: id)
        }
        var receipt = try known.receipt.decoded(as: ForgetReceipt.self)
        guard known.state == .failed, let failed = known.job else {
            return .done(receipt, Changes())
        }
        (receipt.state, receipt.reason) = (.rebuilding, nil)
        receipt = try queue(receipt, in: transaction)
        try transaction.updateForgetting(
            job: failed, state: .rebuilding, newJob: receipt.jobID, receipt: try JSONText(encoding: receipt))
        return .done(receipt, Changes(queued: 1))
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

extension StoreReader {
    /// Until a space has been rebuilt, whatever takes its levels over would take over what is to be forgotten; until it
    /// has been learned again on another model, levels that are not what its log says.
    ///
    /// - Throws: ``EngineError/conflict(code:message:)``.
    func requireSettled(_ space: String, for action: String) throws {
        if let job = try relearningJob(space: space) {
            throw EngineError.relearningPends(space: space, job: job.id, action: action)
        }
        let pending = try pendingForgettings(space: space)
        guard let failed = pending.first else { return }
        // One that is still to run leaves out what an earlier one failed to.
        if let next = pending.first(where: { $0.state == .rebuilding }) {
            throw EngineError.forgettingPends(space: space, job: next.job ?? "", action: action)
        }
        throw EngineError.forgettingFailed(
            space: space, document: failed.document, job: failed.job ?? "", action: action)
    }
}
