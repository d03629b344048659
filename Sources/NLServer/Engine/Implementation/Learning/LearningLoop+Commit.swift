import Foundation
import NLCore
import Store

/// A new generation, before it is on disk.
struct NewGeneration {
    let space: SpaceMemory
    let levels: SpaceLevels
    /// Names of the levels whose tensors are not the parent's.
    let changed: Set<String>
    /// The event it contains.
    let event: Int64
    let job: String?
    /// Set where this generation consolidated.
    var isConsolidated = false
    /// Set where this generation is an older one again.
    var restored: Restored?

    /// What comes back beside the tensors.
    struct Restored {
        let lastUpdates: [String: Date]
        let consolidatedThrough: Int64
    }
}

extension LearningLoop {
    /// Generations kept on disk for each space.
    static let keptGenerations = 8

    /// Persists a generation in one transaction with whatever must become true at the same moment, then makes it the
    /// one that readers get, and the one that the next job starts from.
    ///
    /// Readers get it while the database is still held: whoever reads there that a job has ended, and asks the model
    /// next, asks the generation that the job made.
    ///
    /// - Parameter also: runs inside the transaction, and again if the transaction is repeated.
    func commit<Value>(
        _ new: NewGeneration, also: (StoreTransaction, Store.GenerationRecord) throws -> Value
    ) throws -> Value {
        let before = new.space.levels
        var lastUpdates = new.space.lastUpdates
        for level in new.levels.levels {
            let name = level.definition.name
            if level.counters.updates > before[name]?.counters.updates ?? 0 { lastUpdates[name] = Date() }
        }
        if let restored = new.restored { lastUpdates = restored.lastUpdates }
        let drafts = try GenerationCodec.drafts(
            new.levels.levels, changed: new.changed, hasParent: new.space.generation != nil)
        let draft = GenerationDraft(
            space: new.space.name, parent: new.space.generation, event: new.event, levels: drafts,
            metadata: try GenerationCodec.metadata(new.levels.levels, lastUpdates: lastUpdates, job: new.job))
        // Laid out before the commit: only a pointer is left to swap while the database is held.
        let weights = try context.spaces.layout.weights(of: new.levels)
        let (record, value) = try write { transaction in
            let record = try transaction.persistGeneration(draft)
            transaction.afterCommit { [context, lastUpdates] in
                context.spaces.publish(
                    PublishedSpace(
                        name: record.space, generation: Int(record.number), published: record.created,
                        levels: new.levels, weights: weights, lastUpdates: lastUpdates))
            }
            for level in new.levels.levels {
                try transaction.appendLevelHistory(
                    space: record.space, level: level.definition.name,
                    context.reporter.history(of: level, since: before[level.definition.name], in: record))
            }
            let value = try also(transaction, record)
            if new.job != nil { try chargeLearningTime(to: record.space, in: transaction) }
            try transaction.pruneGenerations(space: record.space, keep: Self.keptGenerations)
            return (record, value)
        }
        var memory = new.space
        memory.levels = new.levels
        memory.generation = record.number
        memory.event = new.event
        memory.lastUpdates = lastUpdates
        if new.isConsolidated { memory.consolidatedThrough = new.event }
        if let restored = new.restored { memory.consolidatedThrough = restored.consolidatedThrough }
        spaces[memory.name] = memory
        measuring.levelsChanged(in: memory.name)
        return value
    }
}
