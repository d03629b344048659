import NLCore
import Store

extension Serving {
    /// See ``ModelEngine/generate(_:)``.
    func generate(_ request: GenerationRequest) async throws -> EventStream<GenerationEvent> {
        let began = ContinuousClock.now
        if request.session != nil { try requireWritable("continue a session") }
        if request.learn == .space { try requireWritable("learn into the space") }
        _ = try context.spaces.current(request.space)
        let hold = try takePlace()
        do {
            let content = try await open(request.session, in: request.space, hold)
            let recalled = try await recall(for: request)
            var plan = try await prepare { [context] in
                // Laid out here, the first time, and not on the decode thread.
                if request.recall == .journal { _ = try context.spaces.untouched(context.model) }
                return try GenerationPlan(request, content, context.model, recalled: recalled)
            }
            // Last of what can be refused: a request that is has put no document into the journal.
            if request.learn == .space { plan.job = try await context.journal.accept(submission(request)).job }
            return begin(plan, content, queued: began, hold)
        } catch {
            hold.end()
            throw error
        }
    }

    private func begin(
        _ plan: GenerationPlan, _ content: SessionContent, queued: ContinuousClock.Instant, _ hold: RequestHold
    ) -> EventStream<GenerationEvent> {
        let channel = EventChannel<GenerationEvent>(capacity: 32) { [weak scheduler] in scheduler?.wake() }
        let stream = channel.makeStream()
        scheduler.submit(
            DecodeScheduler.Entry(
                make: { [self] () throws(EngineError) in
                    // Pinned now that it starts, to what is newest now.
                    let space =
                        plan.request.recall == .journal
                        ? try context.spaces.untouched(context.model)
                        : try context.spaces.current(plan.request.space)
                    return try GenerationTask(
                        plan, content: content, space: space, model: context.model, channel: channel,
                        totals: context.totals, queued: queued, hold: hold
                    ) { [self] content, summary in
                        saving.update { $0 += 1 }
                        Task { await conclude(plan.request, content, summary, space.generation, channel, hold) }
                    }
                },
                refuse: { error in
                    hold.end()
                    channel.finish(throwing: error)
                }, isWanted: { !channel.isAbandoned }))
        return stream
    }

    /// Persists the session, then delivers the last event: an answer that was seen whole is an answer that is kept.
    private func conclude(
        _ request: GenerationRequest, _ content: SessionContent, _ summary: GenerationSummary, _ generation: Int,
        _ channel: EventChannel<GenerationEvent>, _ hold: RequestHold
    ) async {
        do {
            if let session = request.session { try await save(session, content, generation, for: channel) }
        } catch {
            saving.update { $0 -= 1 }
            hold.end()
            return channel.finish(throwing: error)
        }
        saving.update { $0 -= 1 }
        // Before the last event: who has heard it may go on with the session at once.
        hold.end(request.session == nil ? nil : content)
        try? await channel.send(.finished(summary))
        channel.finish()
    }

    private func save(
        _ session: String, _ content: SessionContent, _ generation: Int, for channel: EventChannel<GenerationEvent>
    ) async throws {
        try await context.database { store in
            let draft = try content.draft(generation: generation)
            _ = try store.transaction { transaction in
                let record = try transaction.saveSession(session, draft)
                // The last moment at which a client that went away has never been here.
                if channel.isAbandoned { throw EngineError.cancelled(reason: "the client went away") }
                return record
            }
        }
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
