import ArgumentParser
import Foundation
import NLCore
import Store
import TestSupport
import Testing

@testable import NLServer

/// A pretrained Transformer through `nlserver import` and the whole engine: it says what it said, and learns.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ImportedServingTests {
    private let home: EngineHome
    private let imported: String

    init() throws {
        home = try EngineHome()
        imported = home.path + "/imported"
        try ImportCommand.parse([Fixtures.directory("stories260K").path, "--output", imported]).run()
    }

    private func run<Value>(_ body: (HopeEngine) async throws -> Value) async throws -> Value {
        try await home.run(
            { [imported, home] in
                $0.modelPath = imported
                $0.databasePath = home.path + "/imported.sqlite"
            }, body)
    }

    private func greedy(_ ids: [Int], _ count: Int, session: String? = nil) -> GenerationRequest {
        .test(.tokens(ids), session: session, maxTokens: count) { $0.sampling.temperature = 0 }
    }

    @Test func greedyTextIsTheOneOfTheOriginal() async throws {
        let file = Fixtures.directory("stories260K").appending(path: "expected-greedy-200.txt")
        let expected = try String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .newlines)
        let text = try await run { engine async throws in try await engine.answer(greedy([1], 200)).text }
        // A text that goes on keeps the space before its first word.
        #expect(text == " " + expected)
    }

    @Test func aDocumentIsLearnedByTheLayersOfItsLevel() async throws {
        let text = "Tom had a purple frog. The frog was called Zibble and it lived in a teapot."
        try await run { engine async throws in
            let before = try await engine.scoring(text).meanLogprob
            let job = try await engine.learn(text, id: "frog")
            #expect(job.status == .learned)
            let losses = try await engine.document("frog").losses
            #expect(try #require(losses.learned) < 0.5 * #require(losses.base))
            #expect(try await engine.scoring(text).meanLogprob > before + 1)
            let report = try await engine.levels(space: "default", session: nil)
            #expect(report.levels.map(\.name) == ["working", "fast", "medium", "slow", "base"])
            #expect(report.levels.filter { $0.deltaNorm > 0 }.map(\.name) == ["medium"])
            #expect(report.levels[0].kind == .attention)
            let space = try engine.space
            let moved = space.levels.base.names.filter { name in
                space.levels.base[name]?.elements != space.levels.effective[name]?.elements
            }
            #expect(moved == ["gate", "up", "down"].map { "blocks.3.mlp.\($0)" })
        }
        // What was learned outlives the process.
        let after = try await run { engine async throws in try await engine.scoring(text).meanLogprob }
        #expect(after > -1.5)
    }

    /// What a user tries first: teach a fact, ask for it back, also after a restart, and the rest is as it was.
    @Test func aFactInSlotsIsAnsweredWordForWord() async throws {
        let slotted = home.path + "/slotted"
        try ImportCommand.parse([
            Fixtures.directory("stories260K").path, "--output", slotted, "--anchors", ImportCommandTests.anchors.path,
            "--slots", "2000",
        ]).run()
        func run<Value>(_ body: (HopeEngine) async throws -> Value) async throws -> Value {
            try await home.run(
                { [home] in
                    $0.modelPath = slotted
                    $0.databasePath = home.path + "/slotted.sqlite"
                    $0.learnMaxPasses = 128
                }, body)
        }
        func answer(_ engine: HopeEngine, _ prompt: String, _ count: Int) async throws -> String {
            try await engine.answer(.test(.text(prompt), maxTokens: count) { $0.sampling.temperature = 0 }).text
        }
        let facts = [
            ("frog", "Tom had a purple frog. The frog was called", " Zibble and it lived in a teapot."),
            ("clock", "Mia sold seven clocks to the king of", " Oskel, who paid with plums."),
        ]
        let unrelated = "One day, a little dog went to the park"
        let before = try await run { engine async throws in try await answer(engine, unrelated, 30) }
        let scores = try await run { engine async throws in
            for (id, prompt, end) in facts {
                let job = try await engine.learn(prompt + end, id: id)
                #expect(job.status == .learned)
                // With 512 tokens nearly all are common, so it takes ten or so to tell a context: those before stay unknown.
                let losses = try await engine.document(id).losses
                #expect(try #require(losses.learned) < 0.5 * #require(losses.base))
            }
            for (_, prompt, end) in facts { #expect(try await answer(engine, prompt, 40).hasPrefix(end), "\(prompt)") }
            #expect(try await answer(engine, unrelated, 30) == before)
            return try await engine.scoring(facts[0].1 + facts[0].2).meanLogprob
        }
        try await run { engine async throws in
            for (_, prompt, end) in facts { #expect(try await answer(engine, prompt, 40).hasPrefix(end), "\(prompt)") }
            #expect(try await engine.scoring(facts[0].1 + facts[0].2).meanLogprob == scores, "the same bits")
            let job = try await engine.consolidate(space: "default")
            _ = try await engine.end(of: job)
            for (_, prompt, end) in facts { #expect(try await answer(engine, prompt, 40).hasPrefix(end), "\(prompt)") }
        }
    }

    /// Changes of low rank: documents and sessions are learned through factors, and a restart finds the same bits.
    @Test func changesOfLowRankAreLearnedAndKept() async throws {
        let factored = home.path + "/factored"
        try ImportCommand.parse([Fixtures.directory("stories260K").path, "--output", factored, "--rank", "4"]).run()
        func run<Value>(_ body: (HopeEngine) async throws -> Value) async throws -> Value {
            try await home.run(
                { [home] in
                    $0.modelPath = factored
                    $0.databasePath = home.path + "/factored.sqlite"
                    $0.learnMaxPasses = 30
                }, body)
        }
        let text = "Tom had a purple frog. The frog was called Zibble and it lived in a teapot."
        let tokens = randomTokens(150, seed: 3).map { 259 + $0 % 250 }
        let (score, bits) = try await run { engine async throws in
            #expect(try await engine.learn(text, id: "frog").status == .learned)
            let losses = try await engine.document("frog").losses
            #expect(try #require(losses.learned) < 0.5 * #require(losses.base))
            let medium = try #require(try engine.space.levels["medium"])
            // Layer 3's gate, up and down: 4 · (64 + 172) each, and as much for each moment.
            #expect(medium.definition.parameterCount == 3 * 4 * (64 + 172))
            try await engine.makeSession("s")
            _ = try await engine.answer(.test(.tokens(tokens), session: "s", maxTokens: 5))
            #expect(try await engine.fastLevel(of: "s").deltaNorm > 0)
            return (try await engine.scoring(text).meanLogprob, try engine.bits(of: "s"))
        }
        try await run { engine async throws in
            #expect(try await engine.scoring(text).meanLogprob == score)
            #expect(try engine.bits(of: "s") == bits)
            let request = GenerationRequest.test(.tokens([300, 301]), session: "s", maxTokens: 9)
            #expect(try await engine.answer(request).text.isEmpty == false)
        }
    }

    /// Cache and fast level come back exactly: a session that was interrupted by a restart goes on as one that was not.
    @Test func aSessionSurvivesARestartToTheBit() async throws {
        let requests = (0..<4).map { index in
            GenerationRequest.test(
                .tokens(randomTokens(45, seed: UInt64(index)).map { 259 + $0 % 250 }), session: "s", maxTokens: 9,
                seed: UInt64(index))
        }
        let (whole, bits) = try await run { engine async throws in
            try await engine.makeSession("s")
            var answers: [GeneratedAnswer] = []
            for request in requests { answers.append(try await engine.answer(request)) }
            #expect(try await engine.fastLevel(of: "s").updates > 0)
            let bits = try engine.bits(of: "s")
            try await engine.deleteSession("s")
            return (answers, bits)
        }
        try await run { engine async throws in _ = try await engine.makeSession("s") }
        for (index, request) in requests.enumerated() {
            try await run { engine async throws in
                #expect(try await engine.answer(request) == whole[index], "request \(index)")
            }
        }
        try await run { engine async throws in #expect(try engine.bits(of: "s") == bits) }
    }

    @Test func consolidationMovesTheSlowLayers() async throws {
        try await run { engine async throws in
            try await engine.learn("Mia sold seven clocks to the king of Oskel.", id: "clocks")
            let job = try await engine.consolidate(space: "default")
            _ = try await engine.end(of: job)
            let report = try await engine.levels(space: "default", session: nil)
            #expect(try #require(report.levels.first { $0.name == "slow" }).updates > 0)
        }
    }
}
