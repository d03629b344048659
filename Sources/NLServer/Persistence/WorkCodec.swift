import Foundation
import NLCore
import Store

/// Work in its middle as a job's state: numbers as JSON, levels and memories as blobs, bit for bit. Levels that the work
/// does not change share their chunks with the generation it began from.
enum WorkCodec {
    private struct Header<Position: Codable>: Codable {
        /// Digest of the inputs.
        var inputs: String
        var position: Position
        /// By what the levels are to the work, by level.
        var counters: [String: [String: LevelCounters]]
        /// What memories there are.
        var states: [String]
    }

    /// The header, whatever the work.
    private struct Inputs: Decodable { var inputs: String }

    private static let headerName = "work"

    /// - Parameter inputs: a digest of what the work began with.
    static func state<Position>(_ work: SavedWork<Position>, inputs: String) throws -> ChunkedState {
        let counters = work.levels.mapValues { levels in
            Dictionary(uniqueKeysWithValues: levels.map { ($0.definition.name, $0.counters) })
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let json = try encoder.encode(
            Header(
                inputs: inputs, position: work.position, counters: counters, states: work.states.keys.sorted()))
        var blobs = [StateBlob(name: headerName, type: .u8, shape: [json.count], bytes: json)]
        for (key, levels) in work.levels.sorted(by: { $0.key < $1.key }) {
            for level in levels { blobs += LevelCodec.blobs(of: level, prefix: prefix(key, level.definition)) }
        }
        for (key, states) in work.states.sorted(by: { $0.key < $1.key }) {
            blobs += MixerState.parts(of: states).map { StateBlob(name: "states/\(key)/\($0.name)", tensor: $0.tensor) }
        }
        return try ChunkedState(blobs)
    }

    /// - Returns: nil if the work was on other inputs.
    /// - Throws: ``LevelCodecError`` and others if the blobs are not those of such work.
    static func work<Position>(
        _ blobs: [StateBlob], inputs: String, model: LoadedModel, as _: Position.Type
    ) throws -> SavedWork<Position>? {
        guard let json = blobs.first(where: { $0.name == headerName })?.bytes else {
            throw LevelCodecError(level: "work", blob: headerName, reason: "the state does not have it")
        }
        guard try JSONDecoder().decode(Inputs.self, from: json).inputs == inputs else { return nil }
        let header = try JSONDecoder().decode(Header<Position>.self, from: json)
        var levels: [String: [NLCore.LevelState]] = [:]
        for (key, counters) in header.counters {
            levels[key] = try model.levels.filter { counters[$0.name] != nil }.map { definition in
                try LevelCodec.level(
                    definition, blobs: blobs, counters: counters[definition.name] ?? LevelCounters(),
                    prefix: prefix(key, definition))
            }
        }
        var states: [String: [MixerState<Float>]] = [:]
        for key in header.states {
            let named = Dictionary(
                uniqueKeysWithValues: blobs.filter { $0.name.hasPrefix("states/\(key)/") }.map {
                    (String($0.name.dropFirst("states/\(key)/".count)), $0)
                })
            states[key] = try MixerState.states(model.configuration, names: named.keys) {
                name, shape throws(LevelCodecError) in
                guard let blob = named[name] else {
                    throw LevelCodecError(level: key, blob: name, reason: "the state does not have it")
                }
                return try Tensor(blob, shape: shape, level: key)
            }
        }
        return SavedWork(position: header.position, levels: levels, states: states)
    }

    private static func prefix(_ key: String, _ level: LevelDefinition) -> String { "levels/\(key)/\(level.name)/" }
}
