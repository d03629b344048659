import Foundation
import NLCore
import Store

extension LearningLoop {
    /// The levels of a space as they were once.
    struct PastState {
        let levels: SpaceLevels
        let lastUpdates: [String: Date]
    }

    /// Goes back to a snapshot: an event of the log like any other, which makes a new generation of the old tensors.
    func restore(_ job: Store.JobRecord) throws {
        let space = try memory(of: job.space)
        var detail = (try? job.detail.decoded(as: JobDetail.self)) ?? JobDetail()
        let found = try context.store.read { reader in
            try detail.snapshot.flatMap { try reader.snapshot(space: space.name, id: $0) }
        }
        guard let snapshot = found else { throw UnknownSnapshot(id: detail.snapshot ?? "") }
        let (event, place) = try nextEvent(of: space)
        let state = try pastState(generation: snapshot.generation, of: space.name)
        let payload = EventPayload.Restore(snapshot: snapshot.id, name: snapshot.name)
        let seed = EventPayload.seed(place: place, content: "restore")
        let target = snapshot.isImported ? nil : snapshot.event
        let new = try newGeneration(state, target: target, event: event, job: job.id, in: space)
        let finished = try commit(new) { transaction, generation in
            try transaction.appendEvent(
                space: space.name, sequence: event, kind: .restore, payload: try JSONText(encoding: payload),
                seed: seed, target: target, source: snapshot.isImported ? snapshot.generation : nil)
            try transaction.refreshKnownDocuments(space: space.name)
            detail.generation = generation.number
            return try transaction.finishJob(job.id, as: .restored, detail: try JSONText(encoding: detail))
        }
        if let space = spaces[space.name] { signals.setStanding(try space.standing(context.store), of: space.name) }
        context.journal.events.finish(job.id, with: .restored(JobRecord(finished)))
    }

    /// Goes back again as the log says it was done.
    func replayRestore(_ event: EventRecord, in space: SpaceMemory) throws {
        let state = try pastState(restoredBy: event)
        // Rebuilding that state may have moved the space.
        let space = spaces[space.name] ?? space
        try commit(newGeneration(state, target: event.target, event: event.sequence, job: nil, in: space)) { _, _ in }
    }

    /// The state that a restore went back to: from a generation that has it, or else from the log.
    private func pastState(restoredBy event: EventRecord) throws -> PastState {
        if let source = event.source { return try pastState(generation: source, of: event.space) }
        let target = event.target ?? 0
        let generations = try context.store.read { try $0.generations(space: event.space) }
        for record in generations where record.event == target && record.damage == nil {
            if let state = try wholeState(generation: record.number, of: event.space) { return state }
        }
        return try rebuild(event.space, through: target, from: generations)
    }

    /// Does the events in force at a place in the log again, from the newest state before it that is whole.
    private func rebuild(
        _ name: String, through target: Int64, from generations: [Store.GenerationRecord]
    ) throws -> PastState {
        let log = try context.store.read { try $0.effectiveLog(space: name, through: target) }
        var start = try origin(of: log, in: name)
        let candidates = generations.filter { record in
            record.damage == nil && record.event.map(log.contains) == true
        }
        for record in candidates.sorted(by: { ($0.event ?? 0) > ($1.event ?? 0) }) {
            guard let state = try wholeState(generation: record.number, of: name) else { continue }
            start = (state, record.event ?? 0)
            break
        }
        guard var memory = spaces[name] else { throw UnknownSpace(name: name) }
        memory.levels = start.state.levels
        memory.lastUpdates = start.state.lastUpdates
        // Its tensors are not those of any generation here: the next one writes them all.
        memory.generation = nil
        memory.event = start.event
        memory.consolidatedThrough = try SpaceMemory.lastConsolidation(
            name, in: context.store.read { try $0.effectiveLog(space: name, through: start.event) },
            store: context.store, where: \.isAdopted)
        spaces[name] = memory
        for range in log.ranges {
            var position = max(range.lowerBound - 1, start.event)
            while position < range.upperBound {
                let next = try context.store.read { try $0.events(space: name, after: position, limit: 1).first }
                guard let event = next, event.sequence <= range.upperBound, let space = spaces[name] else { break }
                try replay(event, in: space)
                position = event.sequence
            }
        }
        guard let space = spaces[name] else { throw UnknownSpace(name: name) }
        return PastState(levels: space.levels, lastUpdates: space.lastUpdates)
    }

    /// What the first event in force was done to.
    private func origin(of log: EffectiveLog, in space: String) throws -> (state: PastState, event: Int64) {
        if let source = log.origin { return (try pastState(generation: source, of: space), 0) }
        let levels = try SpaceLevels(context.model.configuration, base: context.model.base)
        return (PastState(levels: levels, lastUpdates: [:]), 0)
    }

    private func pastState(generation number: Int64, of space: String) throws -> PastState {
        let generation = try context.store.read { try $0.generation(space: space, number: number) }
        let (levels, metadata) = try GenerationCodec.levels(of: generation, model: context.model)
        return PastState(levels: levels, lastUpdates: metadata.levels.compactMapValues(\.lastUpdate))
    }

    private func wholeState(generation number: Int64, of space: String) throws -> PastState? {
        do {
            return try pastState(generation: number, of: space)
        } catch StoreError.damaged {
            return nil
        }
    }

    private func newGeneration(
        _ state: PastState, target: Int64?, event: Int64, job: String?, in space: SpaceMemory
    ) throws -> NewGeneration {
        // What came from a file has no documents of this space behind it.
        let consolidated = try target.map { target in
            try SpaceMemory.lastConsolidation(
                space.name, in: context.store.read { try $0.effectiveLog(space: space.name, through: target) },
                store: context.store, where: \.isAdopted)
        }
        return NewGeneration(
            space: space, levels: state.levels, changed: Set(state.levels.levels.map(\.definition.name)), event: event,
            job: job, restored: .init(lastUpdates: state.lastUpdates, consolidatedThrough: consolidated ?? 0))
    }
}

/// A restore whose snapshot has been deleted while it waited.
struct UnknownSnapshot: Error, CustomStringConvertible {
    let id: String
    var description: String { "the snapshot \"\(id)\" has been deleted" }
}
