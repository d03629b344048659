import Foundation
import Logging
import NLCore
import Store

/// Something else was deleted while a rebuild ran: it has to begin again without that too.
private struct MoreToForget: Error {}

extension LearningLoop {
    /// Rebuilds a space without the documents that were deleted (design §3, "Forgetting on request"): from the newest
    /// generation before any of them was learned, by doing again what the log has after it.
    ///
    /// Nothing is on disk before all of it is done: a rebuild that is interrupted starts again, and ends with the same
    /// bits. Until then requests read the generation from before.
    func forget(_ job: Store.JobRecord) throws {
        _ = try memory(of: job.space)
        // The write-ahead log may still have the text.
        try writing { try context.store.checkpoint() }
        while true {
            let pending = try context.store.read { try $0.pendingForgettings(space: job.space) }
            // A rebuild before this one has left it out as well.
            guard pending.contains(where: { $0.job == job.id }) else { return try finishCovered(job) }
            do {
                let rebuild = try rebuild(job, without: pending)
                try publish(rebuild, job, pending)
                return
            } catch let interruption as LearningInterruption {
                throw interruption
            } catch is MoreToForget {
                continue
            } catch {
                let now = try context.store.read { try $0.pendingForgettings(space: job.space) }
                // A text that was there when its event was read.
                if now.count != pending.count { continue }
                throw error
            }
        }
    }

    // MARK: - Rebuilding

    private func rebuild(_ job: Store.JobRecord, without pending: [ForgottenRecord]) throws -> SpaceRebuild {
        let first = pending.compactMap(\.firstEvent).min() ?? .max
        let log = try context.store.read { try $0.effectiveLog(space: job.space) }
        let start = try SpaceMemory.load(
            job.space, in: log, before: first, model: context.model, store: context.store)
        var rebuild = SpaceRebuild(from: start, events: try events(of: job.space, in: log, after: start.event))
        if let origin = log.origin {
            rebuild.faults.append(
                "the space goes on from generation \(origin), which a snapshot brought and whose texts nobody knows; "
                    + "what it held is still held")
        }
        var progress = RebuildProgress(job, loop: self)
        context.logger.notice(
            "rebuilding without a deleted document",
            metadata: [
                "space": "\(job.space)", "job": "\(job.id)", "from_generation": "\(start.generation ?? 0)",
                "events": "\(rebuild.events.count)",
            ])
        for event in rebuild.events {
            let count = rebuild.replayed
            progress.report(replayed: count, of: rebuild.events.count, fraction: 0)
            try redo(event, in: &rebuild) { [events = rebuild.events.count] in
                progress.report(replayed: count, of: events, fraction: $0)
            }
            rebuild.replayed += 1
        }
        return rebuild
    }

    /// Everything that levels depend on, after a place in the log. What a restore took back is not among it, and so
    /// neither is the restore.
    func events(of space: String, in log: EffectiveLog, after start: Int64) throws -> [EventRecord] {
        var found: [EventRecord] = []
        var position = start
        while true {
            let events = try context.store.read { try $0.events(space: space, after: position) }
            guard let last = events.last else { return found }
            found += events.filter { $0.kind != .forget && log.contains($0.sequence) }
            position = last.sequence
        }
    }

    private func redo(
        _ event: EventRecord, in rebuild: inout SpaceRebuild, report: (Double) -> Void
    ) throws {
        do {
            switch event.kind {
            case .learn: try relearn(event, in: &rebuild, report: report)
            case .consolidate: try reconsolidate(event, in: &rebuild, report: report)
            case .restore, .forget: throw UnknownJobKind(kind: event.kind.rawValue)
            }
        } catch let interruption as LearningInterruption {
            throw interruption
        } catch StoreError.notFound {
            throw MoreToForget()
        } catch {
            // As in a replay after damage: one event that cannot be repeated must not cost those after it.
            context.logger.error(
                "event cannot be replayed", metadata: ["event": "\(event.sequence)", "error": "\(error)"])
            rebuild.faults.append("event \(event.sequence) cannot be done again: \(error)")
            rebuild.space.event = event.sequence
        }
    }

