import Foundation
import NLCore

/// Reads tokens into a session segment by segment, and lets its fast level learn from those the caller sent
/// (design §2; NL Eq. 71 with the gradient taken at the level's current θ).
///
/// The stream's state always comes from the streaming path. Whenever a window of C_p positions is complete, the losses
/// of the caller's tokens in it are differentiated once more from the window's start, with the parameters it was read
/// with, and the fast level gathers the gradient. The last target of a window is the token after it: the window is
/// evaluated when that token is about to be read, or, at a request's end, without that target.
struct SessionReader {
    private struct Window {
        let start: [TitansState<Float>]
        let tokens: [Int32]
        let sent: [Bool]
    }

    private(set) var content: SessionContent
    private(set) var fastWeights: FastWeights<Float>?
    /// Updates of the fast level so far in this request.
    private(set) var updates = 0
    private let space: PublishedSpace
    private let learns: Bool
    private var completed: Window?

    init(_ content: SessionContent, space: PublishedSpace, learns: Bool) throws(EngineError) {
        self.content = content
        self.space = space
        self.learns = learns
        fastWeights = try Self.weights(content, space)
    }

    /// How many tokens may be read at once: to the end of the window while learning, so that the next is read with
    /// what this one taught.
    func segmentLength(limit: Int) -> Int {
        guard learns else { return limit }
        let window = space.levels.configuration.projectionChunkSize
        return min(limit, window - content.stream.position % window)
    }

    /// Before `tokens` are read.
    ///
    /// - Parameter sent: whether the caller sent them.
    mutating func willRead(_ tokens: [Int32], sent: Bool) throws(EngineError) {
        if let next = tokens.first { try evaluate(nextToken: sent ? next : nil) }
        let size = space.levels.configuration.projectionChunkSize
        let open = content.stream.position % size
        let flags = content.openSent + [Bool](repeating: sent, count: tokens.count)
        if learns && open + tokens.count == size && flags.contains(true) {
            completed = Window(
                start: content.stream.boundary, tokens: content.stream.openTokens + tokens, sent: flags)
        }
        content.openSent = Array(flags.suffix((open + tokens.count) % size))
        content.transcript += tokens
    }

    /// The stream's state for the batch; give it back with ``didRead(_:)``. Moved, not shared, so that it is not
    /// copied before it is written.
    mutating func takeStream() -> StreamState<Float> {
        let stream = content.stream
        content.stream = StreamState(detachedFrom: space.levels.configuration)
        return stream
    }

    /// After tokens were read.
    mutating func didRead(_ stream: StreamState<Float>) { content.stream = stream }

    /// At the request's end.
    mutating func finish() throws(EngineError) { try evaluate(nextToken: nil) }

    /// Learns from the completed window, if there is one.
    ///
    /// - Parameter nextToken: the token after the window, nil if it is not the caller's or not known.
    private mutating func evaluate(nextToken: Int32?) throws(EngineError) {
        guard let window = completed else { return }
        completed = nil
        let targets = window.tokens.dropFirst() + [nextToken ?? window.tokens[0]]
        let weights = window.sent.dropFirst().map { $0 ? Float(1) : 0 } + [nextToken == nil ? 0 : 1]
        let count = weights.count { $0 > 0 }
        guard count > 0 else { return }
        let names = Set(content.fast.definition.tensors.map(\.name))
        do {
            let reading = try LearningWindow(space.levels.configuration).read(
                window.tokens, targets: Array(targets), weights: weights, states: window.start,
                parameters: space.levels.effective.adding([content.fast.delta]), trained: names)
            content.fast.note(losses: zip(reading.losses, weights).filter { $0.1 > 0 }.map(\.0))
            guard let gradients = reading.gradients,
                try content.fast.gather(gradients, tokenCount: count)
            else { return }
        } catch {
            throw .numerics(message: "The session's fast level could not learn: \(error). The session is as it was before the request.")
        }
        updates += 1
        content.lastFastUpdate = Date()
        fastWeights = try Self.weights(content, space)
    }

    private static func weights(
        _ content: SessionContent, _ space: PublishedSpace
    ) throws(EngineError) -> FastWeights<Float>? {
        do {
            return try content.fastWeights(space.levels.configuration)
        } catch {
            throw .storage(.damaged, message: "The session's fast level does not fit the model: \(error).")
        }
    }
}

extension StreamState where S == Float {
    /// A placeholder while the real state is in a batch.
    fileprivate init(detachedFrom configuration: HopeConfiguration) { self = .placeholder }
}
