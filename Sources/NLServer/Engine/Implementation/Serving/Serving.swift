import Foundation
import NLCore
import Store
import Synchronization

/// Generations, scorings and sessions: the reading side of the engine.
final class Serving: Sendable {
    let context: EngineContext
    let scheduler: DecodeScheduler
    let registry = SessionRegistry()
    /// Sessions in the database, for statistics that must not ask it.
    let storedSessions: Mutex<Int>
    private let isDraining = Mutex(false)
    /// Sessions being persisted after their last token.
    private let saving = Monitor(0)

    /// Starts the decode thread.
    init(_ context: EngineContext) throws {
        self.context = context
        scheduler = DecodeScheduler(
            queueLimit: context.configuration.maxQueue, batchLimit: context.configuration.maxConcurrent)
        let count = try EngineError.translating {
            try context.store.read { store in try context.spaces.names.reduce(0) { try $0 + store.sessionCount(space: $1) } }
        }
        storedSessions = Mutex(count)
    }

    func beginDraining() { isDraining.withLock { $0 = true } }

    /// Cuts off what still runs, and waits until every finished session is on disk.
    func shutdown() async {
        beginDraining()
        await withCheckedContinuation { continuation in
            // A dedicated thread: joining must not block the cooperative pool.
            let thread = Thread { [self] in
                scheduler.stop()
                saving.wait { $0 == 0 }
                continuation.resume()
            }
            thread.start()
        }
    }

    func statistics() -> ServingStatistics {
        let counts = scheduler.counts
        return ServingStatistics(
            queued: counts.queued, running: counts.running, sessionsStored: storedSessions.withLock { $0 },
            sessionsInUse: registry.inUseCount)
    }

    /// A step takes milliseconds; one that takes a minute will not end.
    func stalls() -> [String] {
        guard let age = scheduler.stepAge, age > .seconds(60) else { return [] }
        return ["the decode thread has been in one step for \(age.components.seconds) s"]
    }

    func requireOpen() throws(EngineError) {
        guard !isDraining.withLock({ $0 }) else {
            throw .unavailable(reason: "the daemon is shutting down", retryAfter: .seconds(5))
        }
    }

    func requireWritable(_ action: String) throws(EngineError) {
        if context.configuration.isReadOnly { throw .readOnly(action: action) }
    }

    // MARK: - Generation

    /// See ``ModelEngine/generate(_:)``.
    func generate(_ request: GenerationRequest) async throws -> EventStream<GenerationEvent> {
        try requireOpen()
        if request.session != nil { try requireWritable("continue a session") }
        if request.learn == .space { try requireWritable("learn into the space") }
        let began = ContinuousClock.now
        let space = try context.spaces.current(request.space)
        var content = SessionContent(context.model)
        if let session = request.session { content = try await checkOut(session, space: space.name) }
        let release: @Sendable () -> Void = { [registry] in
            if let session = request.session { registry.checkIn(session, nil) }
        }
        do {
            var plan = try plan(request, content, queuedAt: began)
            if request.learn == .space {
                plan.job = try await context.journal.accept(submission(request)).job
            }
            return try start(plan, content, space, release)
        } catch {
            release()
            throw error
        }
    }

    private func start(
        _ plan: GenerationTask.Plan, _ content: SessionContent, _ space: PublishedSpace,
        _ release: @escaping @Sendable () -> Void
    ) throws(EngineError) -> EventStream<GenerationEvent> {
        let channel = EventChannel<GenerationEvent>(capacity: 32) { [weak scheduler] in scheduler?.wake() }
        let stream = channel.makeStream()
        let priority = context.priority
        priority.requestBegan()
        let over: @Sendable () -> Void = {
            release()
            priority.requestEnded()
        }
        let finish: @Sendable (SessionContent, GenerationSummary) -> Void = { [self] content, summary in
            saving.update { $0 += 1 }
            Task { await conclude(plan.request, content, summary, space, channel) }
        }
        do throws(EngineError) {
            try scheduler.submit(
                { [context] () throws(EngineError) in
                    try GenerationTask(
                        plan, content: content, space: space, model: context.model, channel: channel,
                        totals: context.totals, finish: finish, release: over)
                },
                refuse: { error in
                    channel.finish(throwing: error)
                    over()
                })
        } catch {
            priority.requestEnded()
            throw error
        }
        return stream
    }

