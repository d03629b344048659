import Foundation
import NLCore
import Testing

@testable import NLServer

/// Would catch: half a request in a session after the process was killed, and a continuation that is another.
@Suite(.timeLimit(.minutes(10))) struct InterruptedRequestTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    private static let first = GenerationRequest.test(.tokens(randomTokens(21, seed: 81)), session: "s", seed: 1)
    /// Longer than its buffer: it can't end before it has been read so far.
    private static let second = GenerationRequest.test(
        .tokens(randomTokens(44, seed: 82)), session: "s", maxTokens: 100)

    /// Runs until `count` events of the second request have come, then dies.
    private static func dieAfter(_ count: Int, in path: String) async throws {
        let engine = try EngineHome(path).engine()
        try await engine.start()
        try await engine.makeSession("s")
        try await engine.answer(first)
        try Data(engine.bits(of: "s").utf8).write(to: URL(fileURLWithPath: path + "/acknowledged"))
        var events = try await engine.generate(second).makeAsyncIterator()
        for _ in 0..<count { _ = try await events.next() }
        kill(getpid(), SIGKILL)
    }

    @Test(arguments: [0, 1, 10, 30]) func aRequestKilledHalfWayNeverHappened(events: Int) async throws {
        let path = home.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, events = events as Int] in
            try await Self.dieAfter(events, in: path)
        }
        let acknowledged = try String(contentsOfFile: path + "/acknowledged", encoding: .utf8)
        let uninterrupted = try await EngineHome().run { engine async throws in
            try await engine.makeSession("s")
            try await engine.answer(Self.first)
            return try await engine.answer(Self.second)
        }
        try await home.run { engine async throws in
            #expect(try engine.bits(of: "s") == acknowledged)
            #expect(try await engine.answer(Self.second) == uninterrupted)
        }
    }

    @Test func anAnswerThatWasSeenWholeIsKept() async throws {
        let path = home.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            // 1 start, 100 tokens, 1 end.
            try await Self.dieAfter(102, in: path)
        }
        try await home.run { engine async throws in
            #expect(try await engine.session("s").tokenCount == 30 + 144)
        }
    }
}
