import Foundation
import NLCore
import Store

/// A space as the learner holds it: the only mutable copy of its levels in the process.
struct SpaceMemory {
    let name: String
    var levels: SpaceLevels
    /// The generation on disk that these levels are; nil: the model file's.
    var generation: Int64?
    /// The last event of the log that they contain.
    var event: Int64
    var lastUpdates: [String: Date]
    /// The last consolidation that was adopted; documents learned after it are new to the slow level.
    var consolidatedThrough: Int64

    /// Reads the newest whole generation of a space.
    static func load(_ space: String, model: LoadedModel, store: MemoryStore) throws -> (SpaceMemory, created: Date) {
        guard let generation = try store.read({ try $0.newestGeneration(space: space) }) else {
            let levels = try SpaceLevels(model.configuration, base: model.base)
            let memory = SpaceMemory(
                name: space, levels: levels, generation: nil, event: 0, lastUpdates: [:], consolidatedThrough: 0)
            return (memory, Date())
        }
        return (try SpaceMemory(generation, model: model, store: store), generation.record.created)
    }

    /// Reads the newest whole generation that contains no event from `event` on; where there is none, the levels are
    /// the model file's.
    static func load(
        _ space: String, before event: Int64, model: LoadedModel, store: MemoryStore
    ) throws -> SpaceMemory {
        guard let generation = try store.read({ try $0.newestGeneration(space: space, before: event) }) else {
            return SpaceMemory(
                name: space, levels: try SpaceLevels(model.configuration, base: model.base), generation: nil, event: 0,
                lastUpdates: [:], consolidatedThrough: 0)
        }
        return try SpaceMemory(generation, model: model, store: store)
    }

    private init(_ generation: Generation, model: LoadedModel, store: MemoryStore) throws {
        let (levels, metadata) = try GenerationCodec.levels(of: generation, model: model)
        let event = generation.record.event ?? 0
        self.init(
            name: generation.record.space, levels: levels, generation: generation.record.number, event: event,
            lastUpdates: metadata.levels.compactMapValues(\.lastUpdate),
            consolidatedThrough: try Self.lastConsolidation(
                generation.record.space, through: event, store: store
            ) { $0.isAdopted })
    }

    private init(
        name: String, levels: SpaceLevels, generation: Int64?, event: Int64, lastUpdates: [String: Date],
        consolidatedThrough: Int64
    ) {
        (self.name, self.levels, self.generation, self.event) = (name, levels, generation, event)
        (self.lastUpdates, self.consolidatedThrough) = (lastUpdates, consolidatedThrough)
    }

    /// What the schedule of consolidations starts from.
    func standing(_ store: MemoryStore) throws -> ConsolidationSchedule.Standing {
        let lastTried = try Self.lastConsolidation(name, through: event, store: store) { _ in true }
        return try store.read { reader in
            let journal = try reader.journal(space: name, before: event + 1)
            var standing = ConsolidationSchedule.Standing()
            standing.unconsolidated = journal.count { $0.event > consolidatedThrough }
            standing.untried = journal.count { $0.event > max(lastTried, consolidatedThrough) }
            // The wall clock says how long ago that was; from here on the schedule counts by a clock nobody sets.
            if let last = try reader.consolidations(space: name, .init(limit: 1)).items.first {
                standing.lastTry -= .seconds(max(Date().timeIntervalSince(last.finished), 0))
            }
            return standing
        }
    }

    private static func lastConsolidation(
        _ space: String, through last: Int64, store: MemoryStore, where holds: (EventPayload.Consolidate) -> Bool
    ) throws -> Int64 {
        var found: Int64 = 0
        var position: Int64 = 0
        while true {
            let events = try store.read { try $0.events(space: space, after: position) }
            guard let end = events.last else { return found }
            for event in events where event.kind == .consolidate && event.sequence <= last {
                if holds(try event.payload.decoded(as: EventPayload.Consolidate.self)) { found = event.sequence }
            }
            position = end.sequence
        }
    }
}