    private func relearn(
        _ event: EventRecord, in rebuild: inout SpaceRebuild, report: (Double) -> Void
    ) throws {
        guard let document = event.document else { return }
        let payload = try event.payload.decoded(as: EventPayload.Learn.self)
        note(payload.anchors, of: event, in: &rebuild)
        let text = try reader.text(space: rebuild.space.name, document: document)
        let seed = try seed(of: event, content: text)
        let acquisition = try acquisition(
            of: document, text: text, at: event.sequence, seed: seed, settings: payload.settings, in: rebuild.space)
        let (levels, outcome) = try run(acquisition) { report($1.fraction) }
        rebuild.advance(to: levels, after: event)
        rebuild.documents[document] = SpaceRebuild.Document(
            learned: (outcome.baseLoss, outcome.loss, outcome.targetReached))
        rebuild.measured(outcome.loss, of: document)
        rebuild.rewritten.append((event.sequence, event.payload, seed))
    }

    private func reconsolidate(
        _ event: EventRecord, in rebuild: inout SpaceRebuild, report: (Double) -> Void
    ) throws {
        var payload = try event.payload.decoded(as: EventPayload.Consolidate.self)
        note(payload.anchors, of: event, in: &rebuild)
        let seed = try seed(of: event, content: EventPayload.content(ofConsolidation: payload.trigger))
        let documents = try documents(of: rebuild.space, before: event.sequence)
        let consolidation = try consolidation(
            of: documents, seed: seed, settings: payload.settings, in: rebuild.space)
        let (levels, outcome) = try run(consolidation) { report($1) }
        let detail = losses(outcome, payload.settings, documents.new.count, in: rebuild.space)
        rebuild.advance(to: levels, after: event)
        for (document, loss) in zip(documents.new.map(\.document), outcome.documentLosses) {
            rebuild.measured(loss, of: document)
            if outcome.isAdopted { rebuild.documents[document]?.isConsolidated = true }
        }
        if outcome.isAdopted { rebuild.space.consolidatedThrough = event.sequence }
        if let job = payload.job {
            rebuild.consolidated.append(.init(job: job, outcome: outcome, detail: detail))
        }
        payload.isAdopted = outcome.isAdopted
        rebuild.rewritten.append((event.sequence, try JSONText(encoding: payload), seed))
    }

    private func seed(of event: EventRecord, content: String) throws -> UInt64 {
        let place = try context.store.read { try $0.place(of: event.sequence, space: event.space) }
        return EventPayload.seed(place: place, content: content)
    }

    private func note(_ anchors: String, of event: EventRecord, in rebuild: inout SpaceRebuild) {
        checkAnchors(anchors, of: event)
        let isNoted = rebuild.faults.contains { $0.hasPrefix("anchors.txt") }
        if anchors != context.model.anchors.digest, !isNoted {
            rebuild.faults.append("anchors.txt is not the one that event \(event.sequence) was learned with")
        }
    }

    // MARK: - Publishing

    /// Puts the rebuilt space in the place of the old one, in one transaction with everything that held the documents.
    private func publish(_ rebuild: SpaceRebuild, _ job: Store.JobRecord, _ pending: [ForgottenRecord]) throws {
        let name = job.space
        let first = pending.compactMap(\.firstEvent).min() ?? .max
        let firstGeneration = pending.compactMap(\.firstGeneration).min() ?? .max
        let sequence = try context.store.read { try $0.nextEventSequence(space: name) }
        // What the generation is compared with is what it began from.
        var space = rebuild.start
        space.consolidatedThrough = rebuild.space.consolidatedThrough
        let levels = rebuild.space.levels
        let new = NewGeneration(
            space: space, levels: levels, changed: Set(levels.levels.map(\.definition.name)), event: sequence,
            job: job.id)
        let finished = try commit(new) { transaction, generation in
            guard try transaction.pendingForgettings(space: name) == pending else { throw MoreToForget() }
            try transaction.appendEvent(
                space: name, sequence: sequence, kind: .forget,
                payload: try JSONText(
                    encoding: EventPayload.Forget(
                        events: pending.compactMap(\.firstEvent))), seed: 0)
            try transaction.resetMeasurements(space: name, since: firstGeneration)
            try rebuild.write(to: transaction, as: generation)
            // Snapshots that held a document went with it, unless the caller keeps them.
            try transaction.deleteGenerations(space: name, since: first, except: generation.number)
            let swept = try sweepSessions(of: name, pending, in: transaction)
            transaction.afterCommit { [context] in context.journal.forgetSessions(swept) }
            var finished = job
            for record in pending {
                var receipt = try receipt(record, rebuild, generation, removed: swept, in: transaction)
                // One whose own rebuild failed is left out by this one.
                if record.state == .failed { receipt.jobID = job.id }
                let text = try JSONText(encoding: receipt)
                guard let id = record.job else { continue }
                try transaction.updateForgetting(
                    job: id, state: .forgotten, newJob: receipt.jobID, generation: generation.number, receipt: text)
                if id == job.id { finished = try finish(job, receipt, in: transaction) }
            }
            return finished
        }
        measuring.drop(name)
        if let space = spaces[name] { signals.setStanding(try space.standing(context.store), of: name) }
        // So that what was deleted is in neither file when the end of the job is told.
        try? context.store.checkpoint()
        context.journal.events.finish(job.id, with: .forgotten(JobRecord(finished)))
    }

