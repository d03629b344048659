import Foundation
import NLCore

/// One generation on the decode thread: reads the input in segments, then writes token by token.
final class GenerationTask: RunningTask {
    /// What the request wants, in the decoder's terms.
    struct Plan: Sendable {
        var request: GenerationRequest
        /// Tokens to read; the first `added` are BOS that the caller did not send.
        var tokens: [Int32]
        var added: Int
        /// Tokens of the input that the session has read before.
        var reused: Int
        var seed: UInt64
        var job: JobRecord?
        var sampling: NLCore.SamplingParameters
        var queuedAt: ContinuousClock.Instant
    }

    private enum Phase { case reading, writing, over }

    let space: PublishedSpace
    private let plan: Plan
    private let model: LoadedModel
    private let channel: EventChannel<GenerationEvent>
    private let totals: EngineTotals
    /// Persists the session and delivers the last event, off the decode thread.
    private let finish: @Sendable (SessionContent, GenerationSummary) -> Void
    /// Gives the session back unchanged.
    private let release: @Sendable () -> Void

    private var reader: SessionReader
    private var phase = Phase.reading
    private var sampler: Sampler
    private var decoder: StreamingDecoder
    private var matcher: StopMatcher
    private var position = 0
    private var promptPieces: [TokenPiece] = []
    private var segment: [Int32] = []
    /// The token that was chosen and has not been read yet.
    private var pending: Int32?
    private var ending: (reason: GenerationSummary.Reason, text: String)?
    private var written = 0
    private var timings = GenerationTimings()
    private var phaseBegan: ContinuousClock.Instant
    private var hasEnded = false

    init(
        _ plan: Plan, content: SessionContent, space: PublishedSpace, model: LoadedModel,
        channel: EventChannel<GenerationEvent>, totals: EngineTotals,
        finish: @escaping @Sendable (SessionContent, GenerationSummary) -> Void,
        release: @escaping @Sendable () -> Void
    ) throws(EngineError) {
        self.plan = plan
        self.space = space
        self.model = model
        self.channel = channel
        self.totals = totals
        self.finish = finish
        self.release = release
        let learns = plan.request.session != nil && plan.request.learn != .none
        reader = try SessionReader(content, space: space, learns: learns)
        sampler = Sampler(seed: plan.seed)
        decoder = StreamingDecoder(model.tokenizer, skipSpecialTokens: true)
        matcher = StopMatcher(plan.request.stop)
        phaseBegan = .now
        timings.queued = plan.queuedAt.duration(to: phaseBegan)
    }

    var isOver: Bool { phase == .over || channel.isAbandoned }

    // MARK: - A step

    func nextInput(limit: Int) throws(EngineError) -> StreamInput<Float>? {
        switch phase {
        case .reading:
            if position == plan.tokens.count { try beginWriting() }  // everything was read before
            guard phase == .reading else { return nil }
            let length = min(reader.segmentLength(limit: limit), plan.tokens.count - position)
            segment = Array(plan.tokens[position..<position + length])
            if plan.request.echo && position == 0 { try notePrompt(reader.content.stream.logits, rows: 0) }
            try reader.willRead(segment, sent: true)
            return input(segment, wantsAllLogits: plan.request.echo && plan.request.topLogprobs != nil)
        case .writing:
            if pending == nil && ending == nil { try chooseToken() }
            guard let token = pending, phase == .writing else { return nil }
            segment = [token]
            try reader.willRead(segment, sent: false)
            return input(segment, wantsAllLogits: false)
        case .over: return nil
        }
    }

    private func input(_ tokens: [Int32], wantsAllLogits: Bool) -> StreamInput<Float> {
        StreamInput(
            state: reader.takeStream(), tokens: tokens, fast: reader.fastWeights, wantsAllLogits: wantsAllLogits)
    }

    func take(_ state: StreamState<Float>, logits: Tensor<Float>) throws(EngineError) {
        reader.didRead(state)
        switch phase {
        case .reading:
            if plan.request.echo { try notePrompt(logits, rows: segment.count) }
            position += segment.count
            totals.add { $0.promptTokens += segment.count }
            if position == plan.tokens.count { try beginWriting() }
        case .writing:
            pending = nil
            if ending != nil { try end() }
        case .over: break
        }
    }

    // MARK: - Reading

