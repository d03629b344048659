import Foundation
import NLCore
import Store

/// Generations of a space as the store keeps them: one state a level, counters in the generation's metadata.
enum GenerationCodec {
    /// What a generation says beside its tensors.
    struct Metadata: Codable {
        struct Level: Codable {
            var counters: LevelCounters
            var lastUpdate: Date?
        }
        /// By level name.
        var levels: [String: Level]
        /// The job that made it.
        var job: String?
    }

    /// The levels that changed since `parent`, ready to be written; the others are inherited from it.
    ///
    /// Cutting and hashing happen here, before the transaction.
    static func drafts(_ levels: [NLCore.LevelState], changed: Set<String>, hasParent: Bool) throws -> [LevelDraft] {
        try levels.map { level in
            let name = level.definition.name
            guard changed.contains(name) || !hasParent else { return LevelDraft(name: name, content: .inherited) }
            return LevelDraft(name: name, content: .state(try ChunkedState(LevelCodec.blobs(of: level))))
        }
    }

    static func metadata(
        _ levels: [NLCore.LevelState], lastUpdates: [String: Date], job: String?
    ) throws -> JSONText {
        let entries = levels.map { level in
            let name = level.definition.name
            return (name, Metadata.Level(counters: level.counters, lastUpdate: lastUpdates[name]))
        }
        return try JSONText(
            encoding: Metadata(levels: Dictionary(uniqueKeysWithValues: entries), job: job))
    }

    /// The levels of a stored generation.
    ///
    /// - Throws: ``GenerationOfAnotherModel``; ``LevelCodecError`` or ``LevelStateError`` if they are not those of the
    ///   model.
    static func levels(
        of generation: Generation, model: LoadedModel
    ) throws -> (levels: SpaceLevels, metadata: Metadata) {
        guard generation.record.fingerprint == model.fingerprint else {
            throw GenerationOfAnotherModel(
                number: generation.record.number, fingerprint: generation.record.fingerprint)
        }
        let metadata = try generation.record.metadata.decoded(as: Metadata.self)
        let levels = try model.levels.filter { $0.role != .reading }.map { definition in
            guard let stored = generation.levels.first(where: { $0.name == definition.name }),
                let counters = metadata.levels[definition.name]?.counters
            else {
                throw LevelCodecError(level: definition.name, blob: "delta", reason: "the generation does not have it")
            }
            return try LevelCodec.level(definition, blobs: stored.blobs, counters: counters)
        }
        let all = SpaceLevels(model.configuration, base: model.base, levels: levels)
        if let fault = all.slotFault {
            let names = levels.map(\.definition.name).joined(separator: "+")
            throw LevelCodecError(level: names, blob: "delta", reason: fault)
        }
        return (all, metadata)
    }
}

/// A generation that another model learned: its levels mean nothing beside this one.
struct GenerationOfAnotherModel: Error, CustomStringConvertible {
    let number: Int64
    let fingerprint: ModelFingerprint
    var description: String { "generation \(number) was learned by another model, \(fingerprint)" }
}
