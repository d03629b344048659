import Foundation
import Synchronization

@testable import NLServer

/// A ``ModelEngine`` with its state in memory and no model: what the protocol tests run against.
///
/// It keeps the contract of ``ModelEngine``, checked by the same HTTP tests that the real engine passes: sessions are
/// checked out, documents are idempotent, streams are bounded and stop when abandoned. A "token" is one byte; it
/// writes the alphabet, or `answer` if given, over and over.
actor InMemoryEngine: ModelEngine {
    struct Behaviour: Sendable {
        var answer = "abcdefghijklmnopqrstuvwxyz"
        var tokenDelay: Duration = .zero
        var learningStepDelay: Duration = .milliseconds(1)
        var startDelay: Duration = .zero
        var startFailure: EngineError?
        /// Throws this in the middle of a generation, after that many tokens.
        var failure: (afterTokens: Int, error: EngineError)?
        var isReadOnly = false
        var maxConcurrent = 8
        var maxSessions = 100
    }

    static let bos = 256

    let behaviour: Behaviour
    private let phase = Mutex(EngineHealth.Phase.starting)
    /// Tokens decoded by all generations since the start.
    let decodedTokens = Atomic<Int>(0)
    let abandonedGenerations = Atomic<Int>(0)

    private var running = 0
    private var documentOrder: [String] = []
    private var documentsByID: [String: DocumentRecord] = [:]
    private var textsByID: [String: String] = [:]
    private var idempotency: [String: String] = [:]
    private var jobOrder: [String] = []
    private var jobsByID: [String: JobRecord] = [:]
    private var followers: [String: [EventChannel<LearningEvent>]] = [:]
    private var sessionOrder: [String] = []
    private var sessionsByID: [String: SessionRecord] = [:]
    private var consolidationRecords: [ConsolidationRecord] = []
    private var generation = 0
    private var counter = 0

    init(_ behaviour: Behaviour = Behaviour()) {
        self.behaviour = behaviour
    }

    // MARK: - Life

    func start() async throws {
        try await Task.sleep(for: behaviour.startDelay)
        if let failure = behaviour.startFailure { throw failure }
        phase.withLock { $0 = .running }
    }

    nonisolated func beginDraining() { phase.withLock { $0 = .draining } }

    func shutdown() async { phase.withLock { $0 = .stopped } }

    nonisolated func health() -> EngineHealth { EngineHealth(phase: phase.withLock { $0 }) }

    func statistics() async -> EngineStatistics {
        var statistics = EngineStatistics()
        statistics.generationsRunning = running
        statistics.sessionsStored = sessionsByID.count
        statistics.documentsStored = documentsByID.count
        statistics.completionTokensTotal = decodedTokens.load(ordering: .relaxed)
        statistics.generation = generation
        statistics.levels = levelRecords()
        return statistics
    }

    private func requireRunning(newWork: Bool = true) throws {
        switch phase.withLock({ $0 }) {
        case .running: return
        case .draining where !newWork: return
        case .draining: throw EngineError.unavailable(reason: "The daemon is shutting down.", retryAfter: .seconds(5))
        case let phase:
            throw EngineError.unavailable(reason: "The engine is \(phase.rawValue).", retryAfter: .seconds(1))
        }
    }

    private func requireWritable(_ action: String) throws {
        if behaviour.isReadOnly { throw EngineError.readOnly(action: action) }
    }

    private func requireSpace(_ space: String) throws {
        if space != "default" { throw EngineError.notFound(.space, id: space) }
    }

    private func newID(_ prefix: String) -> String {
        counter += 1
        return "\(prefix)_\(counter)"
    }

    private func page<Item>(_ items: [Item], _ request: PageRequest, id: (Item) -> String) throws -> Page<Item> {
        var rest = items[...]
        if let after = request.after {
            guard let index = items.firstIndex(where: { id($0) == after }) else {
                throw EngineError.invalid(parameter: "after", message: "'\(after)' is not in this list.")
            }
            rest = items[(index + 1)...]
        }
        return Page(items: Array(rest.prefix(request.limit)), hasMore: rest.count > request.limit)
    }

    // MARK: - Reading

    func models() async throws -> [ModelDescription] {
        try requireRunning(newWork: false)
        return [
            ModelDescription(
                id: "in-memory", created: Date(timeIntervalSince1970: 0),
                fingerprint: String(repeating: "0", count: 64),
                parameterCount: 0, vocabularySize: 257, levelNames: ["working", "fast", "medium", "slow"])
        ]
    }

    func generate(_ request: GenerationRequest) async throws -> EventStream<GenerationEvent> {
        try requireRunning()
        try requireSpace(request.space)
        guard running < behaviour.maxConcurrent else {
            throw EngineError.overloaded(queue: "generation queue", retryAfter: .seconds(2))
        }
        let prompt: [Int]
        switch request.input {
        case .text(let text): prompt = text.utf8.map(Int.init)
        case .tokens(let tokens):
            guard tokens.allSatisfy({ $0 <= Self.bos }) else {
                throw EngineError.invalid(parameter: "prompt", message: "Token ids are below 257.")
            }
            prompt = tokens
        case .messages(let messages): prompt = ChatTemplate.render(messages).utf8.map(Int.init)
        }
        if let id = request.session {
            try requireWritable("read into a session")
            guard let session = sessionsByID[id] else { throw EngineError.notFound(.session, id: id) }
            guard !session.isInUse else { throw EngineError.sessionInUse(id: id) }
            sessionsByID[id]?.isInUse = true
        }
        var job: JobRecord?
        if request.learn == .space {
            job = try await acceptDocument(
                DocumentSubmission(
                    text: String(decoding: prompt.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self),
                    space: request.space)
            ).job
        }
        running += 1
        let channel = EventChannel<GenerationEvent>(capacity: 4)
        let start = GenerationStart(
            generation: generation, seed: request.sampling.seed ?? 7, promptTokenCount: prompt.count,
            promptTokens: request.echo ? prompt.enumerated().map { piece($1, request, isFirst: $0 == 0) } : [], job: job
        )
        Task { await self.decode(request, start, into: channel) }
        return channel.makeStream()
    }

    private func decode(
        _ request: GenerationRequest, _ start: GenerationStart, into channel: EventChannel<GenerationEvent>
    ) async {
        var written = 0
        do {
            try await channel.send(.started(start))
            let answer = Array(behaviour.answer.utf8)
            var text = ""
            var reason = GenerationSummary.Reason.length
            decoding: while written < request.maxTokens {
                if behaviour.tokenDelay > .zero { try await Task.sleep(for: behaviour.tokenDelay) }
                if let failure = behaviour.failure, failure.afterTokens == written { throw failure.error }
                let piece = piece(Int(answer[written % answer.count]), request)
                written += 1
                decodedTokens.add(1, ordering: .relaxed)
                text += piece.text
                if request.stop.contains(where: text.hasSuffix) {
                    reason = .stop
                    break decoding
                }
                try await channel.send(.token(piece))
            }
            release(request, tokens: start.promptTokenCount + written)
            try await channel.send(
                .finished(
                    GenerationSummary(
                        reason: reason,
                        usage: TokenUsage(promptTokens: start.promptTokenCount, completionTokens: written),
                        timings: GenerationTimings())))
            channel.finish()
        } catch is CancellationError {
            abandonedGenerations.add(1, ordering: .relaxed)
            release(request, tokens: 0)
        } catch {
            release(request, tokens: 0)
            channel.finish(throwing: error)
        }
    }

    private func release(_ request: GenerationRequest, tokens: Int) {
        running -= 1
        guard let id = request.session else { return }
        sessionsByID[id]?.isInUse = false
        sessionsByID[id]?.tokenCount += tokens
    }

    private func piece(_ token: Int, _ request: GenerationRequest, isFirst: Bool = false) -> TokenPiece {
        let bytes = token < 256 ? [UInt8(token)] : []
        let hasLogprob = request.topLogprobs != nil && !isFirst
        return TokenPiece(
            id: token, text: String(decoding: bytes, as: UTF8.self), bytes: bytes, logprob: hasLogprob ? -0.5 : nil,
            alternatives: hasLogprob
                ? (0..<(request.topLogprobs ?? 0)).map {
                    TokenAlternative(id: 97 + $0, bytes: [UInt8(97 + $0)], logprob: -0.5 - Double($0))
                } : [])
    }

    func score(_ request: ScoreRequest) async throws -> ScoreResult {
        try requireRunning()
        try requireSpace(request.space)
        if let id = request.session, sessionsByID[id] == nil { throw EngineError.notFound(.session, id: id) }
        let prefix: [Int]
        let scored: [Int]
        switch request.input {
        case .text(let text): (prefix, scored) = ([], text.utf8.map(Int.init))
        case .completion(let text, let prompt): (prefix, scored) = (prompt.utf8.map(Int.init), text.utf8.map(Int.init))
        }
        return ScoreResult(
            tokens: [Self.bos] + prefix + scored,
            logprobs: Array(repeating: nil, count: 1 + prefix.count) + scored.map { _ in -1.0 },
            tokenCount: scored.count, meanLogprob: -1, bitsPerByte: 1 / Double.ln2, generation: generation)
    }

    // MARK: - Learning

    func acceptDocument(_ submission: DocumentSubmission) async throws -> DocumentAcceptance {
        try requireRunning()
        try requireWritable("accept documents")
        try requireSpace(submission.space)
        if let key = submission.idempotencyKey, let id = idempotency[key] {
            guard textsByID[id] == submission.text else {
                throw EngineError.conflict(
                    code: "idempotency_key_reused", message: "The key was used for another text.")
            }
            return try existing(id)
        }
        if let id = submission.id, let text = textsByID[id] {
            guard text == submission.text else {
                throw EngineError.conflict(code: "document_exists", message: "Document '\(id)' has another text.")
            }
            return try existing(id)
        }
        if let id = documentOrder.first(where: { textsByID[$0] == submission.text }) { return try existing(id) }

        let id = submission.id ?? newID("doc")
        let job = JobRecord(
            id: newID("job"), kind: .learn, status: .queued, space: submission.space, documentID: id, progress: 0,
            created: Date())
        let document = DocumentRecord(
            id: id, space: submission.space, title: submission.title, metadata: submission.metadata,
            sha256: String(repeating: "a", count: 64), status: .queued, byteCount: submission.text.utf8.count,
            tokenCount: submission.text.utf8.count, created: Date(), jobID: job.id, losses: .init(), generations: [])
        (textsByID[id], documentsByID[id], jobsByID[job.id]) = (submission.text, document, job)
        documentOrder.append(id)
        jobOrder.append(job.id)
        if let key = submission.idempotencyKey { idempotency[key] = id }
        Task { await self.learn(job.id) }
        return DocumentAcceptance(document: document, job: job, isNew: true)
    }

    private func existing(_ id: String) throws -> DocumentAcceptance {
        let document = try find(documentsByID, id, .document)
        return DocumentAcceptance(document: document, job: try find(jobsByID, document.jobID, .job), isNew: false)
    }

    private func find<Value>(_ table: [String: Value], _ id: String, _ kind: EngineError.Resource) throws -> Value {
        guard let value = table[id] else { throw EngineError.notFound(kind, id: id) }
        return value
    }

    private func learn(_ id: String) async {
        for pass in 1...4 {
            try? await Task.sleep(for: behaviour.learningStepDelay)
            guard var job = jobsByID[id], !job.status.isFinal else { return }
            job.status = .running
            job.started = job.started ?? Date()
            job.progress = Double(pass) / 4
            job.learning = LearningProgress(
                pass: pass, tokens: pass * 10, loss: 4 / Double(pass), progress: job.progress)
            jobsByID[id] = job
            for follower in followers[id] ?? [] { _ = follower.offer(.progress(job.learning!)) }
        }
        guard var job = jobsByID[id], let documentID = job.documentID, !job.status.isFinal else { return }
        generation += 1
        (job.status, job.finished, job.targetReached, job.generation) = (.learned, Date(), true, generation)
        jobsByID[id] = job
        documentsByID[documentID]?.status = .learned
        documentsByID[documentID]?.learned = Date()
        documentsByID[documentID]?.losses = .init(base: 4, learned: 1, now: 1)
        documentsByID[documentID]?.generations = [generation]
        finishFollowers(of: id, with: .learned(job))
    }

    private func finishFollowers(of id: String, with event: LearningEvent) {
        for follower in followers.removeValue(forKey: id) ?? [] {
            _ = follower.offer(event)
            follower.finish()
        }
    }

    func documents(space: String, page request: PageRequest) async throws -> Page<DocumentRecord> {
        try requireSpace(space)
        return try page(documentOrder.compactMap { documentsByID[$0] }, request, id: \.id)
    }

    func document(_ id: String) async throws -> DocumentRecord { try find(documentsByID, id, .document) }

    func follow(job id: String) async throws -> EventStream<LearningEvent> {
        let job = try find(jobsByID, id, .job)
        let channel = EventChannel<LearningEvent>(capacity: 64)
        _ = channel.offer(.accepted(job))
        switch job.status {
        case .learned:
            _ = channel.offer(.learned(job))
            channel.finish()
        case .cancelled:
            _ = channel.offer(.cancelled(job))
            channel.finish()
        case .adopted, .rejected:
            if let record = consolidationRecords.first(where: { $0.jobID == id }) {
                _ = channel.offer(.consolidated(job, record))
            }
            channel.finish()
        default: followers[id, default: []].append(channel)
        }
        return channel.makeStream()
    }

    func jobs(space: String, status: JobRecord.Status?, page request: PageRequest) async throws -> Page<JobRecord> {
        try requireSpace(space)
        let all = jobOrder.reversed().compactMap { jobsByID[$0] }.filter { status == nil || $0.status == status }
        return try page(all, request, id: \.id)
    }

    func job(_ id: String) async throws -> JobRecord { try find(jobsByID, id, .job) }

    func cancelJob(_ id: String) async throws -> JobRecord {
        try requireWritable("cancel a job")
        var job = try find(jobsByID, id, .job)
        guard !job.status.isFinal else {
            throw EngineError.conflict(code: "job_ended", message: "Job '\(id)' has ended as \(job.status.rawValue).")
        }
        (job.status, job.finished) = (.cancelled, Date())
        jobsByID[id] = job
        if let document = job.documentID { documentsByID[document]?.status = .cancelled }
        finishFollowers(of: id, with: .cancelled(job))
        return job
    }

    // MARK: - Memory

    private func levelRecords() -> [LevelRecord] {
        func level(_ name: String, _ owner: LevelRecord.Owner, chunk: Int) -> LevelRecord {
            LevelRecord(
                name: name, kind: name == "working" ? .selfModifyingTitans : .cms, owner: owner, adapts: ["cms"],
                chunkSize: chunk, parameterCount: 10, tokensRead: 100, pendingTokens: 3, updates: generation,
                lastUpdate: nil, deltaNorm: 0.5, relativeDrift: 0.01, lastSurprise: nil, meanSurprise: 2,
                optimizer: name == "working" ? nil : "sgd", learningRate: name == "working" ? nil : 0.1,
                nextDue: "after 13 tokens", byteCount: 40)
        }
        return [
            level("working", .session, chunk: 16), level("fast", .session, chunk: 64),
            level("medium", .space, chunk: 512), level("slow", .space, chunk: 8192),
        ]
    }

    func levels(space: String, session: String?) async throws -> LevelsReport {
        try requireSpace(space)
        if let session { _ = try find(sessionsByID, session, .session) }
        return LevelsReport(
            space: space, session: session, generation: generation, age: .seconds(1), levels: levelRecords())
    }

    func history(level name: String, space: String, page request: PageRequest) async throws -> Page<LevelHistoryEntry> {
        try requireSpace(space)
        guard let level = levelRecords().first(where: { $0.name == name }) else {
            throw EngineError.notFound(.level, id: name)
        }
        guard level.owner == .space else {
            throw EngineError.invalid(parameter: "name", message: "Level '\(name)' belongs to sessions.")
        }
        let entries = (0...generation).reversed().map {
            LevelHistoryEntry(
                generation: $0, created: Date(), updates: $0, tokensRead: 10 * $0, deltaNorm: 0.1, relativeDrift: 0.01,
                byteCount: 40)
        }
        return try page(entries, request) { String($0.generation) }
    }

    func consolidate(space: String) async throws -> JobRecord {
        try requireRunning()
        try requireWritable("consolidate")
        try requireSpace(space)
        guard generation > 0 else {
            throw EngineError.conflict(code: "nothing_to_consolidate", message: "Nothing has been learned yet.")
        }
        let record = ConsolidationRecord(
            id: newID("con"), jobID: newID("job"), space: space, trigger: .manual, started: Date(), finished: Date(),
            verdict: .adopted, reason: "anchors 0.1 % worse, bound is 2 %", anchorLossBefore: 3, anchorLossAfter: 3.003,
            documentLossBefore: 1, documentLossAfter: 0.9, anchorBound: 0.02, documentCount: 1, tokens: 100,
            generationBefore: generation, generationAfter: generation + 1)
        generation += 1
        let job = JobRecord(
            id: record.jobID, kind: .consolidate, status: .adopted, space: space, consolidationID: record.id,
            progress: 1,
            created: Date(), started: Date(), finished: Date(), generation: generation)
        consolidationRecords.insert(record, at: 0)
        jobsByID[job.id] = job
        jobOrder.append(job.id)
        return job
    }

    func consolidations(space: String, page request: PageRequest) async throws -> Page<ConsolidationRecord> {
        try requireSpace(space)
        return try page(consolidationRecords, request, id: \.id)
    }

    func consolidation(_ id: String) async throws -> ConsolidationRecord {
        guard let record = consolidationRecords.first(where: { $0.id == id }) else {
            throw EngineError.notFound(.consolidation, id: id)
        }
        return record
    }

    // MARK: - Sessions

    func createSession(_ creation: SessionCreation) async throws -> SessionRecord {
        try requireRunning()
        try requireWritable("create a session")
        try requireSpace(creation.space)
        return try add(
            SessionRecord(
                id: creation.id ?? newID("ses"), space: creation.space, created: Date(), lastUsed: Date(),
                tokenCount: 0,
                fastUpdates: 0, generation: generation, isInUse: false, byteCount: 0))
    }

    private func add(_ session: SessionRecord) throws -> SessionRecord {
        guard sessionsByID[session.id] == nil else {
            throw EngineError.conflict(code: "session_exists", message: "Session '\(session.id)' exists already.")
        }
        guard sessionsByID.count < behaviour.maxSessions else {
            throw EngineError.overloaded(queue: "session table", retryAfter: .seconds(60))
        }
        sessionsByID[session.id] = session
        sessionOrder.append(session.id)
        return session
    }

    func sessions(space: String, page request: PageRequest) async throws -> Page<SessionRecord> {
        try requireSpace(space)
        return try page(sessionOrder.compactMap { sessionsByID[$0] }, request, id: \.id)
    }

    func session(_ id: String) async throws -> SessionRecord { try find(sessionsByID, id, .session) }

    func forkSession(_ id: String, as newID: String?) async throws -> SessionRecord {
        try requireWritable("fork a session")
        var session = try find(sessionsByID, id, .session)
        guard !session.isInUse else { throw EngineError.sessionInUse(id: id) }
        (session.id, session.parent) = (newID ?? self.newID("ses"), id)
        return try add(session)
    }

    func deleteSession(_ id: String) async throws {
        try requireWritable("delete a session")
        guard try !find(sessionsByID, id, .session).isInUse else { throw EngineError.sessionInUse(id: id) }
        sessionsByID[id] = nil
        sessionOrder.removeAll { $0 == id }
    }
}

extension Double {
    fileprivate static let ln2 = 0.6931471805599453
}
