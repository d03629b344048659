import Foundation
import NLCore
import Store

extension LearningLoop {
    /// Moves what the faster levels hold into the slow one, if the gate lets it (design §3, "Consolidate").
    ///
    /// A rejected candidate makes a generation too: the same tensors, with smaller steps for the next attempt.
    func consolidate(_ job: Store.JobRecord) throws {
        let space = try memory(of: job.space)
        let started = job.started ?? Date()
        let detail = (try? job.detail.decoded(as: JobDetail.self)) ?? JobDetail()
        let trigger = detail.trigger.flatMap(ConsolidationRecord.Trigger.init) ?? .manual
        let (event, place) = try nextEvent(of: space)
        let seed = EventPayload.seed(
            place: place, content: EventPayload.content(ofConsolidation: trigger.rawValue))
        let settings = context.configuration.consolidation(context.model)
        let documents = try documents(of: space, before: event)
        var consolidation = try consolidation(of: documents, seed: seed, settings: settings, in: space)
        let inputs = try inputs(of: job, event: event, seed: seed, settings: settings, in: space)
        if let saved = savedWork(of: job, inputs: inputs, as: Consolidation.Position.self) {
            do {
                try consolidation.resume(from: saved)
                noteResumed(job)
            } catch {
                noteUnusable(job, error)
            }
        }
        let saver = WorkSaver(job, inputs: inputs, loop: self)
        var progress = JobProgress(job, loop: self)
        let (levels, outcome) = try run(consolidation, saver: saver) { consolidation, fraction in
            guard let slow = consolidation.levels.levels.last, let loss = slow.counters.lastSurprise else { return }
            let tokens = consolidation.levels.tokensRead(.consolidation) - space.levels.tokensRead(.consolidation)
            progress.report(
                pass: Int(fraction * Double(settings.maximumPasses)) + 1, tokens: tokens, loss: loss,
                fraction: fraction)
        }
        let payload = EventPayload.Consolidate(
            settings: settings, anchors: context.model.anchors.digest, trigger: trigger.rawValue,
            isAdopted: outcome.isAdopted, job: job.id)
        let new = newGeneration(levels, outcome: outcome, event: event, job: job.id, in: space)
        let (finished, record) = try commit(new) { transaction, generation in
            try transaction.appendEvent(
                space: space.name, sequence: event, kind: .consolidate, payload: try JSONText(encoding: payload),
                seed: seed)
            try transaction.noteConsolidated(documents.new.map(\.document), outcome, in: generation)
            let record = Store.ConsolidationRecord(
                space: space.name, job: job.id, trigger: trigger.rawValue, started: started, finished: Date(),
                verdict: outcome.isAdopted ? .adopted : .rejected, reason: outcome.reason, tokens: outcome.tokens,
                generation: outcome.isAdopted ? generation.number : nil,
                losses: try JSONText(encoding: losses(outcome, settings, documents.new.count, in: space)))
            try transaction.appendConsolidation(record)
            let detail = progress.final(generation: outcome.isAdopted ? generation.number : nil)
            let finished = try transaction.finishJob(
                job.id, as: outcome.isAdopted ? .adopted : .rejected, detail: try JSONText(encoding: detail))
            return (finished, record)
        }
        signals.updateStanding(of: space.name) { $0.noteTried(isAdopted: outcome.isAdopted) }
        context.totals.add {
            if outcome.isAdopted { $0.consolidationsAdopted += 1 } else { $0.consolidationsRejected += 1 }
            $0.learnedTokens += outcome.tokens
        }
        context.journal.events.finish(
            job.id, with: .consolidated(JobRecord(finished), ConsolidationRecord(record)))
    }

    /// Consolidates again as the log says it was done.
    func replayConsolidation(_ event: EventRecord, in space: SpaceMemory) throws {
        let payload = try event.payload.decoded(as: EventPayload.Consolidate.self)
        checkAnchors(payload.anchors, of: event)
        let consolidation = try consolidation(
            of: try documents(of: space, before: event.sequence), seed: event.seed, settings: payload.settings,
            in: space)
        let (levels, outcome) = try run(consolidation) { _, _ in }
        try commit(newGeneration(levels, outcome: outcome, event: event.sequence, job: nil, in: space)) { _, _ in }
    }

