import Foundation
import NLCore
import Store

/// A space as the learner holds it: the only mutable copy of its levels in the process.
struct SpaceMemory {
    let name: String
    /// When the space was made: one of the same name made after it was deleted is another.
    let created: Date
    var levels: SpaceLevels
    /// The generation on disk that these levels are; nil: the model file's.
    var generation: Int64?
    /// The last event of the log that they contain.
    var event: Int64
    var lastUpdates: [String: Date]
    /// The last consolidation that was adopted; documents learned after it are new to the slow level.
    var consolidatedThrough: Int64

    /// Reads the newest whole generation of a space.
    ///
    /// - Returns: with when that generation was made.
    static func load(
        _ space: String, model: LoadedModel, store: MemoryStore
    ) throws -> (memory: SpaceMemory, created: Date) {
        let created = try made(space, store)
        guard let generation = try store.read({ try $0.newestGeneration(space: space) }) else {
            return (try untouched(space, created: created, model: model), Date())
        }
        return (
            try SpaceMemory(generation, created: created, model: model, store: store), generation.record.created
        )
    }

    /// Reads the newest whole generation in a log that contains no event from `event` on; where there is none, the
    /// levels are the model file's.
    static func load(
        _ space: String, in log: EffectiveLog, before event: Int64, model: LoadedModel, store: MemoryStore
    ) throws -> SpaceMemory {
        let created = try made(space, store)
        let found = try store.read { try $0.newestGeneration(space: space, in: log, before: event) }
        if let found { return try SpaceMemory(found, created: created, model: model, store: store) }
        var memory = try untouched(space, created: created, model: model)
        // Levels that came from a file: those of no generation of the log, so the next one writes them all.
        guard let origin = log.origin else { return memory }
        let generation = try store.read { try $0.generation(space: space, number: origin) }
        let (levels, metadata) = try GenerationCodec.levels(of: generation, model: model)
        (memory.levels, memory.lastUpdates) = (levels, metadata.levels.compactMapValues(\.lastUpdate))
        return memory
    }

    private static func made(_ space: String, _ store: MemoryStore) throws -> Date {
        guard let created = try store.read({ try $0.space(space)?.created }) else { throw UnknownSpace(name: space) }
        return created
    }

    private static func untouched(_ space: String, created: Date, model: LoadedModel) throws -> SpaceMemory {
        SpaceMemory(
            name: space, created: created, levels: try SpaceLevels(model.configuration, base: model.base),
            generation: nil, event: 0, lastUpdates: [:], consolidatedThrough: 0)
    }

    private init(_ generation: Generation, created: Date, model: LoadedModel, store: MemoryStore) throws {
        let (levels, metadata) = try GenerationCodec.levels(of: generation, model: model)
        let event = generation.record.event ?? 0
        let name = generation.record.space
        self.init(
            name: name, created: created, levels: levels, generation: generation.record.number, event: event,
            lastUpdates: metadata.levels.compactMapValues(\.lastUpdate),
            consolidatedThrough: try Self.lastConsolidation(
                name, in: store.read { try $0.effectiveLog(space: name, through: event) }, store: store,
                where: \.isAdopted))
    }

    private init(
        name: String, created: Date, levels: SpaceLevels, generation: Int64?, event: Int64,
        lastUpdates: [String: Date], consolidatedThrough: Int64
    ) {
        (self.name, self.created, self.levels, self.generation) = (name, created, levels, generation)
        (self.event, self.lastUpdates, self.consolidatedThrough) = (event, lastUpdates, consolidatedThrough)
    }

    /// What the schedule of consolidations starts from.
    func standing(_ store: MemoryStore) throws -> ConsolidationSchedule.Standing {
        let log = try store.read { try $0.effectiveLog(space: name, through: event) }
        let lastTried = try Self.lastConsolidation(name, in: log, store: store) { _ in true }
        return try store.read { reader in
            let journal = try reader.journal(space: name, before: event + 1)
            var standing = ConsolidationSchedule.Standing()
            let waiting = journal.filter { $0.event > consolidatedThrough }
            standing.unconsolidated = waiting.count
            standing.untried = journal.count { $0.event > max(lastTried, consolidatedThrough) }
            // The wall clock says how long ago that was; from here on the schedule counts by a clock nobody sets.
            let oldest = try waiting.first.flatMap { try reader.document(space: name, id: $0.document)?.learned }
            standing.waitingSince = max(oldest ?? .now, created)
            if let last = try reader.consolidations(space: name, .init(limit: 1)).items.first {
                standing.waitingSince = max(standing.waitingSince, last.finished)
                standing.lastTry -= .seconds(max(Date().timeIntervalSince(last.finished), 0))
            }
            return standing
        }
    }

    /// The last consolidation among the events in force that `holds`; 0 where there is none.
    static func lastConsolidation(
        _ space: String, in log: EffectiveLog, store: MemoryStore, where holds: (EventPayload.Consolidate) -> Bool
    ) throws -> Int64 {
        var found: Int64 = 0
        var position: Int64 = 0
        while true {
            let events = try store.read { try $0.events(space: space, after: position) }
            guard let end = events.last else { return found }
            for event in events where event.kind == .consolidate && log.contains(event.sequence) {
                if holds(try event.payload.decoded(as: EventPayload.Consolidate.self)) { found = event.sequence }
            }
            position = end.sequence
        }
    }
}
