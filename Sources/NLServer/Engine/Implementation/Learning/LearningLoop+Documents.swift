import Logging
import NLCore
import Store

extension LearningLoop {
    /// Learns one document (design §3, "Acquire").
    func learn(_ job: Store.JobRecord) throws {
        guard let document = job.document else { throw UnknownWork(job: job.id) }
        let space = try memory(of: job.space)
        let text = try reader.text(space: space.name, document: document)
        let (event, place) = try nextEvent(of: space)
        let seed = EventPayload.seed(place: place, content: text)
        let settings = context.configuration.acquisition(context.model)
        var acquisition = try acquisition(
            of: document, text: text, at: event, seed: seed, settings: settings, in: space)
        let inputs = try inputs(of: job, event: event, seed: seed, settings: settings, in: space)
        if let saved = savedWork(of: job, inputs: inputs, as: Acquisition.Position.self) {
            do {
                try acquisition.resume(from: saved)
                noteResumed(job)
            } catch {
                noteUnusable(job, error)
            }
        }
        let saver = WorkSaver(job, inputs: inputs, loop: self)
        var progress = JobProgress(job, loop: self)
        let (levels, outcome) = try run(acquisition, saver: saver) { acquisition, state in
            guard let loss = state.loss else { return }
            let tokens = acquisition.levels.tokensRead(.acquisition) - space.levels.tokensRead(.acquisition)
            progress.report(pass: max(state.pass, 1), tokens: tokens, loss: loss, fraction: state.fraction)
        }
        let payload = EventPayload.Learn(settings: settings, anchors: context.model.anchors.digest)
        let new = newGeneration(levels, outcome: outcome, event: event, job: job.id, in: space)
        let finished = try commit(new) { transaction, generation in
            try transaction.appendEvent(
                space: space.name, sequence: event, kind: .learn, document: document,
                payload: try JSONText(encoding: payload), seed: seed)
            try transaction.noteLearned(document, outcome, in: generation)
            let detail = progress.final(targetReached: outcome.targetReached, generation: generation.number)
            return try transaction.finishJob(job.id, as: .learned, detail: try JSONText(encoding: detail))
        }
        if !outcome.targetReached && levels.areSlotsFull {
            context.logger.warning(
                "no slots are free: documents find no room; see slots in GET /v1/memory/levels",
                metadata: ["space": "\(space.name)", "document": "\(document)"])
        }
        if outcome.answersLeft > 0 {
            context.logger.info(
                "answers were left out: there is no room, they are said already, or can't be learned",
                metadata: [
                    "space": "\(space.name)", "document": "\(document)", "answers": "\(outcome.answersLeft)",
                ])
        }
        signals.updateStanding(of: space.name) { $0.noteLearned() }
        context.totals.add {
            $0.documentsLearned += 1
            $0.learnedTokens += outcome.tokens
        }
        context.journal.events.finish(job.id, with: .learned(JobRecord(finished)))
    }

    /// Learns a document again as the log says it was learned.
    func replayLearning(_ event: EventRecord, in space: SpaceMemory) throws {
        guard let document = event.document else { return }
        let payload = try event.payload.decoded(as: EventPayload.Learn.self)
        checkAnchors(payload.anchors, of: event)
        let acquisition = try acquisition(
            of: document, text: try reader.text(space: space.name, document: document), at: event.sequence,
            seed: event.seed, settings: payload.settings, in: space)
        let (levels, outcome) = try run(acquisition) { _, _ in }
        _ = try commit(newGeneration(levels, outcome: outcome, event: event.sequence, job: nil, in: space)) {
            try $0.updateDocument(space: space.name, id: document, generation: $1.number)
        }
    }

    /// The number and the place of the event that would be appended now.
    func nextEvent(of space: SpaceMemory) throws -> (sequence: Int64, place: Int64) {
        try context.store.read { reader in
            let next = try reader.nextEventSequence(space: space.name)
            return (next, try reader.place(of: next, space: space.name))
        }
    }

    func acquisition(
        of document: String, text: String, at event: Int64, seed: UInt64, settings: Acquisition.Settings,
        in space: SpaceMemory
    ) throws -> Acquisition {
        var rehearsal = Rehearsal(journal: [], anchors: [], seed: SeededRandom.mix(seed, 2))
        // Slots are written without rehearsal, so nothing older is read for them.
        if settings.rehearsalRatio > 0 && !space.levels.trainedTensors(of: .acquisition).isEmpty {
            let journal = try context.store.read { try $0.journal(space: space.name, before: event) }
            let older = reader.sample(
                journal.filter { $0.document != document }, count: JournalReader.rehearsed,
                seed: SeededRandom.mix(seed, 1))
            rehearsal = Rehearsal(
                journal: try reader.texts(older, space: space.name).map(\.text),
                anchors: context.model.anchors.rehearsal, seed: SeededRandom.mix(seed, 2))
        }
        return Acquisition(
            context.model.document(text, settings), into: space.levels, rehearsal: rehearsal, settings: settings)
    }

    /// Steps to the end, window by window, letting serving and those who cancel come between.
    ///
    /// - Parameter saver: saves how far it is; nil: what is cut begins again.
    func run(
        _ start: Acquisition, saver: WorkSaver? = nil, report: (Acquisition, Acquisition.Progress) throws -> Void
    ) throws -> (SpaceLevels, Acquisition.Outcome) {
        var (acquisition, saver) = (start, saver)
        while true {
            switch try acquisition.step() {
            case .progress(let progress): try report(acquisition, progress)
            case .finished(let outcome): return (acquisition.levels, outcome)
            }
            do {
                try yield()
            } catch {
                if error == .stopped { saver?.save(isLast: true) { acquisition.saved } }
                throw error
            }
            saver?.save { acquisition.saved }
        }
    }

    func newGeneration(
        _ levels: SpaceLevels, outcome: Acquisition.Outcome, event: Int64, job: String?, in space: SpaceMemory
    ) -> NewGeneration {
        // Nothing learned, as of a text that was known already, leaves every tensor as it was.
        let learning = levels.levels.filter { $0.definition.role == .acquisition && outcome.tokens > 0 }
        return NewGeneration(
            space: space, levels: levels, changed: Set(learning.map(\.definition.name)), event: event, job: job)
    }

}

extension StoreTransaction {
    /// Says of a document that a generation has learned it.
    func noteLearned(
        _ document: String, _ outcome: Acquisition.Outcome, in generation: Store.GenerationRecord
    ) throws {
        try updateDocument(
            space: generation.space, id: document, status: .learned,
            losses: DocumentLosses(base: outcome.baseLoss, learned: outcome.loss),
            isTargetReached: outcome.targetReached, generation: generation.number)
        try recordMeasurement(
            space: generation.space, document: document, loss: outcome.loss, generation: generation.number,
            isFirst: true)
    }
}

extension SpaceLevels {
    /// Whether there is no empty slot.
    fileprivate var areSlotsFull: Bool {
        let slots = levels.compactMap(\.slots)
        guard let capacity = slots.map(\.capacity).max() else { return false }
        return slots.reduce(0) { $0 + $1.used } >= capacity
    }

    /// Tokens that levels of one role have learned from.
    func tokensRead(_ role: LevelDefinition.Role) -> Int {
        levels.filter { $0.definition.role == role }.map(\.counters.tokensRead).max() ?? 0
    }
}
