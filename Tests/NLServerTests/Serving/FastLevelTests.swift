import NLCore
import Testing

@testable import NLServer

/// Would catch: a fast level that learns from what the model wrote, or where it should not, or not where it should.
@Suite(.timeLimit(.minutes(10))) struct FastLevelTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    @Test func itLearnsFromTheCallersTokensAlone() async throws {
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            // BOS and 16 tokens: two windows of 8, the losses of 16 targets.
            let answer = try await engine.answer(
                .test(.tokens(randomTokens(16, seed: 41)), session: "s", maxTokens: 0))
            #expect(answer.summary.fastUpdates == 2)
            var fast = try await engine.fastLevel(of: "s")
            #expect(fast.tokensRead == 16 && fast.updates == 2 && fast.pendingTokens == 0)
            #expect(fast.deltaNorm > 0 && fast.lastUpdate != nil && fast.meanSurprise != nil)
            let norm = fast.deltaNorm
            // 40 tokens of its own: five windows, in which nothing was sent.
            let written = try await engine.answer(.test(.tokens([5]), session: "s", maxTokens: 40))
            #expect(written.summary.fastUpdates == 0)
            fast = try await engine.fastLevel(of: "s")
            // The loss of the one token sent is learned from, when its window is complete.
            #expect(fast.tokensRead == 17 && fast.updates == 2 && fast.pendingTokens == 1)
            #expect(fast.deltaNorm == norm)
        }
    }

    @Test func theOtherLevelsOfTheSpaceStand() async throws {
        try await home.run { engine async throws in
            let before = try engine.bits
            try await engine.makeSession("s")
            try await engine.answer(.test(.tokens(randomTokens(60, seed: 42)), session: "s"))
            #expect(try engine.bits == before)
            #expect(try engine.space.generation == 0)
        }
    }

    /// The gradient is that of the tape, and one step of the optimizer is what it is.
    @Test func aWindowIsWhatTheTapeLearns() async throws {
        let tokens = randomTokens(8, seed: 43)
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            try await engine.answer(.test(.tokens(tokens), session: "s", maxTokens: 0))
            let content = try #require(try engine.running().serving.registry.peek("s"))
            let model = try engine.running().context.model
            let reading = try LearningWindow(model.configuration).read(
                ([0] + tokens.dropLast()).map(Int32.init), targets: tokens.map(Int32.init), states: nil,
                parameters: model.base, trained: Set(model.levels[0].tensors.map(\.name)))
            var level = NLCore.LevelState(model.levels[0])
            #expect(try level.gather(try #require(reading.gradients), tokenCount: 8))
            #expect(content.fast.delta.names == level.delta.names)
            for name in level.delta.names {
                #expect(content.fast.delta[name]?.elements == level.delta[name]?.elements, "\(name)")
            }
            #expect(content.fast.counters.surpriseSum == reading.losses.reduce(0.0) { $0 + Double($1) })
        }
    }

    @Test func whatIsReadIsReadWithWhatWasLearned() async throws {
        let tokens = randomTokens(24, seed: 44)
        try await home.run { engine async throws in
            for id in ["learning", "frozen"] { try await engine.makeSession(id) }
            func read(_ id: String, _ mode: LearnMode) async throws -> [TokenPiece] {
                try await engine.answer(
                    .test(.tokens(tokens), session: id, learn: mode, maxTokens: 0) {
                        $0.echo = true
                        $0.topLogprobs = 0
                    }
                ).start.promptTokens
            }
            let learning = try await read("learning", .session).map { $0.logprob }
            let frozen = try await read("frozen", .none).map { $0.logprob }
            // Log-probabilities are those before an update: the first window's, and the one after it, are the base's.
            #expect(learning[..<8] == frozen[..<8])
            #expect(learning[8] != frozen[8])
        }
    }

    @Test func learnNoneLeavesItAndLosesNothing() async throws {
        let tokens = randomTokens(40, seed: 45)
        try await home.run { engine async throws in
            for id in ["s", "t"] { try await engine.makeSession(id) }
            func read(_ range: Range<Int>, _ id: String, _ mode: LearnMode) async throws -> LevelRecord {
                try await engine.answer(
                    .test(.tokens(Array(tokens[range])), session: id, learn: mode, maxTokens: 0))
                return try await engine.fastLevel(of: id)
            }
            // "s": 12 tokens that are learned from leave a window open, which `.none` completes and goes beyond.
            let learned = try await read(0..<11, "s", .session)
            #expect(learned.tokensRead == 8 && learned.updates == 1)
            let left = try await read(11..<30, "s", .none)
            #expect((left.tokensRead, left.updates, left.pendingTokens) == (8, 1, 0))
            #expect(left.deltaNorm == learned.deltaNorm)
            // The three losses that were still open count when the session learns again.
            let again = try await read(30..<31, "s", .session)
            #expect(again.tokensRead == 11 && again.pendingTokens == 3)
            // "t": the window is complete when `.none` comes; the token after it is not learned from.
            #expect(try await read(0..<7, "t", .session).tokensRead == 0)
            #expect(try await read(7..<20, "t", .none).tokensRead == 0)
            #expect(try await read(20..<21, "t", .session).tokensRead == 7)
        }
    }

    @Test func aWindowThatWaitsSurvivesARestart() async throws {
        let tokens = randomTokens(16, seed: 46)
        try await home.run { engine async throws in
            for id in ["whole", "cut"] { try await engine.makeSession(id) }
            try await engine.answer(.test(.tokens(tokens), session: "whole", maxTokens: 0))
            try await engine.answer(.test(.tokens(Array(tokens[..<7])), session: "cut", maxTokens: 0))
        }
        try await home.run { engine async throws in
            try await engine.answer(.test(.tokens(Array(tokens[7...])), session: "cut", maxTokens: 0))
            #expect(try await engine.fastLevel(of: "cut").tokensRead == 16)
            guard MatrixProduct.isRowInvariant else { return }
            #expect(try engine.bits(of: "cut") == engine.bits(of: "whole"))
        }
    }
}
