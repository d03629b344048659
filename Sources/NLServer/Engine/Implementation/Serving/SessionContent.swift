import Foundation
import NLCore
import Store

/// Everything a session is between two requests. A value: a request works on its own copy, and only a copy that has
/// been persisted takes the old one's place.
struct SessionContent: Sendable {
    /// The working level: what the model's reading has left (spec §2).
    var stream: StreamState<Float>
    /// The fast level.
    var fast: NLCore.LevelState
    /// Every token read, BOS included.
    var transcript: [Int32]
    /// For each of `stream.openTokens`, whether the fast level learns from its loss.
    var openLearned: [Bool]
    /// The last complete window, while the fast level has yet to learn from it.
    var window: LearnableWindow?
    /// The seed of the next request that names none.
    var nextSeed: UInt64?
    /// When the fast level was updated last.
    var lastFastUpdate: Date?
    /// The session this one was forked from.
    var parent: String?

    /// A session that has read nothing.
    init(_ model: LoadedModel) {
        stream = StreamState(model.configuration)
        fast = NLCore.LevelState(model.levels[0])
        transcript = []
        openLearned = []
    }

    /// The fast level laid out for reading beside some weights; nil while it adds nothing.
    ///
    /// - Throws: ``EngineError/storage(_:message:)`` if it does not fit the model.
    func fastWeights(beside weights: HopeWeights<Float>) throws(EngineError) -> FastWeights<Float>? {
        guard fast.counters.updates > 0 else { return nil }
        do {
            return try FastWeights(weights.configuration, fast, precision: weights.precision)
        } catch {
            throw .storage(.damaged, message: "The session's fast level does not fit the model: \(error).")
        }
    }
}

// MARK: - Persistence

extension SessionContent {
    private struct Metadata: Codable {
        var position: Int
        var openLearned: [Bool]
        var fast: LevelCounters
        var window: LearnableWindow.Metadata?
        var nextSeed: UInt64?
        var lastFastUpdate: Date?
        var parent: String?
    }

    private enum Prefix {
        static let stream = "stream/"
        static let fast = "fast/"
        static let window = "window/"
    }

    /// The session as the store keeps it; its bytes are hashed here.
    ///
    /// - Parameter generation: the one that was read last.
    func draft(generation: Int) throws -> SessionDraft {
        var blobs = stream.encoded().tensors.map { part in
            part.values.withUnsafeBufferPointer {
                StateBlob(name: Prefix.stream + part.name, type: .f32, shape: part.shape, copying: $0)
            }
        }
        blobs += LevelCodec.blobs(of: fast, prefix: Prefix.fast)
        blobs += window?.blobs(prefix: Prefix.window) ?? []
        let metadata = Metadata(
            position: stream.position, openLearned: openLearned, fast: fast.counters, window: window?.metadata,
            nextSeed: nextSeed, lastFastUpdate: lastFastUpdate, parent: parent)
        return SessionDraft(
            generation: generation == 0 ? nil : Int64(generation), state: try ChunkedState(blobs),
            transcript: transcript.map { UInt32(bitPattern: $0) }, metadata: try JSONText(encoding: metadata))
    }

    /// A session as it was persisted.
    ///
    /// - Throws: ``EngineError/storage(_:message:)`` if it is not one of this model.
    init(_ session: Session, model: LoadedModel) throws(EngineError) {
        do {
            try self.init(checking: session, model)
        } catch {
            throw .storage(
                .damaged,
                message: "The state of session \"\(session.record.id)\" can't be read: \(error). "
                    + "Delete the session; documents and other sessions are not affected.")
        }
    }

    private init(checking session: Session, _ model: LoadedModel) throws {
        let metadata = try session.record.metadata.decoded(as: Metadata.self)
        let configuration = model.configuration
        transcript = session.transcript.map { Int32(bitPattern: $0) }
        let open = metadata.position % configuration.projectionChunkSize
        let parts = session.blobs.filter { $0.name.hasPrefix(Prefix.stream) }.map { blob in
            (
                name: String(blob.name.dropFirst(Prefix.stream.count)), shape: blob.shape,
                values: blob.withElements(as: Float.self) { Array($0) }
            )
        }
        stream = try StreamState(
            decoding: EncodedStreamState(
                tensors: parts, position: metadata.position, openTokens: Array(transcript.suffix(open)),
                recentTokens: transcript),
            configuration)
        fast = try LevelCodec.level(
            model.levels[0], blobs: session.blobs.filter { $0.name.hasPrefix(Prefix.fast) },
            counters: metadata.fast, prefix: Prefix.fast)
        window = try metadata.window.map { window in
            try LearnableWindow(window, blobs: session.blobs, prefix: Prefix.window, configuration)
        }
        openLearned = metadata.openLearned
        nextSeed = metadata.nextSeed
        lastFastUpdate = metadata.lastFastUpdate
        parent = metadata.parent
    }

    /// Counters that lists show, without reading the tensors.
    static func summary(_ record: Store.SessionRecord) -> (fastUpdates: Int, parent: String?) {
        let metadata = try? record.metadata.decoded(as: Metadata.self)
        return (metadata?.fast.updates ?? 0, metadata?.parent)
    }
}