    /// Notes the pieces of the prompt whose predictions are now known.
    ///
    /// - Parameter rows: 0 for the prediction of the first token, from what was read before.
    private func notePrompt(_ logits: Tensor<Float>?, rows: Int) throws(EngineError) {
        let first = rows == 0 ? position : position + 1
        for index in first..<min(rows == 0 ? position + 1 : position + rows + 1, plan.tokens.count) {
            guard index >= plan.added else { continue }
            let token = plan.tokens[index]
            var piece = TokenPiece(id: Int(token), text: "", bytes: model.tokenizer.shownBytes(of: Int(token)))
            if let count = plan.request.topLogprobs, let logits {
                let row = logits.shape.rank == 1 ? logits : logits.row(index - first)
                try EngineError.numerics { () throws(LogitsError) in
                    piece.logprob = try LogSoftmax.logProbabilities(of: [token], row)[0]
                    var greedy = Sampler(seed: 0)
                    let ranked = try greedy.sample(row, .greedy, alternatives: count)
                    piece.alternatives = model.alternatives(ranked.alternatives)
                }
            }
            promptPieces.append(piece)
        }
    }

    private func beginWriting() throws(EngineError) {
        timings.reading = phaseBegan.duration(to: .now)
        phaseBegan = .now
        phase = .writing
        // Text of the pieces: what the bytes say when put together, each character with its last token.
        var decoder = StreamingDecoder(model.tokenizer, skipSpecialTokens: true)
        for index in promptPieces.indices { promptPieces[index].text = decoder.push(promptPieces[index].id) }
        if let last = promptPieces.indices.last { promptPieces[last].text += decoder.finish() }
        _ = channel.offer(
            .started(
                GenerationStart(
                    generation: space.generation, seed: plan.seed, promptTokenCount: plan.tokens.count + plan.reused,
                    reusedTokenCount: plan.reused, promptTokens: promptPieces, job: plan.job)))
        if plan.request.maxTokens == 0 {
            ending = (.length, "")
            try end()
        }
    }

    // MARK: - Writing

    /// Draws the next token and delivers it, if the consumer has room for it.
    private func chooseToken() throws(EngineError) {
        guard channel.hasRoom, let logits = reader.content.stream.logits else { return }
        let count = plan.request.topLogprobs
        let drawn = try EngineError.numerics { () throws(LogitsError) in
            try sampler.sample(logits, plan.sampling, alternatives: count ?? 0)
        }
        let id = Int(drawn.token)
        written += 1
        totals.add { $0.completionTokens += 1 }
        let isEnd = id == model.configuration.eosTokenID && !plan.request.ignoresEndOfText
        let output = matcher.push(isEnd ? "" : decoder.push(id))
        _ = channel.offer(
            .token(
                TokenPiece(
                    id: id, text: output.text, bytes: model.tokenizer.shownBytes(of: id),
                    logprob: count == nil ? nil : drawn.logProbability,
                    alternatives: model.alternatives(drawn.alternatives))))
        if isEnd || output.stop != nil {
            // Neither EOS nor the token that completed a stop string is read: the answer ended before it.
            ending = (.stop, output.stop == nil ? rest() : "")
            return try end()
        }
        pending = drawn.token
        if written == plan.request.maxTokens { ending = (.length, rest()) }
    }

    /// What was held back, now that nothing follows.
    private func rest() -> String {
        let last = matcher.push(decoder.finish())
        return last.text + (last.stop == nil ? matcher.finish() : "")
    }

    private func end() throws(EngineError) {
        guard let ending, !hasEnded else { return }
        try reader.finish()
        timings.writing = phaseBegan.duration(to: .now)
        hasEnded = true
        phase = .over
        var content = reader.content
        content.samplerState = sampler.state
        finish(
            content,
            GenerationSummary(
                reason: ending.reason, text: ending.text,
                usage: TokenUsage(
                    promptTokens: plan.tokens.count + plan.reused, completionTokens: written,
                    reusedTokens: plan.reused), timings: timings, fastUpdates: reader.updates))
    }

    func close(_ error: EngineError?) {
        guard !hasEnded else { return }
        hasEnded = true
        phase = .over
        channel.finish(throwing: error ?? .cancelled(reason: "the client went away"))
        release()
    }
}

extension LoadedModel {
    func alternatives(_ ranked: [SampledToken.Alternative]) -> [TokenAlternative] {
        ranked.map {
            TokenAlternative(
                id: Int($0.token), bytes: tokenizer.shownBytes(of: Int($0.token)), logprob: $0.logProbability)
        }
    }
}

extension Tokenizer {
    /// A token's own bytes; none of a special token.
    func shownBytes(of id: Int) -> [UInt8] { isSpecial(id) ? [] : bytes(of: id) }
}
