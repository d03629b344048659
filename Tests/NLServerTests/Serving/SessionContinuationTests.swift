import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// Would catch: a session that goes on as another than it stopped, in whatever way it was cut or stored.
@Suite(.timeLimit(.minutes(10))) struct SessionContinuationTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    /// What a session is after reading `tokens` in requests of the given lengths, and what it says then.
    private func read(
        _ tokens: [Int], in parts: [Int], as id: String, _ engine: HopeEngine
    ) async throws -> (String, [Int]) {
        try await engine.makeSession(id)
        var start = 0
        for part in parts {
            try await engine.answer(.test(.tokens(Array(tokens[start..<start + part])), session: id, maxTokens: 0))
            start += part
        }
        let bits = try engine.bits(of: id)
        return (bits, try await engine.answer(.test(.tokens([9]), session: id, maxTokens: 12)).tokens)
    }

    /// C_p is 8 here, and BOS comes first: cuts at, before and after ends of windows.
    @Test(arguments: [[7, 28], [8, 27], [6, 29], [15, 20], [1, 1, 1, 32], [7, 8, 8, 12], [35]])
    func aSessionSplitOverRequestsIsOneRequest(parts: [Int]) async throws {
        let tokens = randomTokens(35, seed: 11)
        try await home.run { engine async throws in
            let whole = try await read(tokens, in: [35], as: "whole", engine)
            let split = try await read(tokens, in: parts, as: "split", engine)
            #expect(split.1 == whole.1)
            let fast = (try await engine.fastLevel(of: "whole"), try await engine.fastLevel(of: "split"))
            #expect(fast.0.updates == fast.1.updates && fast.0.updates > 3)
            #expect(fast.0.tokensRead == fast.1.tokensRead)
            guard MatrixProduct.isRowInvariant else { return }
            #expect(split.0 == whole.0, "to the bit")
        }
    }

    @Test(arguments: [19, 23]) func aRestartChangesNothing(prompt: Int) async throws {
        let requests = (0..<4).map { index in
            GenerationRequest.test(
                .tokens(randomTokens(prompt, seed: UInt64(20 + index))), session: "s", maxTokens: 9,
                seed: index == 2 ? 5 : nil)  // a session goes on by itself from a first seed
        }
        let other = try EngineHome()
        let (uninterrupted, bits) = try await other.run { engine async throws in
            try await engine.makeSession("s")
            var answers = [try await engine.answer(.test(.tokens([4]), session: "s", seed: 1))]
            for request in requests { answers.append(try await engine.answer(request)) }
            return (answers, try engine.bits(of: "s"))
        }
        let first: GeneratedAnswer = try await home.run { engine async throws in
            try await engine.makeSession("s")
            return try await engine.answer(.test(.tokens([4]), session: "s", seed: 1))
        }
        var answers = [first]
        for request in requests { answers.append(try await home.run { try await $0.answer(request) }) }
        #expect(answers == uninterrupted)
        #expect(try await home.run { try $0.bits(of: "s") } == bits)
    }

    @Test func aForkGoesItsOwnWay() async throws {
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            try await engine.answer(.test(.tokens(randomTokens(21, seed: 31)), session: "s"))
            let before = try engine.bits(of: "s")
            let fork = try await engine.forkSession("s", as: "f")
            #expect(fork.parent == "s" && fork.tokenCount == 30 && !fork.isInUse)
            try await engine.answer(.test(.tokens(randomTokens(30, seed: 32)), session: "f"))
            #expect(try engine.bits(of: "s") == before)
            let request = GenerationRequest.test(.tokens(randomTokens(10, seed: 33)), maxTokens: 12)
            let again = try await engine.forkSession("s", as: nil)
            var (one, two) = (request, request)
            (one.session, two.session) = ("s", again.id)
            (one.learn, two.learn) = (.session, .session)
            #expect(try await engine.answer(one) == engine.answer(two))
            await #expect(throws: EngineError.self) { try await engine.forkSession("s", as: "f") }
            #expect(await engine.statistics().sessionsStored == 3)
        }
    }

    @Test func aSessionBelongsToOneRequestAtATime() async throws {
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            let stream = try await engine.generate(.test(.text("Once"), session: "s", maxTokens: 2_000))
            var events = stream.makeAsyncIterator()
            _ = try await events.next()
            #expect(try await engine.session("s").isInUse)
            await #expect(throws: EngineError.sessionInUse(id: "s")) {
                try await engine.answer(.test(.text("x"), session: "s"))
            }
            await #expect(throws: EngineError.sessionInUse(id: "s")) { try await engine.scoring("x", session: "s") }
            await #expect(throws: EngineError.sessionInUse(id: "s")) { try await engine.deleteSession("s") }
            await #expect(throws: EngineError.sessionInUse(id: "s")) { try await engine.forkSession("s", as: nil) }
            // Its levels are to be seen all the same.
            #expect(try await engine.fastLevel(of: "s").updates == 0)
            stream.interrupt(throwing: CancellationError())
            try await engine.expectIdle()
            try await engine.answer(.test(.text("x"), session: "s"))
        }
    }

    /// Who has heard that an answer is finished may go on at once.
    @Test func theNextRequestMayFollowAtOnce() async throws {
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            for _ in 0..<20 {
                let request = GenerationRequest.test(.tokens([5]), session: "s", maxTokens: 1)
                var events = try await engine.generate(request).makeAsyncIterator()
                while let event = try await events.next() {
                    if case .finished = event { break }
                }
            }
            #expect(try await engine.session("s").tokenCount == 41)
        }
    }

    @Test func sessionsAreListedLimitedAndDeleted() async throws {
        try await home.run({ $0.maxSessions = 3 }) { engine async throws in
            for id in ["a", "b", "c"] { try await engine.makeSession(id) }
            await #expect(throws: EngineError.overloaded(queue: "sessions", retryAfter: .seconds(60))) {
                try await engine.makeSession("d")
            }
            let page = try await engine.sessions(space: "default", page: PageRequest(limit: 2))
            #expect(page.items.map(\.id) == ["a", "b"] && page.hasMore)
            let rest = try await engine.sessions(space: "default", page: PageRequest(limit: 2, after: "b"))
            #expect(rest.items.map(\.id) == ["c"] && !rest.hasMore)
            await #expect(throws: EngineError.self) {
                try await engine.sessions(space: "default", page: PageRequest(after: "nobody"))
            }
            try await engine.answer(.test(.text("Once"), session: "b"))
            try await engine.deleteSession("b")
            await #expect(throws: EngineError.notFound(.session, id: "b")) { try await engine.session("b") }
            await #expect(throws: EngineError.notFound(.session, id: "b")) {
                try await engine.answer(.test(.text("x"), session: "b"))
            }
            await #expect(throws: EngineError.notFound(.session, id: "b")) { try await engine.deleteSession("b") }
            #expect(await engine.statistics().sessionsStored == 2)
            // The name is free again, for a session that has read nothing.
            #expect(try await engine.makeSession("b").tokenCount == 0)
            let answer = try await engine.answer(.test(.tokens([5]), session: "b", maxTokens: 0))
            #expect(answer.start.promptTokenCount == 2)
            await #expect(throws: EngineError.self) { try await engine.makeSession("a") }
            try await engine.expectIdle()
        }
    }

    @Test func aDamagedSessionIsRefusedAndTheOthersServe() async throws {
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            try await engine.makeSession("t")
            let store = try engine.running().context.store
            try store.transaction { transaction in
                let draft = SessionDraft(generation: nil, state: try ChunkedState([]), transcript: [], metadata: .empty)
                try transaction.saveSession("s", draft)
            }
            let error = await #expect(throws: EngineError.self) {
                try await engine.answer(.test(.text("x"), session: "s"))
            }
            guard case .storage(.damaged, let message) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(message.contains("\"s\""))
            try await engine.answer(.test(.text("x"), session: "t"))
            try await engine.expectIdle()
        }
    }
}
