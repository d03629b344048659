import NLCore
import Store

/// A window of C_p positions that the fast level is to learn from, once it is known what follows.
///
/// The loss of a window's last position is about the token after it, which may come with the session's next request:
/// so a window is part of the session, and a text gives the same fast level however it is cut into requests.
struct LearnableWindow: Sendable {
    /// What comes after the window.
    enum Next: Codable, Sendable, Equatable {
        case unknown
        /// The model wrote it, or a request that does not learn sent it.
        case notLearned
        case learned(Int32)
    }

    /// The closed state before the window, one of each layer.
    let start: [MixerState<Float>]
    let tokens: [Int32]
    /// Tokens of the session before the window, as many as matter.
    let preceding: [Int32]
    /// For each token, whether its loss is learned from.
    let learned: [Bool]
    private(set) var next = Next.unknown

    /// - Precondition: as many flags as tokens.
    init(start: [MixerState<Float>], tokens: [Int32], after preceding: some Sequence<Int32>, learned: [Bool]) {
        precondition(tokens.count == learned.count, "\(learned.count) flags for \(tokens.count) tokens")
        self.start = start
        self.tokens = tokens
        self.preceding = Array(preceding)
        self.learned = learned
    }

    /// Notes the token after the window, if it was not known yet.
    ///
    /// - Parameter isLearned: whether its loss is learned from.
    mutating func follow(with token: Int32, isLearned: Bool) {
        if next == .unknown { next = isLearned ? .learned(token) : .notLearned }
    }

    /// The token after each position, and 1 where its loss is learned from.
    var targets: (tokens: [Int32], weights: [Float]) {
        var last: Int32?
        if case .learned(let token) = next { last = token }
        // A target that weighs nothing may be any token.
        return (
            Array(tokens.dropFirst()) + [last ?? tokens[0]],
            learned.dropFirst().map { $0 ? 1 : 0 } + [last == nil ? 0 : 1]
        )
    }
}

// MARK: - Persistence

extension LearnableWindow {
    /// What a session's metadata keeps of it.
    struct Metadata: Codable {
        var tokens: [Int32]
        var preceding: [Int32]?
        var learned: [Bool]
        var next: Next
    }

    var metadata: Metadata { Metadata(tokens: tokens, preceding: preceding, learned: learned, next: next) }

    /// The state before the window as tensors.
    func blobs(prefix: String) -> [StateBlob] {
        MixerState.parts(of: start).map { StateBlob(name: prefix + $0.name, tensor: $0.tensor) }
    }

    /// A window as it was persisted.
    ///
    /// - Throws: ``LevelCodecError`` for a tensor that is missing or of another shape.
    init(
        _ metadata: Metadata, blobs: [StateBlob], prefix: String, _ configuration: HopeConfiguration
    ) throws(LevelCodecError) {
        var found: [String: StateBlob] = [:]
        for blob in blobs { found[blob.name] = blob }
        let names = found.keys.lazy.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        let start = try MixerState<Float>.states(configuration, names: names) {
            (name, shape) throws(LevelCodecError) in
            guard let blob = found[prefix + name] else {
                throw LevelCodecError(level: "working", blob: prefix + name, reason: "it is missing")
            }
            return try Tensor(blob, shape: shape, level: "working")
        }
        let size = configuration.projectionChunkSize
        guard metadata.tokens.count == size, metadata.learned.count == size else {
            throw LevelCodecError(
                level: "working", blob: prefix, reason: "it has \(metadata.tokens.count) tokens, expected \(size)")
        }
        self.init(
            start: start, tokens: metadata.tokens, after: metadata.preceding ?? [], learned: metadata.learned)
        next = metadata.next
    }
}
