import Foundation
import NLCore

/// Reads a text with learning off and keeps the log-probability of every token of it.
///
/// Read in segments of a fixed length from its start, so that the same text gives the same bits whatever else runs.
final class ScoringTask: RunningTask {
    static let segmentLength = 256

    let space: PublishedSpace
    private let tokens: [Int32]
    private let fast: FastWeights<Float>?
    private var state: StreamState<Float>
    private var position = 0
    private var logprobs: [Double?] = []
    private let reply: CheckedContinuation<[Double?], any Error>
    private var hasReplied = false
    private let isCancelled: @Sendable () -> Bool

    /// - Parameters:
    ///   - state: where the text begins; a copy, so that nothing moves.
    ///   - isCancelled: asked before every segment.
    init(
        _ tokens: [Int32], space: PublishedSpace, state: StreamState<Float>, fast: FastWeights<Float>?,
        isCancelled: @escaping @Sendable () -> Bool, reply: CheckedContinuation<[Double?], any Error>
    ) {
        self.tokens = tokens
        self.space = space
        self.state = state
        self.fast = fast
        self.isCancelled = isCancelled
        self.reply = reply
    }

    var isOver: Bool { position == tokens.count || isCancelled() }

    func nextInput(limit _: Int) throws(EngineError) -> StreamInput<Float>? {
        let segment = tokens[position..<min(position + Self.segmentLength, tokens.count)]
        if position == 0 {
            logprobs.append(
                try state.logits.map { logits throws(EngineError) in
                    try EngineError.numerics { () throws(LogitsError) in
                        try LogSoftmax.logProbabilities(of: [tokens[0]], logits)[0]
                    }
                })
        }
        return StreamInput(state: state, tokens: Array(segment), fast: fast, wantsAllLogits: true)
    }

    func take(_ state: StreamState<Float>, logits: Tensor<Float>) throws(EngineError) {
        self.state = state
        let read = logits.shape[0]
        // Row i of the segment predicts the token after it; the last row of the text predicts nothing that is here.
        let targets = Array(tokens[(position + 1)..<min(position + read + 1, tokens.count)])
        position += read
        guard !targets.isEmpty else { return }
        logprobs += try EngineError.numerics { () throws(LogitsError) in
            try LogSoftmax.logProbabilities(of: targets, logits.firstRows(targets.count))
        }
    }

    func close(_ error: EngineError?) {
        guard !hasReplied else { return }
        hasReplied = true
        if let error {
            reply.resume(throwing: error)
        } else if position < tokens.count {
            reply.resume(throwing: EngineError.cancelled(reason: "the request was cancelled"))
        } else {
            reply.resume(returning: logprobs)
        }
    }
}

extension EngineError {
    /// Runs `body`; logits that are no numbers come out as ``numerics(message:)``.
    static func numerics<Value>(_ body: () throws(LogitsError) -> Value) throws(EngineError) -> Value {
        do {
            return try body()
        } catch {
            throw .numerics(message: "The model gave no distribution: \(error).")
        }
    }
}
