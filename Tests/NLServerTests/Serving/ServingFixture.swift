import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// A generation collected to its end.
struct GeneratedAnswer: Equatable {
    var start: GenerationStart
    var pieces: [TokenPiece]
    var summary: GenerationSummary

    var tokens: [Int] { pieces.map(\.id) }
    var text: String { pieces.map(\.text).joined() + summary.text }

    /// All that a client sees, but for how long it took.
    static func == (a: GeneratedAnswer, b: GeneratedAnswer) -> Bool {
        a.pieces == b.pieces && a.text == b.text && a.start.seed == b.start.seed
            && a.start.promptTokens == b.start.promptTokens && a.summary.usage == b.summary.usage
            && a.summary.reason == b.summary.reason && a.summary.fastUpdates == b.summary.fastUpdates
    }
}

extension GenerationRequest {
    /// A request of the tests: seeded, as long as asked.
    static func test(
        _ input: Input, session: String? = nil, learn: LearnMode? = nil, maxTokens: Int = 8, seed: UInt64? = 7,
        change: (inout GenerationRequest) -> Void = { _ in }
    ) -> GenerationRequest {
        var request = GenerationRequest(
            input: input, sampling: SamplingParameters(seed: seed), maxTokens: maxTokens, space: "default",
            session: session, learn: learn ?? (session == nil ? .none : .session), requestID: "test")
        request.ignoresEndOfText = true  // a random model ends where it likes
        change(&request)
        return request
    }
}

extension EventStream<GenerationEvent> {
    /// Everything, in the order that is promised.
    func collect() async throws -> GeneratedAnswer {
        var start: GenerationStart?
        var pieces: [TokenPiece] = []
        var summary: GenerationSummary?
        for try await event in self {
            #expect(summary == nil, "the last event is the last")
            switch event {
            case .started(let value):
                #expect(start == nil && pieces.isEmpty)
                start = value
            case .token(let piece):
                #expect(start != nil)
                pieces.append(piece)
            case .finished(let value): summary = value
            }
        }
        return GeneratedAnswer(start: try #require(start), pieces: pieces, summary: try #require(summary))
    }
}

extension HopeEngine {
    /// Runs a generation to its end.
    @discardableResult
    func answer(_ request: GenerationRequest) async throws -> GeneratedAnswer { try await generate(request).collect() }

    @discardableResult
    func makeSession(_ id: String) async throws -> SessionRecord {
        try await createSession(SessionCreation(id: id, space: "default"))
    }

    func scoring(_ text: String, session: String? = nil) async throws -> ScoreResult {
        try await score(ScoreRequest(input: .text(text), space: "default", session: session))
    }

    /// Every bit of a stored session that its next request continues from.
    func bits(of session: String) throws -> String {
        let stored = try running().context.store.read { try $0.session(session) }
        let blobs = stored.blobs.map { "\($0.name) \($0.shape) \(SHA256Digest(of: $0.bytes).hex)" }
        // When it was updated is no part of what it is.
        let metadata = stored.record.metadata.text.replacing(/"lastFastUpdate":[0-9.e+-]+,?/, with: "")
        return (blobs + [metadata, "\(stored.transcript)"]).joined(separator: "\n")
    }

    func transcript(of session: String) throws -> [UInt32] {
        try running().context.store.read { try $0.session(session) }.transcript
    }

    func fastLevel(of session: String) async throws -> LevelRecord {
        let report = try await levels(space: "default", session: session)
        return try #require(report.levels.first { $0.name == "fast" })
    }

    /// Nobody is served, nobody holds anything.
    func expectIdle(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let running = try running()
        try await eventually(sourceLocation: sourceLocation) {
            let statistics = running.serving.statistics()
            return statistics.running == 0 && statistics.queued == 0 && statistics.sessionsInUse == 0
                && running.context.priority.activeRequests == 0
        }
        // Every place can be taken again.
        let limit = running.context.configuration.maxConcurrent + running.context.configuration.maxQueue
        for _ in 0..<limit { try running.serving.scheduler.reserve() }
        #expect(throws: EngineError.self, sourceLocation: sourceLocation) { try running.serving.scheduler.reserve() }
        for _ in 0..<limit { running.serving.scheduler.release() }
    }
}

/// Seeded token ids without BOS and EOS.
func randomTokens(_ count: Int, seed: UInt64) -> [Int] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { _ in 2 + random.nextIndex(below: TestModel.configuration.vocabularySize - 2) }
}

/// The model on a tape: log-probabilities of each token after the first, `[tokens.count − 1][V]`.
func tapeLogProbabilities(_ tokens: [Int]) throws -> [[Double]] {
    let tape = Tape<Float>()
    let model = HopeModel(TestModel.configuration, TestModel.parameters(), on: tape) { _ in false }
    let logits = model(tokens.map(Int32.init), batch: 1).logits.value
    let width = TestModel.configuration.vocabularySize
    let elements = logits.elements
    return try (0..<tokens.count - 1).map { row in
        try elements[row * width..<(row + 1) * width].withUnsafeBufferPointer { values in
            let logSoftmax = try LogSoftmax(values)
            return values.map { logSoftmax($0) }
        }
    }
}
