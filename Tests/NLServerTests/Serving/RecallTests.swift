import NLCore
import Testing

@testable import NLServer

/// Catches recall that reads the wrong passages, more than it may, with the wrong levels, or leaves anything behind.
@Suite(.timeLimit(.minutes(10))) struct RecallTests {
    private static func request(
        _ input: GenerationRequest.Input, _ recall: RecallMode, budget: Int? = nil, echo: Bool = false
    ) -> GenerationRequest {
        .test(input, maxTokens: 6) {
            ($0.recall, $0.recallBudget, $0.echo) = (recall, budget, echo)
            $0.sampling.temperature = 0
        }
    }

    /// What reading the passage in the prompt gives: recall must give the same.
    private static func spelled(_ passage: String, _ prompt: String) -> GenerationRequest {
        request(.text(passage + "\n\n" + prompt), .weights)
    }

    @Test func thePassageIsReadBeforeThePromptByTheLevelsAskedFor() async throws {
        let home = try EngineHome()
        try await home.run { engine in
            let prompt = "The lord of Valmere was born in"
            let untouched = try await engine.answer(Self.spelled(Facts.all[0], prompt))
            try await engine.learn(Facts.all[0], id: "valmere")
            try await engine.learn("Bread needs flour, water, salt and time.", id: "bread")
            let learned = try await engine.answer(Self.spelled(Facts.all[0], prompt))
            let alone = try await engine.answer(Self.request(.text(prompt), .weights))
            // The second document shares no word with the prompt.
            let both = try await engine.answer(Self.request(.text(prompt), .both))
            let journal = try await engine.answer(Self.request(.text(prompt), .journal))
            #expect(both.start.recalled == [RecalledDocument(id: "valmere", score: 1)])
            #expect(journal.start.recalled == both.start.recalled)
            #expect(alone.start.recalled == nil)
            #expect(both.tokens == learned.tokens)
            #expect(journal.tokens == untouched.tokens)
            #expect(journal.start.generation == 0)
            #expect(both.start.generation == 2)
            #expect(both.start.promptTokenCount > alone.start.promptTokenCount)
            #expect(try await engine.answer(Self.request(.text(prompt), .weights)) == alone)
        }
    }

    @Test func theBudgetHoldsAndTheNearestIsCutToIt() async throws {
        let home = try EngineHome()
        try await home.run { engine in
            for (index, fact) in Facts.all.enumerated() { try await engine.accept(fact, id: "fact-\(index)") }
            let prompt = "The lord of Valmere was born in"
            let alone = try await engine.answer(Self.request(.text(prompt), .weights)).start.promptTokenCount
            let cut = try await engine.answer(Self.request(.text(prompt), .both, budget: 5)).start
            #expect(cut.promptTokenCount == alone + 5)
            #expect(cut.recalled?.map(\.id) == ["fact-0"])
            let all = try await engine.answer(Self.request(.text(prompt), .both, budget: 4_000)).start
            #expect(all.recalled?.count == Facts.all.count)
            #expect(all.recalled?.first?.id == "fact-0")
            #expect(all.recalled.map { zip($0, $0.dropFirst()).allSatisfy { $0.score >= $1.score } } == true)
        }
    }

    @Test func echoShowsThePromptAndNotThePassages() async throws {
        let home = try EngineHome()
        try await home.run { engine in
            try await engine.accept(Facts.all[0], id: "valmere")
            let text = "The lord of Valmere"
            let start = try await engine.answer(Self.request(.text(text), .both, echo: true)).start
            #expect(start.recalled?.count == 1)
            #expect(start.promptTokens.map(\.text).joined() == text)
            // BOS that the caller sent stays first, before the passages.
            let model = try engine.running().context.model
            let ids = [model.configuration.bosTokenID] + model.tokens(of: text).map(Int.init)
            let sent = try await engine.answer(Self.request(.tokens(ids), .both)).tokens
            #expect(try await engine.answer(Self.request(.text(text), .both)).tokens == sent)
        }
    }

    @Test func aConversationIsAboutWhatTheUserSaidLast() async throws {
        let home = try EngineHome()
        try await home.run { engine in
            try await engine.accept(Facts.all[0], id: "valmere")
            try await engine.accept("Bread needs flour, water, salt and time.", id: "bread")
            let messages = [
                ChatMessage(role: .user, content: "Valmere?"), ChatMessage(role: .assistant, content: "No."),
                ChatMessage(role: .user, content: "How much flour?"),
            ]
            let start = try await engine.answer(Self.request(.messages(messages), .both)).start
            #expect(start.recalled?.map(\.id) == ["bread"])
        }
    }

    @Test func nothingToRecallIsAnAnswerWithoutPassages() async throws {
        let home = try EngineHome()
        try await home.run { engine in
            let alone = try await engine.answer(Self.request(.text("Valmere"), .weights))
            for mode in [RecallMode.both, .journal] {
                let answer = try await engine.answer(Self.request(.text("Valmere"), mode))
                #expect(answer.start.recalled == [])
                #expect(answer == alone)
            }
        }
    }
}
