import Foundation
import NLCore
import Synchronization

extension Serving {
    /// See ``ModelEngine/score(_:)``.
    func score(_ request: ScoreRequest) async throws -> ScoreResult {
        try requireOpen()
        let space = try context.spaces.current(request.space)
        var content = SessionContent(context.model)
        if let session = request.session {
            content = try await checkOut(session, space: space.name)
            // The state is a value: this request has its own now, and nothing moves.
            registry.checkIn(session, content)
        }
        let (prompt, scored, text) = try scoredTokens(request.input, after: content.transcript)
        let tokens = prompt + scored
        let fast = try content.fastWeights(context.model.configuration)
        let logprobs = try await logprobs(of: tokens, space: space, state: content.stream, fast: fast)
        let visible = logprobs.enumerated().map { $0.offset < prompt.count ? nil : $0.element }
        let known = visible.compactMap { $0 }
        let sum = known.reduce(0, +)
        return ScoreResult(
            tokens: tokens.map(Int.init), logprobs: visible, tokenCount: known.count,
            meanLogprob: known.isEmpty ? 0 : sum / Double(known.count),
            bitsPerByte: -sum / log(2) / Double(max(text.utf8.count, 1)), generation: space.generation)
    }

    /// What is read first, what is scored, and the scored text.
    private func scoredTokens(
        _ input: ScoreRequest.Input, after transcript: [Int32]
    ) throws(EngineError) -> (prompt: [Int32], scored: [Int32], text: String) {
        let bos = transcript.isEmpty ? [Int32(context.model.configuration.bosTokenID)] : []
        switch input {
        case .text(let text):
            let tokens = context.model.tokens(of: text)
            guard !tokens.isEmpty else { throw .invalid(parameter: "text", message: "There is nothing to score.") }
            return (bos, tokens, text)
        case .completion(let completion, let prompt):
            let tokens = context.model.tokens(of: completion)
            guard !tokens.isEmpty else {
                throw .invalid(parameter: "completion", message: "There is nothing to score.")
            }
            return (bos + context.model.tokens(of: prompt), tokens, completion)
        }
    }

    private func logprobs(
        of tokens: [Int32], space: PublishedSpace, state: StreamState<Float>, fast: FastWeights<Float>?
    ) async throws -> [Double?] {
        let cancelled = CancellationFlag()
        context.priority.requestBegan()
        defer { context.priority.requestEnded() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { reply in
                do throws(EngineError) {
                    try scheduler.submit(
                        { () throws(EngineError) in
                            ScoringTask(
                                tokens, space: space, state: state, fast: fast, isCancelled: { cancelled.isSet },
                                reply: reply)
                        }, refuse: { reply.resume(throwing: $0) })
                } catch {
                    reply.resume(throwing: error)
                }
            }
        } onCancel: {
            cancelled.set()
            scheduler.wake()
        }
    }
}

/// Whether the caller has gone away.
private final class CancellationFlag: Sendable {
    private let flag = Atomic(false)
    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}