    typealias Text = (document: String, text: LearningText)

    /// Documents the slow level has not learned yet with their texts, and those it has.
    func documents(
        of space: SpaceMemory, before event: Int64
    ) throws -> (new: [Text], old: [JournalEntry]) {
        let journal = try context.store.read { try $0.journal(space: space.name, before: event) }
        let isNew = { (entry: JournalEntry) in entry.event > space.consolidatedThrough }
        return (try reader.texts(journal.filter(isNew), space: space.name), journal.filter { !isNew($0) })
    }

    func consolidation(
        of documents: (new: [Text], old: [JournalEntry]), seed: UInt64, settings: Consolidation.Settings,
        in space: SpaceMemory
    ) throws -> Consolidation {
        func texts(of count: Int, _ use: UInt64) throws -> [LearningText] {
            let chosen = reader.sample(documents.old, count: count, seed: SeededRandom.mix(seed, use))
            return try reader.texts(chosen, space: space.name).map(\.text)
        }
        let anchors = context.model.anchors
        return Consolidation(
            space.levels, new: documents.new.map(\.text), old: try texts(of: JournalReader.judged, 1),
            gate: anchors.gate,
            rehearsal: Rehearsal(
                journal: try texts(of: JournalReader.rehearsedInConsolidation, 2), anchors: anchors.rehearsal,
                seed: SeededRandom.mix(seed, 3)),
            seed: SeededRandom.mix(seed, 4), settings: settings)
    }

    /// Steps to the end, window by window, letting serving and those who cancel come between.
    ///
    /// - Parameter saver: saves how far it is; nil: what is cut begins again.
    func run(
        _ start: Consolidation, saver: WorkSaver? = nil, report: (Consolidation, Double) -> Void
    ) throws -> (SpaceLevels, Consolidation.Outcome) {
        var (consolidation, saver) = (start, saver)
        while true {
            switch consolidation.step() {
            case .progress(let fraction): report(consolidation, fraction)
            case .finished(let outcome): return (consolidation.levels, outcome)
            }
            do {
                try yield()
            } catch {
                if error == .stopped { saver?.save(isLast: true) { consolidation.saved } }
                throw error
            }
            saver?.save { consolidation.saved }
        }
    }

    func newGeneration(
        _ levels: SpaceLevels, outcome: Consolidation.Outcome, event: Int64, job: String?, in space: SpaceMemory
    ) -> NewGeneration {
        NewGeneration(
            space: space, levels: levels,
            changed: outcome.isAdopted ? Set(levels.levels.map(\.definition.name)) : [], event: event, job: job,
            isConsolidated: outcome.isAdopted)
    }

    func losses(
        _ outcome: Consolidation.Outcome, _ settings: Consolidation.Settings, _ count: Int, in space: SpaceMemory
    ) -> ConsolidationDetail {
        // A candidate whose losses were not finite has none to show.
        func shown(_ loss: Double?) -> Double? { loss.flatMap { $0.isFinite ? $0 : nil } }
        return ConsolidationDetail(
            anchorsBefore: shown(outcome.before.anchors), anchorsAfter: shown(outcome.after?.anchors),
            documentsBefore: shown(outcome.before.new), documentsAfter: shown(outcome.after?.new),
            anchorBound: settings.anchorBound, documentCount: count, generationBefore: space.generation ?? 0)
    }
}

extension StoreTransaction {
    /// Records the losses of documents after a consolidation, and that its generation holds them if it was adopted.
    func noteConsolidated(
        _ documents: [String], _ outcome: Consolidation.Outcome, in generation: Store.GenerationRecord
    ) throws {
        for (document, loss) in zip(documents, outcome.documentLosses) {
            // One that was deleted meanwhile has no row any more; its rebuild waits in the queue.
            let isThere = try recordMeasurement(
                space: generation.space, document: document, loss: loss, generation: generation.number)
            guard isThere, outcome.isAdopted else { continue }
            try updateDocument(space: generation.space, id: document, generation: generation.number)
        }
    }
}
