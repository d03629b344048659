import NLCore

/// Reads a text with learning off and keeps the log-probability of every token of it.
///
/// Read in segments of a fixed length from its start, so that the same text gives the same bits whatever else runs.
final class ScoringTask: RunningTask {
    private static let segment = 256

    let space: PublishedSpace
    private let tokens: [Int32]
    private let fast: FastWeights<Float>?
    private var state: StreamState<Float>
    private var position = 0
    private var logprobs: [Double?] = []
    private let isCancelled: @Sendable () -> Bool
    private let reply: CheckedContinuation<[Double?], any Error>
    private var hasReplied = false

    /// - Parameters:
    ///   - tokens: at least one.
    ///   - state: where the text begins; a copy, so that nothing moves.
    ///   - isCancelled: asked before every segment.
    ///   - reply: resumed by ``close(_:)``, with one number a token: nil where there is nothing before it.
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

    private var next: Range<Int> { position..<min(position + Self.segment, tokens.count) }

    var isOver: Bool { position == tokens.count || isCancelled() }

    var nextCost: Int? { next.count }

    func nextInput() throws(EngineError) -> StreamInput<Float>? {
        if position == 0 {
            let first = try state.logits.map { logits throws(EngineError) in
                try EngineError.numerics { () throws(LogitsError) in
                    try LogSoftmax.logProbabilities(of: [tokens[0]], logits)[0]
                }
            }
            logprobs.append(first)
        }
        return StreamInput(state: state.handOver(), tokens: Array(tokens[next]), fast: fast, wantsAllLogits: true)
    }

    func take(_ state: StreamState<Float>, logits: Tensor<Float>) throws(EngineError) {
        self.state = state
        // A row predicts the token after it; the text's last row predicts nothing that is here.
        let targets = Array(tokens[(position + 1)..<min(position + logits.shape[0] + 1, tokens.count)])
        position += logits.shape[0]
        guard !targets.isEmpty else { return }
        logprobs += try EngineError.numerics { () throws(LogitsError) in
            try LogSoftmax.logProbabilities(of: targets, logits.rows(0..<targets.count))
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
