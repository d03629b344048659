import Logging
import NLCore
import Store

extension LearningLoop {
    /// Learns again, on the model that is served now, what another had learned in a space (design §3, `--relearn`):
    /// the events of its log that are in force, in their order, each as if it came today, but with the seed it has.
    ///
    /// A generation follows each event, so what is cut goes on after the last one, and requests read what has been
    /// learned so far. Nothing else learns in the space before the end, and there is none but success: what goes wrong
    /// is tried again (``putBack(_:)``). A document that can't be learned again has `failed`, and is told.
    func relearn(_ job: Store.JobRecord) throws {
        let name = job.space
        let start = try memory(of: name)
        let log = try context.store.read { try $0.effectiveLog(space: name) }
        let events = try events(of: name, in: log, after: 0)
        context.logger.notice(
            "learning a space again on another model",
            metadata: [
                "space": "\(name)", "job": "\(job.id)", "events": "\(events.count)", "after_event": "\(start.event)",
            ])
        if let origin = log.origin {
            let fact =
                "space \"\(name)\" went on from generation \(origin), which a snapshot of another model brought and whose "
                + "texts nobody knows; that is not learned again"
            context.logger.warning("\(fact)")
            context.notices.post(fact, key: "relearn-origin/\(name)")
        }
        var progress = RebuildProgress(job, loop: self)
        for (index, event) in events.enumerated() where event.sequence > start.event {
            progress.report(replayed: index, of: events.count, fraction: 0)
            try relearn(event) { progress.report(replayed: index, of: events.count, fraction: $0) }
        }
        try finishRelearning(job, events: events.count)
    }

    /// Ends the job with a generation that stands for the whole log: what a restore took back, and the restore, are
    /// part of it, and are not done again at the next start.
    private func finishRelearning(_ job: Store.JobRecord, events: Int) throws {
        let space = try memory(of: job.space)
        let last = try context.store.read { try $0.nextEventSequence(space: space.name) } - 1
        // Without a job: the operator changed the model, and no tenant's quota of learning time pays for that.
        let new = NewGeneration(space: space, levels: space.levels, changed: [], event: last, job: nil)
        let finished = try commit(new) { transaction, generation in
            try transaction.detachImportedSources(space: space.name)
            let detail = JobDetail(generation: generation.number, replayed: events, events: events)
            return try transaction.finishJob(job.id, as: .learned, detail: try JSONText(encoding: detail))
        }
        context.notices.clear(key: EngineContext.relearningKey(space.name))
        signals.setStanding(try memory(of: space.name).standing(context.store), of: space.name)
        context.logger.notice(
            "the space is learned again", metadata: ["space": "\(space.name)", "events": "\(events)"])
        context.journal.events.finish(job.id, with: .learned(JobRecord(finished)))
    }

    /// Puts a relearning back in its place before all other work of its space: half a log is no state to go on from.
    func putBack(_ job: Store.JobRecord) throws {
        try write(isCancellable: false) { try $0.requeueJob(job.id) }
        signals.queued(1)
        // Only who deletes the space cancels it. Until then it does not begin again.
        signals.forgetCancelling(job.id)
        try signals.pause(for: .milliseconds(500))
    }

    private func relearn(_ event: EventRecord, report: (Double) -> Void) throws {
        let space = try memory(of: event.space)
        // Deleted meanwhile, and its id perhaps used for another text. The job that rebuilds the space without it waits.
        guard try context.store.read({ try $0.hasEvent(event) }) else {
            spaces[space.name]?.event = event.sequence
            return
        }
        do {
            switch event.kind {
            case .learn: try relearnDocument(event, in: space, report: report)
            case .consolidate: try relearnConsolidation(event, in: space, report: report)
            case .restore, .forget: throw UnknownJobKind(kind: event.kind.rawValue)
            }
        } catch let interruption as LearningInterruption {
            throw interruption
        } catch let error as StoreError where error.isPassing {
            throw error
        } catch {
            try giveUp(event, because: error)
        }
    }

    /// Goes on without an event that can't be done again: for good, and in every later replay as well as now.
    private func giveUp(_ event: EventRecord, because error: any Error) throws {
        try write { transaction in
            if event.kind == .consolidate, var payload = try? event.payload.decoded(as: EventPayload.Consolidate.self) {
                payload.isAdopted = false
                try transaction.rewriteEvent(
                    space: event.space, sequence: event.sequence, payload: try JSONText(encoding: payload),
                    seed: event.seed)
            }
            guard let document = event.document, try transaction.hasEvent(event) else { return }
            try transaction.updateDocument(space: event.space, id: document, status: .failed)
        }
        skip(event, because: error)
    }

    private func relearnDocument(
        _ event: EventRecord, in space: SpaceMemory, report: (Double) -> Void
    ) throws {
        guard let document = event.document else { return }
        let settings = context.configuration.acquisition(context.model)
        let acquisition = try acquisition(
            of: document, text: try reader.text(space: space.name, document: document), at: event.sequence,
            seed: event.seed, settings: settings, in: space)
        let (levels, outcome) = try run(acquisition) { report($1.fraction) }
        let payload = EventPayload.Learn(settings: settings, anchors: context.model.anchors.digest)
        try commit(newGeneration(levels, outcome: outcome, event: event.sequence, job: nil, in: space)) {
            transaction, generation in
            // One that was deleted meanwhile has none any more; its rebuild waits in the queue.
            guard try transaction.hasEvent(event) else { return }
            try transaction.rewriteEvent(
                space: space.name, sequence: event.sequence, payload: try JSONText(encoding: payload), seed: event.seed)
            try transaction.noteLearned(document, outcome, in: generation)
        }
    }

    private func relearnConsolidation(
        _ event: EventRecord, in space: SpaceMemory, report: (Double) -> Void
    ) throws {
        var payload = try event.payload.decoded(as: EventPayload.Consolidate.self)
        payload.settings = context.configuration.consolidation(context.model)
        payload.anchors = context.model.anchors.digest
        let documents = try documents(of: space, before: event.sequence)
        let consolidation = try consolidation(
            of: documents, seed: event.seed, settings: payload.settings, in: space)
        let (levels, outcome) = try run(consolidation) { report($1) }
        payload.isAdopted = outcome.isAdopted
        let detail = losses(outcome, payload.settings, documents.new.count, in: space)
        try commit(newGeneration(levels, outcome: outcome, event: event.sequence, job: nil, in: space)) {
            [payload] transaction, generation in
            try transaction.rewriteEvent(
                space: space.name, sequence: event.sequence, payload: try JSONText(encoding: payload), seed: event.seed)
            try transaction.noteConsolidated(documents.new.map(\.document), outcome, in: generation)
            guard let job = payload.job else { return }
            try transaction.rewriteConsolidation(
                try SpaceRebuild.Consolidated(job: job, outcome: outcome, detail: detail).record(
                    space: space.name, generation: generation.number))
        }
    }
}
