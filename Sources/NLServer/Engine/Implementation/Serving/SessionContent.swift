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
    /// For each of `stream.openTokens`, whether the caller sent it: the fast level learns from no other.
    var openSent: [Bool]
    /// Where the sampler goes on when a request names no seed.
    var samplerState: UInt64?
    /// When the fast level was updated last.
    var lastFastUpdate: Date?
    /// The session this one was forked from.
    var parent: String?

    /// A session that has read nothing.
    init(_ model: LoadedModel) {
        stream = StreamState(model.configuration)
        fast = NLCore.LevelState(model.levels[0])
        transcript = []
        openSent = []
    }

    /// The fast level laid out for reading; nil while it adds nothing.
    func fastWeights(_ configuration: HopeConfiguration) throws(FastWeightsError) -> FastWeights<Float>? {
        fast.counters.updates == 0 ? nil : try FastWeights(configuration, fast.delta)
    }
}

// MARK: - Persistence

extension SessionContent {
    private struct Metadata: Codable {
        var position: Int
        var openSent: [Bool]
        var fast: LevelCounters
        var samplerState: UInt64?
        var lastFastUpdate: Date?
        var parent: String?
    }

    private static let streamPrefix = "stream/"
    private static let fastPrefix = "fast/"

    /// The session as the store keeps it; hashing its bytes happens here.
    func draft(generation: Int) throws -> SessionDraft {
        let encoded = stream.encoded()
        var blobs = encoded.tensors.map { part in
            part.values.withUnsafeBufferPointer {
                StateBlob(name: Self.streamPrefix + part.name, type: .f32, shape: part.shape, copying: $0)
            }
        }
        blobs += LevelCodec.blobs(of: fast, prefix: Self.fastPrefix)
        let metadata = Metadata(
            position: stream.position, openSent: openSent, fast: fast.counters, samplerState: samplerState,
            lastFastUpdate: lastFastUpdate, parent: parent)
        return SessionDraft(
            generation: generation == 0 ? nil : Int64(generation), state: try ChunkedState(blobs),
            transcript: transcript.map { UInt32(bitPattern: $0) }, metadata: try JSONText(encoding: metadata))
    }

    /// A session as it was persisted.
    ///
    /// - Throws: ``EngineError/storage(_:message:)`` if it is not one of this model.
    init(_ session: Session, model: LoadedModel) throws(EngineError) {
        do {
            let metadata = try session.record.metadata.decoded(as: Metadata.self)
            transcript = session.transcript.map { Int32(bitPattern: $0) }
            let open = metadata.position % model.configuration.projectionChunkSize
            let parts = session.blobs.filter { $0.name.hasPrefix(Self.streamPrefix) }
            stream = try StreamState(
                decoding: EncodedStreamState(
                    tensors: parts.map { blob in
                        let name = String(blob.name.dropFirst(Self.streamPrefix.count))
                        return (name, blob.shape, blob.withElements(as: Float.self) { Array($0) })
                    }, position: metadata.position, openTokens: Array(transcript.suffix(open))), model.configuration)
            fast = try LevelCodec.level(
                model.levels[0], blobs: session.blobs.filter { $0.name.hasPrefix(Self.fastPrefix) },
                counters: metadata.fast, prefix: Self.fastPrefix)
            openSent = metadata.openSent
            samplerState = metadata.samplerState
            lastFastUpdate = metadata.lastFastUpdate
            parent = metadata.parent
        } catch {
            throw .storage(
                .damaged,
                message: "The state of session \"\(session.record.id)\" can't be read: \(error). Delete the session; its documents are not affected.")
        }
    }

    /// Counters that lists show, without reading the tensors.
    static func summary(_ record: Store.SessionRecord) -> (fastUpdates: Int, parent: String?) {
        let metadata = try? record.metadata.decoded(as: Metadata.self)
        return (metadata?.fast.updates ?? 0, metadata?.parent)
    }
}
