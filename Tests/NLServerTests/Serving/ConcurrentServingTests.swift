import Dispatch
import NLCore
import Testing

@testable import NLServer
@testable import Store

/// Would catch: requests that change, stall or outlive one another, and sessions moved by answers that nobody got.
@Suite(.timeLimit(.minutes(10))) struct ConcurrentServingTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    private func request(_ index: Int, tokens: Int = 30) -> GenerationRequest {
        .test(.tokens(randomTokens(10 + 37 * index, seed: UInt64(60 + index))), maxTokens: tokens, seed: UInt64(index))
    }

    @Test func aTextDoesNotDependOnWhoElseIsServed() async throws {
        try await home.run({ $0.maxConcurrent = 4 }) { engine async throws in
            var alone: [GeneratedAnswer] = []
            for index in 0..<6 { alone.append(try await engine.answer(request(index))) }
            let together = try await withThrowingTaskGroup(of: (Int, GeneratedAnswer).self) { group in
                for index in 0..<6 { group.addTask { (index, try await engine.answer(request(index))) } }
                return try await group.reduce(into: [Int: GeneratedAnswer]()) { $0[$1.0] = $1.1 }
            }
            for (index, answer) in alone.enumerated() {
                #expect(together[index]?.tokens == answer.tokens)
                // To the bit, probabilities and all, where products treat each row alike.
                if MatrixProduct.isRowInvariant { #expect(together[index] == answer) }
            }
            try await engine.expectIdle()
        }
    }

    @Test func sessionsThatLearnBesideOneAnotherLearnTheSame() async throws {
        try await home.run { engine async throws in
            for id in ["a", "b", "c"] { try await engine.makeSession(id) }
            let tokens = randomTokens(100, seed: 70)
            try await engine.answer(.test(.tokens(tokens), session: "a"))
            async let b = engine.answer(.test(.tokens(tokens), session: "b"))
            async let c = engine.answer(.test(.tokens(tokens), session: "c"))
            _ = try await (b, c)
            guard MatrixProduct.isRowInvariant else { return }
            #expect(try engine.bits(of: "b") == engine.bits(of: "a"))
            #expect(try engine.bits(of: "c") == engine.bits(of: "a"))
        }
    }

    @Test func aSlowConsumerStallsNobody() async throws {
        try await home.run({ $0.maxConcurrent = 1 }) { engine async throws in
            // Nobody takes this one's events: its buffer fills, and it waits aside.
            let slow = try await engine.generate(request(0, tokens: 500))
            try await engine.waitUntilAside(after: 0)
            for index in 1..<4 { #expect(try await engine.answer(request(index)).tokens.count == 30) }
            try await eventually { await engine.statistics().generationsRunning == 1 }
            // It goes on when it is read, and ends as if it had never waited.
            let late = try await slow.collect()
            #expect(late == (try await engine.answer(request(0, tokens: 500))))
            try await engine.expectIdle()
        }
    }

    @Test func aClientThatGoesAwayWasNeverThere() async throws {
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            try await engine.answer(.test(.tokens(randomTokens(21, seed: 71)), session: "s"))
            let before = try engine.bits(of: "s")
            let request = GenerationRequest.test(.tokens(randomTokens(40, seed: 72)), session: "s", maxTokens: 400)
            // By cancelling the task that reads.
            let task = Task {
                for try await event in try await engine.generate(request) {
                    if case .token = event { withUnsafeCurrentTask { $0?.cancel() } }
                }
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            try await engine.expectIdle()
            #expect(try engine.bits(of: "s") == before)
            // By letting go of the stream: at once, when it has read, after some tokens.
            for count in 0..<4 {
                var events: EventStream<GenerationEvent>.Iterator?
                events = try await engine.generate(request).makeAsyncIterator()
                for _ in 0..<count { _ = try await events?.next() }
                events = nil
                try await engine.expectIdle()
            }
            #expect(try engine.bits(of: "s") == before)
            #expect(try engine.transcript(of: "s").count == 30)
        }
    }

    @Test func aFullQueueSaysSoAndMakesRoomAgain() async throws {
        try await home.run({ ($0.maxConcurrent, $0.maxQueue) = (1, 2) }) { engine async throws in
            var streams: [EventStream<GenerationEvent>] = []
            for index in 0..<3 { streams.append(try await engine.generate(request(index, tokens: 400))) }
            try await engine.makeSession("s")
            for refused in [request(3), .test(.text("x"), session: "s"), .test(.text("x"), learn: .space)] {
                await #expect(throws: EngineError.overloaded(queue: "generation", retryAfter: .seconds(1))) {
                    try await engine.generate(refused)
                }
            }
            await #expect(throws: EngineError.overloaded(queue: "generation", retryAfter: .seconds(1))) {
                try await engine.scoring("x")
            }
            #expect(try await engine.documents(space: "default", page: PageRequest()).items.isEmpty, "refused whole")
            #expect(try await !engine.session("s").isInUse)
            // One that waits and is given up makes room without having run.
            streams.removeLast()
            try await eventually { (try? await engine.answer(.test(.text("x"), session: "s", maxTokens: 0))) != nil }
            streams = []
            try await engine.expectIdle()
        }
    }

    @Test func shutdownCutsWhatRunsAndKeepsWhatEnded() async throws {
        let kept = try await home.run { engine async throws in
            try await engine.makeSession("s")
            try await engine.makeSession("t")
            try await engine.answer(.test(.tokens(randomTokens(21, seed: 73)), session: "t"))
            let stream = try await engine.generate(.test(.text("Once"), session: "s", maxTokens: 5_000))
            let unread = try await engine.generate(.test(.text("Once"), maxTokens: 5_000))
            let cut = Task {
                var events = 0
                for try await _ in stream { events += 1 }
                return events
            }
            try await eventually { await engine.statistics().completionTokensTotal > 100 }
            let kept = try engine.bits(of: "t")
            engine.beginDraining()
            await #expect(throws: EngineError.self) { try await engine.generate(request(0)) }
            await #expect(throws: EngineError.self) { try await engine.scoring("x") }
            await engine.shutdown()
            await #expect(throws: EngineError.shuttingDown) { try await cut.value }
            await #expect(throws: EngineError.shuttingDown) { _ = try await unread.collect() }
            return kept
        }
        try await home.run { engine async throws in
            #expect(try await engine.session("s").tokenCount == 0)
            #expect(try engine.bits(of: "t") == kept)
        }
    }

    @Test func anAnswerThatCannotBeKeptIsAnError() async throws {
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            try await engine.answer(.test(.tokens([5, 6]), session: "s", maxTokens: 1))
            let prompt = randomTokens(40, seed: 74)
            let before = try engine.bits(of: "s")
            let store = try engine.running().context.store
            try store.limitPages(extra: 0)
            var tokens = 0
            let error = await #expect(throws: EngineError.self) {
                // Its first window makes the fast level's moments, for which there is no room.
                for try await event in try await engine.generate(.test(.tokens(prompt), session: "s")) {
                    switch event {
                    case .started: continue
                    case .token: tokens += 1
                    case .finished: Issue.record("it was not kept")
                    }
                }
            }
            guard case .storage(.diskFull, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(tokens == 8)
            #expect(try engine.bits(of: "s") == before)
            try await engine.expectIdle()
            try store.limitPages(extra: nil)
            #expect(try await engine.answer(.test(.tokens(prompt), session: "s")).summary.fastUpdates > 0)
        }
    }

    /// The last moment: all is written, and the database has not come to it yet.
    @Test func aClientThatLeavesBeforeTheEndWasNeverThere() async throws {
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            let before = try engine.bits(of: "s")
            let context = try engine.running().context
            let gate = DispatchSemaphore(value: 0)
            var events: EventStream<GenerationEvent>.Iterator? =
                try await engine.generate(.test(.text("Once"), session: "s", maxTokens: 40)).makeAsyncIterator()
            // It is aside, with its buffer full, when the gate before the database is shut.
            try await engine.waitUntilAside(after: 0)
            let shut = Task { try await context.database { _ in gate.wait() } }
            for _ in 0..<41 { _ = try await events?.next() }
            try await eventually { await engine.statistics().generationsRunning == 0 }
            events = nil
            gate.signal()
            try await shut.value
            try await engine.expectIdle()
            #expect(try engine.bits(of: "s") == before)
        }
    }

    @Test func shutdownWaitsForWhatIsBeingKept() async throws {
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            let context = try engine.running().context
            let gate = DispatchSemaphore(value: 0)
            let stream = try await engine.generate(.test(.text("Once"), session: "s", maxTokens: 40))
            try await engine.waitUntilAside(after: 0)
            let shut = Task { try await context.database { _ in gate.wait() } }
            let answer = Task { try await stream.collect() }
            try await eventually { await engine.statistics().generationsRunning == 0 }
            let shutdown = Task { await engine.shutdown() }
            try await Task.sleep(for: .milliseconds(50))
            gate.signal()
            try await shut.value
            await shutdown.value
            #expect(try await answer.value.tokens.count == 40)
        }
        try await home.run { engine async throws in #expect(try await engine.session("s").tokenCount > 40) }
    }

    /// A request keeps the generation it began with, beside one that reads the next.
    @Test func aRequestIsPinnedToItsGeneration() async throws {
        try await home.run { engine async throws in
            let alone = try await engine.answer(request(1, tokens: 500))
            let stream = try await engine.generate(request(1, tokens: 500))
            try await engine.waitUntilAside(after: 500)
            try await engine.learn(Facts.all[0])
            let newer = try await engine.answer(request(1, tokens: 500))
            #expect(newer.start.generation > 0)
            #expect(newer.tokens != alone.tokens)
            let pinned = try await stream.collect()
            #expect(pinned.start.generation == 0)
            #expect(pinned == alone)
        }
    }
}

extension HopeEngine {
    /// Waits until a generation of which nobody takes anything waits aside: its buffer holds 32 events, the start and 31
    /// tokens.
    ///
    /// - Parameter tokens: written before it, by all.
    func waitUntilAside(after tokens: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await eventually(sourceLocation: sourceLocation) { await statistics().completionTokensTotal == tokens + 31 }
        try await Task.sleep(for: .milliseconds(50))
        #expect(await statistics().completionTokensTotal == tokens + 31, sourceLocation: sourceLocation)
    }
}
