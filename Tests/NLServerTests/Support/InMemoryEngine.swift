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
        var maxSpaces = 8
    }

    static let bos = 256

    let behaviour: Behaviour
    let phase = Mutex(EngineHealth.Phase.starting)
    /// Tokens decoded by all generations since the start.
    let decodedTokens = Atomic<Int>(0)
    let abandonedGenerations = Atomic<Int>(0)

    var running = 0
    var documentOrder: [String] = []
    var documentsByID: [String: DocumentRecord] = [:]
    var textsByID: [String: String] = [:]
    var idempotency: [String: String] = [:]
    var jobOrder: [String] = []
    var jobsByID: [String: JobRecord] = [:]
    var followers: [String: [EventChannel<LearningEvent>]] = [:]
    var sessionOrder: [String] = []
    var sessionsByID: [String: SessionRecord] = [:]
    var consolidationRecords: [ConsolidationRecord] = []
    var receipts: [String: ForgetReceipt] = [:]
    var spacesByID = ["default": InMemorySpace(id: "default")]
    var snapshotsByID: [String: [InMemorySnapshot]] = [:]
    var counter = 0

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
        statistics.spacesStored = spacesByID.count
        statistics.generation = generation(of: "default")
        statistics.levels = levelRecords(of: "default")
        return statistics
    }

    func requireRunning(newWork: Bool = true) throws {
        switch phase.withLock({ $0 }) {
        case .running: return
        case .draining where !newWork: return
        case .draining: throw EngineError.unavailable(reason: "The daemon is shutting down.", retryAfter: .seconds(5))
        case let phase:
            throw EngineError.unavailable(reason: "The engine is \(phase.rawValue).", retryAfter: .seconds(1))
        }
    }

    func requireWritable(_ action: String) throws {
        if behaviour.isReadOnly { throw EngineError.readOnly(action: action) }
    }

    func requireSpace(_ space: String) throws {
        if spacesByID[space] == nil { throw EngineError.notFound(.space, id: space) }
    }

    func generation(of space: String) -> Int { spacesByID[space]?.generation ?? 0 }

    /// Ids of documents are a space's own.
    func key(_ space: String, _ id: String) -> String { "\(space)/\(id)" }

    func newID(_ prefix: String) -> String {
        counter += 1
        return "\(prefix)_\(counter)"
    }

    func page<Item>(_ items: [Item], _ request: PageRequest, id: (Item) -> String) throws -> Page<Item> {
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
            guard session.space == request.space else {
                throw EngineError.conflict(
                    code: "session_of_another_space", message: "Session '\(id)' belongs to '\(session.space)'.")
            }
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
        let recalled = request.recall == .weights ? nil : recalled(near: prompt, in: request.space)
        running += 1
        let channel = EventChannel<GenerationEvent>(capacity: 4)
        let start = GenerationStart(
            generation: generation(of: request.space), seed: request.sampling.seed ?? 7, promptTokenCount: prompt.count,
            promptTokens: request.echo ? prompt.enumerated().map { piece($1, request, isFirst: $0 == 0) } : [],
            job: job, recalled: recalled)
        Task { await self.decode(request, start, into: channel) }
        return channel.makeStream()
    }

    func decode(
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

    func release(_ request: GenerationRequest, tokens: Int) {
        running -= 1
        guard let id = request.session else { return }
        sessionsByID[id]?.isInUse = false
        sessionsByID[id]?.tokenCount += tokens
    }

    func piece(_ token: Int, _ request: GenerationRequest, isFirst: Bool = false) -> TokenPiece {
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
        if let id = request.session { try requireSession(id, in: request.space) }
        let prefix: [Int]
        let scored: [Int]
        switch request.input {
        case .text(let text): (prefix, scored) = ([], text.utf8.map(Int.init))
        case .completion(let text, let prompt): (prefix, scored) = (prompt.utf8.map(Int.init), text.utf8.map(Int.init))
        }
        return ScoreResult(
            tokens: [Self.bos] + prefix + scored,
            logprobs: Array(repeating: nil, count: 1 + prefix.count) + scored.map { _ in -1.0 },
            tokenCount: scored.count, meanLogprob: -1, bitsPerByte: 1 / Double.ln2,
            generation: generation(of: request.space))
    }

    func requireSession(_ id: String, in space: String) throws {
        guard let session = sessionsByID[id] else { throw EngineError.notFound(.session, id: id) }
        guard session.space == space else {
            throw EngineError.conflict(
                code: "session_of_another_space", message: "Session '\(id)' belongs to '\(session.space)'.")
        }
    }
}

extension Double {
    fileprivate static let ln2 = 0.6931471805599453
}