    /// Persists the session, then delivers the last event: an answer that was seen whole is an answer that is kept.
    private func conclude(
        _ request: GenerationRequest, _ content: SessionContent, _ summary: GenerationSummary, _ space: PublishedSpace,
        _ channel: EventChannel<GenerationEvent>
    ) async {
        defer {
            context.priority.requestEnded()
            saving.update { $0 -= 1 }
        }
        guard let session = request.session else {
            try? await channel.send(.finished(summary))
            return channel.finish()
        }
        do {
            if channel.isAbandoned { throw EngineError.cancelled(reason: "the client went away") }
            try await context.database { store in
                let draft = try content.draft(generation: space.generation)
                _ = try store.transaction { try $0.saveSession(session, draft) }
            }
            registry.checkIn(session, content)
            try? await channel.send(.finished(summary))
            channel.finish()
        } catch {
            registry.checkIn(session, nil)
            channel.finish(throwing: error)
        }
    }

    private func plan(
        _ request: GenerationRequest, _ content: SessionContent, queuedAt: ContinuousClock.Instant
    ) throws(EngineError) -> GenerationTask.Plan {
        let input = try InputTokens(request.input, after: content.transcript, model: context.model)
        let s = request.sampling
        let sampling: NLCore.SamplingParameters
        do {
            sampling = try NLCore.SamplingParameters(
                temperature: s.temperature, topK: s.topK, topP: s.topP, minP: s.minP)
        } catch {
            throw .invalid(parameter: "temperature", message: "\(error).")
        }
        var generator = SystemRandomNumberGenerator()
        // Below 2^53, so that a seed survives a client's JSON parser.
        let drawn = content.samplerState ?? UInt64.random(in: 0..<(1 << 53), using: &generator)
        return GenerationTask.Plan(
            request: request, tokens: input.tokens, added: input.added, reused: input.reused,
            seed: request.sampling.seed ?? drawn, job: nil, sampling: sampling, queuedAt: queuedAt)
    }

    private func submission(_ request: GenerationRequest) -> DocumentSubmission {
        let text =
            switch request.input {
            case .text(let text): text
            case .tokens(let tokens): context.model.tokenizer.decode(tokens, skipSpecialTokens: true)
            case .messages(let messages): messages.filter { $0.role == .user }.map(\.content).joined(separator: "\n")
            }
        return DocumentSubmission(text: text, id: nil, title: nil, space: request.space, metadata: nil)
    }
}

/// A request's input as tokens that are to be read now.
struct InputTokens {
    let tokens: [Int32]
    /// How many of the first tokens are not the caller's: BOS.
    let added: Int
    /// How many tokens of the input the session has read before.
    let reused: Int

    /// - Throws: ``EngineError/invalid(parameter:message:)`` for nothing to read, or ids outside the vocabulary.
    init(_ input: GenerationRequest.Input, after transcript: [Int32], model: LoadedModel) throws(EngineError) {
        let bos = Int32(model.configuration.bosTokenID)
        let isFresh = transcript.isEmpty
        var own: [Int32]
        switch input {
        case .text(let text): own = model.tokens(of: text)
        case .tokens(let ids):
            let vocabulary = model.configuration.vocabularySize
            if let id = ids.first(where: { $0 < 0 || $0 >= vocabulary }) {
                throw .invalid(parameter: "prompt", message: "Token \(id) is outside the vocabulary of \(vocabulary).")
            }
            own = ids.map(Int32.init)
        case .messages(let messages):
            let whole = [bos] + model.tokens(of: ChatTemplate.render(messages))
            if !isFresh && whole.count > transcript.count && whole.starts(with: transcript) {
                tokens = Array(whole.dropFirst(transcript.count))
                (added, reused) = (0, transcript.count)
                return
            }
            own = isFresh ? Array(whole.dropFirst()) : model.tokens(of: ChatTemplate.render(messages, continuing: true))
        }
        guard !own.isEmpty else { throw .invalid(parameter: "prompt", message: "There is nothing to read.") }
        let addsBOS = isFresh && own.first != bos
        tokens = addsBOS ? [bos] + own : own
        (added, reused) = (addsBOS ? 1 : 0, 0)
    }
}
