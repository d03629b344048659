import Foundation
import NLCore

/// Reads tokens into a session segment by segment, and lets its fast level learn from those the caller sent
/// (design §2; NL Eq. 71 with the gradient taken at the level's current θ).
///
/// The stream's state always comes from the streaming path. A window of C_p positions that is complete and whose next
/// token is known is differentiated once more from its start, and the fast level gathers the gradient, before the next
/// token is read.
struct SessionReader {
    /// Tokens read at once while nothing is learned.
    private static let segment = 256

    private(set) var content: SessionContent
    private(set) var fastWeights: FastWeights<Float>?
    /// Updates of the fast level so far in this request.
    private(set) var updates = 0
    private let space: PublishedSpace
    private let learns: Bool

    /// - Parameters:
    ///   - space: what the request reads, to its end.
    ///   - learns: whether the fast level may move.
    init(_ content: SessionContent, space: PublishedSpace, learns: Bool) throws(EngineError) {
        self.content = content
        self.space = space
        self.learns = learns
        fastWeights = try content.fastWeights(beside: space.weights)
    }

    private var levels: SpaceLevels { space.levels }
    private var windowSize: Int { levels.configuration.projectionChunkSize }

    /// How many of `remaining` tokens are read next. Depends on the place in the stream alone, not on who else reads,
    /// and ends with a window where one may be learned from.
    func segmentLength(_ remaining: Int) -> Int {
        let size = learns ? windowSize : Self.segment
        return min(size - content.stream.position % size, remaining)
    }

    /// What reading the next segment costs, in tokens read without learning: a window that is learned from is read a
    /// second time, forward and backward, which takes about as long as reading four.
    func cost(of segment: Int) -> Int {
        segment + (learns && content.window != nil ? 4 * windowSize : 0)
    }

    /// Before `tokens` are read.
    ///
    /// - Parameter sent: whether the caller sent them.
    mutating func willRead(_ tokens: [Int32], sent: Bool) throws(EngineError) {
        guard let first = tokens.first else { return }
        let isLearned = sent && learns
        content.window?.follow(with: first, isLearned: isLearned)
        if learns { try learnFromWindow() }
        let open = content.stream.openTokens + tokens
        let flags = content.openLearned + [Bool](repeating: isLearned, count: tokens.count)
        // Where a segment holds several windows, none but the first has a token that is learned from: it is open since
        // a request that learned, and this one does not.
        if open.count >= windowSize && flags.prefix(windowSize).contains(true) {
            var window = LearnableWindow(
                start: content.stream.boundary, tokens: Array(open.prefix(windowSize)),
                after: content.transcript.dropLast(content.stream.openTokens.count).suffix(LearningWindow.reach),
                learned: Array(flags.prefix(windowSize)))
            if open.count > windowSize { window.follow(with: open[windowSize], isLearned: false) }
            content.window = window
        }
        content.openLearned = Array(flags.suffix(open.count % windowSize))
        content.transcript += tokens
    }

    /// The stream's state, to be read on with; give it back with ``didRead(_:)``.
    mutating func takeStream() -> StreamState<Float> { content.stream.handOver() }

    /// After tokens were read.
    mutating func didRead(_ stream: StreamState<Float>) { content.stream = stream }

    /// Learns from the complete window, if there is one.
    private mutating func learnFromWindow() throws(EngineError) {
        guard let window = content.window else { return }
        content.window = nil
        let (targets, weights) = window.targets
        let count = weights.count { $0 > 0 }
        guard count > 0 else { return }
        do {
            let reading = try LearningWindow(levels.configuration).read(
                window.tokens, targets: targets, weights: weights, states: window.start,
                parameters: levels.effective.adding([content.fast.contribution()]),
                trained: Set(content.fast.definition.adapted.map(\.name)), after: window.preceding,
                observed: content.fast.definition.observed)
            content.fast.note(losses: zip(reading.losses, weights).filter { $0.1 > 0 }.map(\.0))
            guard let gradients = reading.gradients,
                try content.fast.gather(gradients, inputs: reading.inputs, tokenCount: count)
            else { return }
        } catch {
            throw .numerics(
                message: "The session's fast level could not learn: \(error). "
                    + "The session is as it was before the request.")
        }
        updates += 1
        content.lastFastUpdate = Date()
        fastWeights = try content.fastWeights(beside: space.weights)
    }
}
