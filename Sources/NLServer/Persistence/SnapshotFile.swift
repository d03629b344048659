import Foundation
import NLCore
import Store

/// A snapshot as a safetensors file: what an export writes and an import reads, bit for bit.
///
/// Tensors are named `<level>/<part>/<tensor>`, the parts being those of ``LevelCodec``: Δθ, the open chunk's gradient
/// sum, the optimizer's moments. `__metadata__` holds the model's digests and, as JSON, the counters of each level.
/// A file comes from anywhere, so everything in it is checked before it becomes a level.
enum SnapshotFile {
    private enum Key {
        static let format = "format"
        static let version = "version"
        static let levels = "levels"
        static let architecture = "architecture"
        static let tokenizer = "tokenizer"
        static let weights = "weights"
    }

    private static let format = "nlserver-snapshot"
    private static let version = "1"

    /// The file of a snapshot, ready to be written piece by piece.
    static func writer(
        _ snapshot: Store.SnapshotRecord, _ generation: Generation, fingerprint: ModelFingerprint
    ) throws -> SafetensorsWriter {
        var writer = SafetensorsWriter(metadata: [
            Key.format: format, Key.version: version, Key.levels: generation.record.metadata.text,
            Key.architecture: fingerprint.architecture, Key.tokenizer: fingerprint.tokenizer,
            Key.weights: fingerprint.weights, "space": snapshot.space, "snapshot": snapshot.name,
            "generation": String(snapshot.generation), "event": snapshot.event.map(String.init) ?? "",
            "level_names": generation.levels.map(\.name).joined(separator: ","),
            "created": snapshot.created.formatted(WireJSON.timestamp),
        ])
        for level in generation.levels {
            for blob in level.blobs {
                try writer.add(
                    "\(level.name)/\(blob.name)", shape: blob.shape,
                    floats: blob.withElements(as: Float.self) { Array($0) })
            }
        }
        return writer
    }

    /// What a file holds, as a generation of a space.
    ///
    /// - Throws: ``EngineError/invalid(parameter:message:)`` for a file that is no snapshot, or a damaged one;
    ///   ``EngineError/conflict(code:message:)`` for one of another model.
    static func draft(_ bytes: [UInt8], space: String, model: LoadedModel) throws -> GenerationDraft {
        let file: SafetensorsFile
        do {
            file = try SafetensorsFile(bytes: bytes)
        } catch {
            throw invalid("it is not a whole safetensors file: \(error)")
        }
        try check(file.metadata, model: model)
        let metadata: GenerationCodec.Metadata
        do {
            metadata = try JSONDecoder().decode(
                GenerationCodec.Metadata.self, from: Data((file.metadata[Key.levels] ?? "").utf8))
        } catch {
            throw invalid("its counters (metadata '\(Key.levels)') cannot be read")
        }
        let definitions = model.levels.filter { $0.role != .reading }
        let names = Set(definitions.map(\.name))
        guard Set(metadata.levels.keys) == names else {
            throw invalid(
                "it counts for the levels \(metadata.levels.keys.sorted()), and this model's are \(names.sorted())")
        }
        if let stray = file.names.first(where: { !names.contains(String($0.prefix { $0 != "/" })) }) {
            throw invalid("tensor '\(stray)' belongs to no level of a space; those are \(names.sorted())")
        }
        let levels = try definitions.map { definition in
            let counters = metadata.levels[definition.name]?.counters ?? LevelCounters()
            return try level(definition, counters, in: file)
        }
        let all = SpaceLevels(model.configuration, base: model.base, levels: levels)
        guard all.effective.isFinite else { throw invalid("its values and the model's add up to infinity") }
        if let fault = all.slotFault { throw invalid(fault) }
        return GenerationDraft(
            space: space, parent: nil, event: nil,
            levels: try GenerationCodec.drafts(levels, changed: names, hasParent: false),
            metadata: try GenerationCodec.metadata(
                levels, lastUpdates: metadata.levels.compactMapValues(\.lastUpdate), job: nil))
    }

    private static func check(_ metadata: [String: String], model: LoadedModel) throws {
        guard metadata[Key.format] == format else {
            throw invalid("it was not written by GET /v1/memory/snapshots/{id}/export")
        }
        guard metadata[Key.version] == version else {
            throw invalid("it has version \(metadata[Key.version] ?? "none"), and version \(version) is read here")
        }
        let found = ModelFingerprint(
            architecture: metadata[Key.architecture] ?? "", tokenizer: metadata[Key.tokenizer] ?? "",
            weights: metadata[Key.weights] ?? "")
        guard found == model.fingerprint || model.formerFingerprints.contains(found) else {
            throw EngineError.conflict(
                code: "snapshot_of_another_model",
                message: "The snapshot is of the model \(found), and this daemon serves \(model.fingerprint). "
                    + "A level only fits the model it was learned on.")
        }
    }

    private static func level(
        _ definition: LevelDefinition, _ counters: LevelCounters, in file: SafetensorsFile
    ) throws -> NLCore.LevelState {
        let prefix = definition.name + "/"
        do {
            let blobs = try file.tensors.filter { $0.name.hasPrefix(prefix) }.map { tensor in
                guard tensor.dataType == .float32 else {
                    throw invalid("tensor '\(tensor.name)' is \(tensor.dataType.rawValue), expected F32")
                }
                return try file.floats(named: tensor.name).withUnsafeBufferPointer {
                    StateBlob(name: tensor.name, type: .f32, shape: tensor.shape, copying: $0)
                }
            }
            let level = try LevelCodec.level(definition, blobs: blobs, counters: counters, prefix: prefix)
            if let reason = level.implausibility { throw invalid("level '\(definition.name)': \(reason)") }
            return level
        } catch let error as LevelCodecError {
            throw invalid(error.description)
        } catch let error as LevelStateError {
            throw invalid(error.description)
        } catch let error as SafetensorsError {
            throw invalid("\(error)")
        }
    }

    private static func invalid(_ reason: String) -> EngineError {
        .invalid(parameter: "body", message: "The file cannot be imported: \(reason).")
    }
}

extension NLCore.LevelState {
    /// Why no learning can have led to this state; nil where it may have. Levels are learned on, so a count that
    /// overflows or a moment that has no root would show up later, far from its cause.
    fileprivate var implausibility: String? {
        let counts = [
            counters.pendingTokens, counters.tokensRead, counters.updates, counters.optimizerSteps,
            counters.surpriseCount,
        ]
        guard counts.allSatisfy({ (0...1 << 48).contains($0) }), counters.pendingTokens <= counters.tokensRead else {
            return "its counters are out of range"
        }
        guard counters.surpriseSum.isFinite, counters.lastSurprise?.isFinite != false,
            counters.learningRateScale > 0, counters.learningRateScale <= 1
        else { return "its surprise or learning rate is out of range" }
        guard gradientSum.names.isEmpty == (counters.pendingTokens == 0) else {
            return "an open chunk has tokens and gradients, or neither"
        }
        guard firstMoment.names.isEmpty == secondMoment.names.isEmpty else {
            return "it has one of the optimizer's moments without the other"
        }
        guard secondMoment.entries.allSatisfy({ $0.1.elements.allSatisfy { $0 >= 0 } }) else {
            return "a second moment is negative"
        }
        return nil
    }
}
