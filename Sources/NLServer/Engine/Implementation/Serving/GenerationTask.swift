import NLCore

/// One generation on the decode thread: reads the input in segments, then writes token by token.
final class GenerationTask: RunningTask {
    private enum Phase { case reading, writing, over }

    /// How the generation ends, decided with its last token.
    private struct Ending {
        var reason: GenerationSummary.Reason
        /// What was held back, now that nothing follows.
        var text: String
    }

    let space: PublishedSpace
    private let plan: GenerationPlan
    private let model: LoadedModel
    private let channel: EventChannel<GenerationEvent>
    private let totals: EngineTotals
    private let hold: RequestHold
    /// Persists the session and delivers the last event, off the decode thread.
    private let conclude: @Sendable (SessionContent, GenerationSummary) -> Void

    private var reader: SessionReader
    private var phase = Phase.reading
    private var sampler: Sampler
    private var decoder: StreamingDecoder
    private var matcher: StopMatcher
    private var prompt: PromptPieces
    /// Tokens of the input that have been read.
    private var position = 0
    /// What is being read in this step.
    private var segment: [Int32] = []
    private var ending: Ending?
    private var written = 0
    private var timings = GenerationTimings()
    private var phaseBegan: ContinuousClock.Instant

    /// - Parameters:
    ///   - content: the session as it is, or a fresh one; the task works on its own copy.
    ///   - queued: when the request came in.
    ///   - hold: ended by the task, unless it comes to `conclude`, which then ends it.
    init(
        _ plan: GenerationPlan, content: SessionContent, space: PublishedSpace, model: LoadedModel,
        channel: EventChannel<GenerationEvent>, totals: EngineTotals, queued: ContinuousClock.Instant,
        hold: RequestHold, conclude: @escaping @Sendable (SessionContent, GenerationSummary) -> Void
    ) throws(EngineError) {
        self.plan = plan
        self.space = space
        self.model = model
        self.channel = channel
        self.totals = totals
        self.hold = hold
        self.conclude = conclude
        let learns = plan.request.session != nil && plan.request.learn != .none
        reader = try SessionReader(content, space: space, learns: learns)
        sampler = Sampler(seed: plan.seed)
        decoder = StreamingDecoder(model.tokenizer, skipSpecialTokens: true)
        matcher = StopMatcher(plan.request.stop)
        prompt = PromptPieces(plan, model)
        phaseBegan = .now
        timings.queued = queued.duration(to: phaseBegan)
    }

    // MARK: - A step

    var isOver: Bool { phase == .over || channel.isAbandoned }

    var nextCost: Int? {
        switch phase {
        case .reading: reader.cost(of: reader.segmentLength(plan.input.tokens.count - position))
        case .writing: channel.hasRoom ? 0 : nil
        case .over: nil
        }
    }

    func nextInput() throws(EngineError) -> StreamInput<Float>? {
        switch phase {
        case .reading: return try nextSegment()
        case .writing: return try nextToken()
        case .over: return nil
        }
    }

    func take(_ state: StreamState<Float>, logits: Tensor<Float>) throws(EngineError) {
        reader.didRead(state)
        switch phase {
        case .reading: try didReadSegment(logits)
        case .writing: if let ending { end(ending) }
        case .over: break
        }
    }

    func close(_ error: EngineError?) {
        guard phase != .over else { return }
        phase = .over
        // First the session, then the word: who hears that it failed may try again at once.
        hold.end()
        channel.finish(throwing: error ?? .cancelled(reason: "the client went away"))
    }

    private func input(wantsAllLogits: Bool) -> StreamInput<Float> {
        StreamInput(
            state: reader.takeStream(), tokens: segment, fast: reader.fastWeights, wantsAllLogits: wantsAllLogits)
    }

    // MARK: - Reading

    private func nextSegment() throws(EngineError) -> StreamInput<Float> {
        let tokens = plan.input.tokens
        if plan.request.echo && position == 0 { try prompt.note(0, predictedBy: reader.content.stream.logits) }
        segment = Array(tokens[position..<position + reader.segmentLength(tokens.count - position)])
        try reader.willRead(segment, sent: true)
        return input(wantsAllLogits: plan.request.echo && plan.request.topLogprobs != nil)
    }

    private func didReadSegment(_ logits: Tensor<Float>) throws(EngineError) {
        if plan.request.echo { try prompt.note(after: position, segment.count, predictedBy: logits) }
        position += segment.count
        totals.add { $0.promptTokens += segment.count }
        if position == plan.input.tokens.count { beginWriting() }
    }

    private func beginWriting() {
        timings.reading = phaseBegan.duration(to: .now)
        phaseBegan = .now
        phase = .writing
        let start = GenerationStart(
            generation: space.generation, seed: plan.seed, promptTokenCount: plan.promptTokenCount,
            reusedTokenCount: plan.input.reused, promptTokens: prompt.finished(), job: plan.job,
            recalled: plan.recalled)
        _ = channel.offer(.started(start))  // the first event: there is room
        if plan.request.maxTokens == 0 { end(Ending(reason: .length, text: "")) }
    }

    // MARK: - Writing

    /// Draws the next token, delivers it, and has it read.
    ///
    /// Neither EOS nor the token that completes a stop string is read: the answer ended before it. The token that
    /// reaches `maxTokens` is read, since it is part of the answer.
    private func nextToken() throws(EngineError) -> StreamInput<Float>? {
        guard let logits = reader.content.stream.logits else {
            throw .numerics(message: "There are no logits to draw from.")
        }
        let wanted = plan.request.topLogprobs
        let drawn = try EngineError.numerics { () throws(LogitsError) in
            try sampler.sample(logits, plan.sampling, alternatives: wanted ?? 0)
        }
        let id = Int(drawn.token)
        let isEnd = model.configuration.endsText(id) && !plan.request.ignoresEndOfText
        let output = matcher.push(isEnd ? "" : decoder.push(id))
        written += 1
        totals.add { $0.completionTokens += 1 }
        let piece = TokenPiece(
            id: id, text: output.text, bytes: model.tokenizer.shownBytes(of: id),
            logprob: wanted == nil ? nil : drawn.logProbability, alternatives: model.alternatives(drawn.alternatives))
        _ = channel.offer(.token(piece))  // asked for room before the step, and there is no other producer
        if output.stop != nil || isEnd {
            end(Ending(reason: .stop, text: output.stop == nil ? rest() : ""))
            return nil
        }
        if written == plan.request.maxTokens { ending = Ending(reason: .length, text: rest()) }
        segment = [drawn.token]
        try reader.willRead(segment, sent: false)
        return input(wantsAllLogits: false)
    }

    /// What was held back: half a character, or what could have begun a stop string.
    private func rest() -> String {
        let last = matcher.push(decoder.finish())
        return last.text + (last.stop == nil ? matcher.finish() : "")
    }

    private func end(_ ending: Ending) {
        phase = .over
        timings.writing = phaseBegan.duration(to: .now)
        var content = reader.content
        content.nextSeed = GenerationPlan.nextSeed(after: sampler)
        let usage = TokenUsage(
            promptTokens: plan.promptTokenCount, completionTokens: written, reusedTokens: plan.input.reused)
        conclude(
            content,
            GenerationSummary(
                reason: ending.reason, text: ending.text, usage: usage, timings: timings, fastUpdates: reader.updates))
    }
}
