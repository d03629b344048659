import NLCore
import Testing

@testable import NLServer

/// Would catch: texts that are not the model's, wrong probabilities, ends that are missed or come late.
@Suite(.timeLimit(.minutes(10))) struct GenerationTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    @Test func greedyTextIsTheTapesLikeliest() async throws {
        let prompt = randomTokens(21, seed: 1)
        let answer = try await home.run { engine async throws in
            try await engine.answer(.test(.tokens(prompt), maxTokens: 24) { $0.sampling.temperature = 0 })
        }
        #expect(answer.tokens.count == 24)
        #expect(answer.summary.reason == .length)
        #expect(answer.summary.usage == TokenUsage(promptTokens: 22, completionTokens: 24))
        let rows = try tapeLogProbabilities([0] + prompt + answer.tokens)
        for (index, token) in answer.tokens.enumerated() {
            let row = rows[prompt.count + index]
            #expect(row[token] > (row.max() ?? 0) - 1e-4, "token \(index)")
        }
    }

    @Test func aSeedGivesOneTextAndNoSeedIsTold() async throws {
        try await home.run { engine async throws in
            let request = GenerationRequest.test(.text("The river ran"), maxTokens: 16, seed: 3)
            let first = try await engine.answer(request)
            #expect(try await engine.answer(request) == first)
            #expect(first.start.seed == 3)
            let other = try await engine.answer(.test(.text("The river ran"), maxTokens: 16, seed: 4))
            #expect(other.tokens != first.tokens)
            let drawn = try await engine.answer(.test(.text("The river ran"), maxTokens: 16, seed: nil))
            #expect(drawn.start.seed < 1 << 53)
            let again = try await engine.answer(
                .test(.text("The river ran"), maxTokens: 16, seed: drawn.start.seed))
            #expect(again == drawn)
        }
    }

    @Test(arguments: [0, 3]) func probabilitiesAreThoseOfTheTape(alternatives: Int) async throws {
        let prompt = randomTokens(19, seed: 2)
        let answer = try await home.run { engine async throws in
            try await engine.answer(
                .test(.tokens(prompt), maxTokens: 5) {
                    $0.echo = true
                    $0.topLogprobs = alternatives
                    $0.sampling.temperature = 0.5  // probabilities are those before it
                })
        }
        #expect(answer.start.promptTokens.map(\.id) == prompt, "BOS was not sent, and is not shown")
        let rows = try tapeLogProbabilities([0] + prompt + answer.tokens)
        for (row, piece) in zip(rows, answer.start.promptTokens + answer.pieces) {
            #expect(abs(try #require(piece.logprob) - row[piece.id]) < 1e-4)
            #expect(piece.alternatives.count == alternatives)
            let best = row.sorted(by: >).prefix(alternatives)
            for (alternative, expected) in zip(piece.alternatives, best) {
                #expect(abs(alternative.logprob - expected) < 1e-4)
                #expect(abs(row[alternative.id] - expected) < 1e-4)
            }
        }
    }

    @Test func theEchoSpellsTheInput() async throws {
        let text = "Caf\u{E9} \u{1F680} and the \u{65E5}\u{672C} ships."
        let answers = try await home.run { engine async throws in
            let plain = try await engine.answer(.test(.text(text), maxTokens: 2) { $0.echo = true })
            let sent = try await engine.answer(
                .test(.tokens([0] + randomTokens(5, seed: 3)), maxTokens: 0) {
                    $0.echo = true
                    $0.topLogprobs = 0
                })
            return (plain, sent)
        }
        #expect(answers.0.start.promptTokens.map(\.text).joined() == text)
        #expect(answers.0.start.promptTokens.allSatisfy { $0.logprob == nil }, "none were asked for")
        // A BOS that the caller sent is his: shown, and nothing comes before it.
        #expect(answers.1.start.promptTokens.first?.id == 0)
        #expect(answers.1.start.promptTokens.map { $0.logprob == nil } == [true, false, false, false, false, false])
        #expect(answers.1.start.promptTokenCount == 6)
    }

    @Test func nothingIsWrittenWhereNothingIsAsked() async throws {
        let answer = try await home.run { try await $0.answer(.test(.text("Bread needs flour"), maxTokens: 0)) }
        #expect(answer.pieces.isEmpty && answer.text.isEmpty)
        #expect(answer.summary.reason == .length)
        #expect(answer.summary.usage.completionTokens == 0)
    }

    @Test func aStopStringEndsTheAnswerBeforeIt() async throws {
        try await home.run { engine async throws in
            let whole = try await engine.answer(.test(.text("Once"), maxTokens: 40))
            // Something from the middle of what it says anyway, so it must be met.
            let scalars = whole.text.unicodeScalars
            let stop = String(String.UnicodeScalarView(scalars.dropFirst(scalars.count / 2).prefix(3)))
            let before = try #require(whole.text.firstRange(of: stop)).lowerBound
            let stopped = try await engine.answer(
                .test(.text("Once"), maxTokens: 40) { $0.stop = ["never said", stop] })
            #expect(stopped.text == String(whole.text[..<before]))
            #expect(stopped.summary.reason == .stop)
            #expect(stopped.tokens == Array(whole.tokens.prefix(stopped.tokens.count)))
            #expect(stopped.summary.usage.completionTokens == stopped.tokens.count)
        }
    }

    @Test func endOfTextEndsUnlessIgnored() async throws {
        try await home.run { engine async throws in
            var request = GenerationRequest.test(.tokens([5]), maxTokens: 60)
            request.sampling.temperature = 2
            request.ignoresEndOfText = true
            var seed: UInt64 = 0
            var ignoring = try await engine.answer(request)
            // Seeds until EOS is drawn: about one in 458 tokens is.
            while !ignoring.tokens.dropLast().contains(1) && seed < 500 {
                seed += 1
                request.sampling.seed = seed
                ignoring = try await engine.answer(request)
            }
            request.ignoresEndOfText = false
            let ended = try await engine.answer(request)
            let end = try #require(ignoring.tokens.firstIndex(of: 1))
            #expect(ended.tokens == Array(ignoring.tokens[...end]))
            #expect(ended.summary.reason == .stop)
            #expect(ended.pieces.last?.text == "" && ended.pieces.last?.bytes == [])
            #expect(ended.summary.usage.completionTokens == end + 1)
        }
    }

    @Test func whatIsWrongIsRefusedBeforeAnything() async throws {
        try await home.run { engine async throws in
            await #expect(throws: EngineError.notFound(.space, id: "nowhere")) {
                try await engine.answer(.test(.text("x")) { $0.space = "nowhere" })
            }
            await #expect(throws: EngineError.notFound(.session, id: "nobody")) {
                try await engine.answer(.test(.text("x"), session: "nobody"))
            }
            for id in [-1, 458] {
                let error = await #expect(throws: EngineError.self) {
                    try await engine.answer(.test(.tokens([5, id])))
                }
                guard case .invalid(parameter: "prompt", _) = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
            }
            let error = await #expect(throws: EngineError.self) {
                try await engine.answer(.test(.text("x")) { $0.sampling.topP = 0 })
            }
            guard case .invalid(parameter: "top_p", _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try await engine.expectIdle()
        }
    }

    @Test func readOnlyServesButKeepsNothing() async throws {
        _ = try await home.run { try await $0.makeSession("s") }
        try await home.run({ $0.isReadOnly = true }) { engine async throws in
            #expect(try await engine.answer(.test(.text("Once"))).tokens.count == 8)
            await #expect(throws: EngineError.readOnly(action: "continue a session")) {
                try await engine.answer(.test(.text("Once"), session: "s"))
            }
            await #expect(throws: EngineError.readOnly(action: "learn into the space")) {
                try await engine.answer(.test(.text("Once"), learn: .space))
            }
            await #expect(throws: EngineError.readOnly(action: "create a session")) {
                try await engine.makeSession("t")
            }
            await #expect(throws: EngineError.readOnly(action: "fork a session")) {
                try await engine.forkSession("s", as: nil)
            }
            await #expect(throws: EngineError.readOnly(action: "delete a session")) {
                try await engine.deleteSession("s")
            }
            try await engine.expectIdle()
        }
    }

    @Test func learningIntoTheSpaceIsAJob() async throws {
        try await home.run { engine async throws in
            let answer = try await engine.answer(.test(.text(Facts.all[0]), learn: .space))
            let job = try await engine.end(of: try #require(answer.start.job))
            #expect(job.status == .learned)
            #expect(try await engine.documents(space: "default", page: PageRequest()).items.count == 1)
        }
    }
}