    /// Deletes the sessions that have read what is forgotten.
    private func sweepSessions(
        of space: String, _ pending: [ForgottenRecord], in transaction: StoreTransaction
    ) throws -> [String] {
        let oldest = pending.filter { !$0.keepsSessions }.compactMap(\.firstGeneration).min()
        guard let oldest else { return [] }
        let sessions = try transaction.sessionsHolding(space: space, since: oldest)
        for session in sessions { try transaction.deleteSession(session) }
        return sessions
    }

    private func receipt(
        _ record: ForgottenRecord, _ rebuild: SpaceRebuild, _ generation: Store.GenerationRecord,
        removed: [String], in transaction: StoreTransaction
    ) throws -> ForgetReceipt {
        var receipt = try record.receipt.decoded(as: ForgetReceipt.self)
        receipt.state = .forgotten
        receipt.exact = rebuild.faults.isEmpty
        receipt.reason = rebuild.faults.isEmpty ? nil : rebuild.faults.joined(separator: "; ")
        receipt.completed = .now
        receipt.rebuiltFrom = Int(rebuild.start.generation ?? 0)
        receipt.eventsReplayed = rebuild.replayed
        receipt.generation = Int(generation.number)
        if record.keepsSessions {
            receipt.kept.sessions =
                try record.firstGeneration.map {
                    try transaction.sessionsHolding(space: record.space, since: $0)
                } ?? []
        } else {
            receipt.removed.sessions = removed
        }
        return receipt
    }

    private func finish(
        _ job: Store.JobRecord, _ receipt: ForgetReceipt, in transaction: StoreTransaction
    ) throws -> Store.JobRecord {
        let detail = JobDetail(
            generation: receipt.generation.map(Int64.init), replayed: receipt.eventsReplayed,
            events: receipt.eventsReplayed, receipt: receipt)
        return try transaction.finishJob(job.id, as: .forgotten, detail: try JSONText(encoding: detail))
    }

    /// Ends a job that could not rebuild; asked for again, it is tried again.
    func fail(
        _ job: Store.JobRecord, because failure: JobFailure?, in transaction: StoreTransaction
    ) throws -> Store.JobRecord {
        var detail = (try? job.detail.decoded(as: JobDetail.self)) ?? JobDetail()
        detail.receipt?.jobID = job.id
        detail.receipt?.state = .failed
        detail.receipt?.reason = failure?.message
        try transaction.updateForgetting(
            job: job.id, state: .failed, receipt: try detail.receipt.map { try JSONText(encoding: $0) })
        return try transaction.finishJob(
            job.id, as: .failed, error: failure.map { try JSONText(encoding: $0) },
            detail: try JSONText(encoding: detail))
    }

    /// Ends a job whose document an earlier rebuild left out already.
    private func finishCovered(_ job: Store.JobRecord) throws {
        let finished = try write(isCancellable: false) { transaction in
            let record = try job.document.flatMap { try transaction.forgotten(space: job.space, document: $0) }
            guard let receipt = try record?.receipt.decoded(as: ForgetReceipt.self) else {
                throw UnknownWork(job: job.id)
            }
            return try finish(job, receipt, in: transaction)
        }
        context.journal.events.finish(job.id, with: .forgotten(JobRecord(finished)))
    }
}
