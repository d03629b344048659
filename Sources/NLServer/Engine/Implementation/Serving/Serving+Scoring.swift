import Glibc
import NLCore
import Synchronization

extension Serving {
    /// See ``ModelEngine/score(_:)``.
    func score(_ request: ScoreRequest) async throws -> ScoreResult {
        _ = try context.spaces.current(request.space)
        let hold = try takePlace()
        defer { hold.end() }
        let content = try await open(request.session, in: request.space, hold)
        // The state is a value: this request has its own now, and what it does with it moves nothing.
        hold.checkIn(request.session == nil ? nil : content)
        let input = try await prepare { [context] in
            try ScoreInput(request.input, after: content.transcript, model: context.model)
        }
        let reading = try await read(input.tokens, content, in: request.space)
        let logprobs = reading.logprobs.enumerated().map { $0.offset < input.unscored ? nil : $0.element }
        let known = logprobs.compactMap(\.self)
        let sum = known.reduce(0, +)
        return ScoreResult(
            tokens: input.tokens.map(Int.init), logprobs: logprobs, tokenCount: known.count,
            meanLogprob: known.isEmpty ? 0 : sum / Double(known.count),
            bitsPerByte: -sum / log(2) / Double(input.byteCount), generation: reading.generation)
    }

    private func read(
        _ tokens: [Int32], _ content: SessionContent, in space: String
    ) async throws -> (logprobs: [Double?], generation: Int) {
        let caller = Caller()
        let logprobs = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { reply in
                scheduler.submit(
                    DecodeScheduler.Entry(
                        make: { [context] () throws(EngineError) in
                            let space = try context.spaces.current(space)
                            caller.generation.store(space.generation, ordering: .relaxed)
                            return ScoringTask(
                                tokens, space: space, state: content.stream,
                                fast: try content.fastWeights(beside: space.weights),
                                isCancelled: { caller.isGone }, reply: reply)
                        }, refuse: { reply.resume(throwing: $0) }, isWanted: { !caller.isGone }))
            }
        } onCancel: {
            caller.leave()
            scheduler.wake()
        }
        return (logprobs, caller.generation.load(ordering: .relaxed))
    }
}

/// Whether the caller has gone away, and what it was served with.
private final class Caller: Sendable {
    private let gone = Atomic(false)
    let generation = Atomic(0)
    var isGone: Bool { gone.load(ordering: .relaxed) }
    func leave() { gone.store(true, ordering: .relaxed) }
}

/// What is read for a score, and what of it is scored.
private struct ScoreInput {
    let tokens: [Int32]
    /// How many of the first tokens are not scored: BOS, and the prompt.
    let unscored: Int
    /// UTF-8 bytes of the scored text.
    let byteCount: Int

    /// - Throws: ``EngineError/invalid(parameter:message:)`` for nothing to score.
    init(_ input: ScoreRequest.Input, after transcript: [Int32], model: LoadedModel) throws(EngineError) {
        let bos = transcript.isEmpty ? [Int32(model.configuration.bosTokenID)] : []
        let (prompt, scored, parameter) =
            switch input {
            case .text(let text): ("", text, "text")
            case .completion(let completion, let prompt): (prompt, completion, "completion")
            }
        let own = model.tokens(of: scored)
        guard !own.isEmpty else { throw .invalid(parameter: parameter, message: "There is nothing to score.") }
        let before = bos + model.tokens(of: prompt)
        tokens = before + own
        unscored = before.count
        byteCount = scored.utf8.count
    }
}
