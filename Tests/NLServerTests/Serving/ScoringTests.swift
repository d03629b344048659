import Foundation
import NLCore
import Testing

@testable import NLServer

/// Would catch: scores that are not the model's, that move something, or that depend on who else is served.
@Suite(.timeLimit(.minutes(10))) struct ScoringTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    @Test func scoresAreThoseOfTheTape() async throws {
        let text = "The river ran past the old mill."
        let result = try await home.run { try await $0.scoring(text) }
        #expect(result.tokens.first == 0 && result.logprobs.first == .some(nil))
        let rows = try tapeLogProbabilities(result.tokens)
        var sum = 0.0
        for (index, row) in rows.enumerated() {
            let logprob = try #require(result.logprobs[index + 1])
            #expect(abs(logprob - row[result.tokens[index + 1]]) < 1e-4)
            sum += logprob
        }
        #expect(result.tokenCount == rows.count)
        #expect(abs(result.meanLogprob - sum / Double(rows.count)) < 1e-12)
        #expect(abs(result.bitsPerByte + sum / log(2) / Double(text.utf8.count)) < 1e-12)
    }

    @Test func onlyTheCompletionIsScoredAfterItsPrompt() async throws {
        try await home.run { engine async throws in
            let result = try await engine.score(
                ScoreRequest(input: .completion(" of Oskel", after: "born in the city"), space: "default"))
            let scored = result.logprobs.compactMap(\.self)
            let last = result.logprobs.suffix(result.tokenCount)
            #expect(last.allSatisfy { $0 != nil } && scored.count == result.tokenCount)
            let rows = try tapeLogProbabilities(result.tokens)
            for (index, logprob) in scored.enumerated() {
                let at = rows.count - scored.count + index
                #expect(abs(logprob - rows[at][result.tokens[at + 1]]) < 1e-4)
            }
            for input in [ScoreRequest.Input.text(""), .completion("", after: "x")] {
                await #expect(throws: EngineError.self) {
                    try await engine.score(ScoreRequest(input: input, space: "default"))
                }
            }
            try await engine.expectIdle()
        }
    }

    @Test func scoringMovesNothingAndRepeatsToTheBit() async throws {
        let text = String(repeating: "The committee met on Tuesday and agreed to meet again. ", count: 12)
        try await home.run { engine async throws in
            try await engine.makeSession("s")
            try await engine.answer(.test(.tokens(randomTokens(30, seed: 51)), session: "s"))
            let (session, space) = (try engine.bits(of: "s"), try engine.bits)
            let alone = try await engine.scoring(text, session: "s")
            #expect(alone.tokenCount == alone.tokens.count, "no BOS after what was read, and it predicts the first")
            #expect(alone.tokens.count > 256, "more than a segment")
            // Again, with others beside it.
            async let busy: GeneratedAnswer = engine.answer(.test(.tokens(randomTokens(300, seed: 52)), maxTokens: 60))
            async let other = engine.scoring(text)
            let again = try await engine.scoring(text, session: "s")
            let fresh = try await other
            _ = try await busy
            if MatrixProduct.isRowInvariant { #expect(again.logprobs == alone.logprobs) }
            #expect(fresh.logprobs[1...] != alone.logprobs[1...], "it is another reader's score")
            #expect(try engine.bits(of: "s") == session)
            #expect(try engine.bits == space)
            try await engine.expectIdle()
        }
    }

    @Test func aSessionScoresWithWhatItLearned() async throws {
        let tokens = randomTokens(64, seed: 53)
        try await home.run { engine async throws in
            for id in ["learning", "frozen"] { try await engine.makeSession(id) }
            try await engine.answer(.test(.tokens(tokens), session: "learning", maxTokens: 0))
            try await engine.answer(.test(.tokens(tokens), session: "frozen", learn: LearnMode.none, maxTokens: 0))
            let scores = (
                try await engine.scoring("The river", session: "learning"),
                try await engine.scoring("The river", session: "frozen")
            )
            #expect(scores.0.logprobs != scores.1.logprobs)
        }
    }

    @Test func aScoreThatNobodyWaitsForEnds() async throws {
        let text = String(repeating: "and so on ", count: 200_000)
        try await home.run { engine async throws in
            let task = Task { try await engine.scoring(text) }
            try await eventually { await engine.statistics().generationsRunning == 1 }
            task.cancel()
            await #expect(throws: EngineError.self) { try await task.value }
            try await engine.expectIdle()
        }
    }
}
