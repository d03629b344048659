import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// A model directory that is not whole is refused with the reason, and never half loaded.
@Suite struct LoadedModelTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    private func message(_ sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        do {
            _ = try LoadedModel(directory: home.model.path)
            Issue.record("the model was loaded", sourceLocation: sourceLocation)
            return ""
        } catch .modelDirectory(let path, let message) {
            #expect(path == home.model.path, sourceLocation: sourceLocation)
            return message
        }
    }

    @Test func aWholeDirectoryLoads() throws {
        let model = try LoadedModel(directory: home.model.path)
        #expect(model.id == "model")
        #expect(model.levels.map(\.name) == ["fast", "medium", "slow"])
        for (name, tensor) in TestModel.parameters().entries { #expect(model.base[name]?.elements == tensor.elements) }
        #expect(!model.anchors.rehearsal.isEmpty && !model.anchors.gate.isEmpty)
        #expect(model.windowSize == 256)
        #expect(try LoadedModel(directory: home.model.path).fingerprint == model.fingerprint)
    }

    @Test(arguments: ["config.json", "model.safetensors", "tokenizer.json"])
    func aMissingFileIsNamed(_ file: String) throws {
        try FileManager.default.removeItem(at: home.model.appendingPathComponent(file))
        #expect(try message().contains("\(file) is missing"))
    }

    @Test func aMissingDirectoryIsNamed() throws {
        try FileManager.default.removeItem(at: home.model)
        #expect(try message().contains("no such directory"))
    }

    @Test func brokenConfigurationIsExplained() throws {
        let file = home.model.appendingPathComponent("config.json")
        try Data("{".utf8).write(to: file)
        #expect(try message().hasPrefix("config.json"))
        try Data(#"{"model_type": "hope"}"#.utf8).write(to: file)
        #expect(try message().contains("\"vocab_size\" is missing"))
        var c = TestModel.configuration
        c.heads = 5
        try JSONEncoder().encode(c).write(to: file)
        #expect(try message().contains("num_attention_heads"))
    }

    @Test func weightsOfAnotherGeometryAreRefused() throws {
        var parameters = TestModel.parameters()
        parameters["gain"] = nil
        try TestModel.write(to: home.model, parameters: parameters)
        #expect(try message().contains("lacks \"gain\""))
        parameters["gain"] = .zeros([33])
        try TestModel.write(to: home.model, parameters: parameters)
        #expect(try message().contains("\"gain\" has shape [33]; config.json asks for [32]"))
        parameters["gain"] = .zeros([32])
        parameters["loss"] = .zeros([1])
        try TestModel.write(to: home.model, parameters: parameters)
        #expect(try message().contains("has \"loss\", unknown"))
    }

    @Test(arguments: [Float.nan, .infinity])
    func weightsThatAreNotFiniteAreRefused(_ value: Float) throws {
        var parameters = TestModel.parameters()
        parameters["gain"] = Tensor(repeating: value, shape: [32])
        try TestModel.write(to: home.model, parameters: parameters)
        #expect(try message().contains("\"gain\" holds NaN or infinity"))
    }

    /// What databases know a shipped model by, whoever writes JSON and whichever rates it has.
    @Test(arguments: [
        ("deploy/model/config.json", "3cf1e2715c84422bd8f493e280f197c78c78f5cfa3cd61db286e7fd46e69247e"),
        (
            "Tests/Fixtures/Shipped/version-1.json",
            "25cce9b7ce86d1e1b2037ce6602e33e2998299cb07f6c7cbf2299ca263be3e75"
        ),
    ])
    func theArchitectureOfShippedModelsHasTheSameDigestForGood(file: String, digest: String) throws {
        try Data(shipped(file).utf8).write(to: home.model.appendingPathComponent("config.json"))
        let found = try ModelDirectory(path: home.model.path).architectureDigest().hex
        #expect(found == digest)
    }

    /// The same model as it was before contexts were told by words: a key that is not there says nothing.
    @Test func aModelWithoutWordsKeepsItsDigest() throws {
        let text = try shipped("Tests/Fixtures/Shipped/version-1.json")
        let former = text.replacing(#/,\s*"words" : 131072/#, with: "")
        #expect(former != text)
        try Data(former.utf8).write(to: home.model.appendingPathComponent("config.json"))
        let digest = try ModelDirectory(path: home.model.path).architectureDigest()
        #expect(digest.hex == "aac5d7881c22749ba9efd279fccf808b2d2f0d98f34c67907ef0c8f2299d15ef")
    }

    private func shipped(_ file: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        return try String(contentsOf: root.appending(path: file).standardizedFileURL, encoding: .utf8)
    }

    @Test func aCutFileIsRefused() throws {
        let file = home.model.appendingPathComponent("model.safetensors")
        let data = try Data(contentsOf: file)
        try data.prefix(data.count - 100).write(to: file)
        #expect(try message().contains("model.safetensors"))
    }

    @Test func aTokenizerOfAnotherModelIsRefused() throws {
        var c = TestModel.configuration
        c.vocabularySize = 400
        try JSONEncoder().encode(c).write(to: home.model.appendingPathComponent("config.json"))
        #expect(try message().contains("not of one model"))
    }

    /// Else the process would end where it cannot have the memory.
    @Test func aModelLargerThanTheMachineIsRefused() throws {
        var c = TestModel.configuration
        (c.width, c.layers) = (1 << 14, 256)
        for index in c.levels.indices { c.levels[index].hiddenMultiple = 64 }
        try JSONEncoder().encode(c).write(to: home.model.appendingPathComponent("config.json"))
        let message = try message()
        #expect(message.contains("config.json asks for ") && message.contains("this machine has "))
    }

    @Test func anotherModelHasAnotherFingerprint() throws {
        let first = try LoadedModel(directory: home.model.path).fingerprint
        try TestModel.write(to: home.model, parameters: TestModel.parameters(seed: 6))
        let second = try LoadedModel(directory: home.model.path).fingerprint
        #expect(first.weights != second.weights)
        #expect(first.tokenizer == second.tokenizer)
    }
}

/// Anchors are cut where sentences end; what is rehearsed never judges.
@Suite struct AnchorsTests {
    private func anchors(_ text: String) throws -> Anchors {
        Anchors(
            text, tokenizer: try Tokenizer(contentsOf: TestModel.tokenizerFile), configuration: TestModel.configuration)
    }

    @Test func piecesAlternateBetweenTheHalves() throws {
        let anchors = try anchors(TestModel.anchors)
        #expect(anchors.rehearsal.count == 2)
        #expect(anchors.gate.count == 2)
        #expect(Set(anchors.rehearsal).isDisjoint(with: anchors.gate))
    }

    @Test func longParagraphsAreCutAtSentences() throws {
        let tokenizer = try Tokenizer(contentsOf: TestModel.tokenizerFile)
        let paragraph = (1...60).map { "Sentence number \($0) says nothing new." }.joined(separator: " ")
        let anchors = try anchors(paragraph)
        let pieces = anchors.rehearsal + anchors.gate
        #expect(pieces.count > 2)
        for piece in pieces {
            #expect(piece.tokenCount <= Anchors.pieceLength)
            let text = tokenizer.decode(piece.targets.dropLast().map(Int.init), skipSpecialTokens: true)
            #expect(text.hasSuffix("new."))
        }
    }

    @Test func aSentenceWithoutAnEndIsCutWhereItMust() throws {
        let anchors = try anchors(String(repeating: "and so on ", count: 400))
        let lengths = (anchors.rehearsal + anchors.gate).map(\.tokenCount)
        #expect(lengths.allSatisfy { $0 <= Anchors.pieceLength })
        #expect(lengths.contains(Anchors.pieceLength))
    }

    @Test func theyAreCutWhenTheyAreAskedFor() throws {
        let tokenizer = try Tokenizer(contentsOf: TestModel.tokenizerFile)
        func file(_ text: String) -> AnchorFile? {
            AnchorFile(text, tokenizer: tokenizer, configuration: TestModel.configuration)
        }
        let later = try #require(file(TestModel.anchors))
        #expect(!later.isCut)
        let now = try anchors(TestModel.anchors)
        #expect(later.anchors.digest == now.digest)
        #expect(later.anchors.rehearsal == now.rehearsal && later.anchors.gate == now.gate)
        #expect(later.isCut)
        #expect(file("Too short.\n" + TestModel.anchors.prefix(60)) == nil)
    }

    @Test func manyPiecesAreThinnedOutEvenly() throws {
        let text = (1...200).map { "Paragraph \($0) is about the number \($0), which it repeats: \($0), \($0)." }
        let anchors = try anchors(text.joined(separator: "\n"))
        #expect(anchors.gate.count == Anchors.gateCount)
        #expect(anchors.rehearsal.count == 100)
    }
}
