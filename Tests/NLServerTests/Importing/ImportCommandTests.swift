import ArgumentParser
import Foundation
import NLCore
import TestSupport
import Testing

@testable import NLServer

/// What `nlserver import` says, writes and refuses.
@Suite struct ImportCommandTests {
    private let home: URL

    init() throws {
        home = FileManager.default.temporaryDirectory.appending(path: "import-command-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
    }

    private var stories: URL { Fixtures.directory("stories260K") }

    private func remove() { try? FileManager.default.removeItem(at: home) }

    @Test func aDryRunStatesTheMemoryAndWritesNothing() throws {
        defer { remove() }
        let files = try ImportedFiles(stories, anchors: nil, ImportOptions())
        let report = try files.report(sessionTokens: 100).joined(separator: "\n")
        // 260,032 numbers of four bytes; a layer's MLP is 3 · 64 · 172.
        #expect(report.contains("parameters: 260032"))
        #expect(report.contains("(1040128 bytes)"))
        #expect(report.contains("level fast: layers 4; 33024 parameters"))
        #expect(report.contains("(528384 bytes)"))
        // Two pages of 64 positions: 5 layers, keys and values, 4 heads of 8; and 512 logits.
        let session = 4 * (128 * 5 * 2 * 4 * 8 + 512)
        #expect(report.contains("(\(session) bytes)"))
        let output = home.appending(path: "out").path
        try ImportCommand.parse([stories.path, "--output", output, "--dry-run"]).run()
        #expect(!FileManager.default.fileExists(atPath: output))
    }

    @Test func theDirectoryIsAModel() throws {
        defer { remove() }
        let output = home.appending(path: "out").path
        try ImportCommand.parse([
            stories.path, "--output", output, "--context", "128", "--layer-levels", "base,fast,medium,base,slow",
        ]).run()
        let model = try LoadedModel(directory: output)
        #expect(model.configuration.contextLength == 128)
        #expect(model.configuration.layerLevels == ["base", "fast", "medium", "base", "slow"])
        #expect(model.levels.map(\.name) == ["fast", "medium", "slow"])
        // Once more would replace a model that a daemon may be serving.
        #expect(throws: ImportError.self) { try ImportCommand.parse([stories.path, "--output", output]).run() }
    }

    /// With anchors, documents go into slots: the last quarter's end still learns in sessions, all else is base.
    @Test func anchorsGiveSlots() throws {
        defer { remove() }
        let output = home.appending(path: "out").path
        let arguments = [stories.path, "--output", output, "--anchors", ImportCommandTests.anchors.path]
        try ImportCommand.parse(arguments + ["--slots", "100", "--context-size", "32"]).run()
        let model = try LoadedModel(directory: output)
        #expect(model.configuration.layerLevels == ["base", "base", "base", "base", "fast"])
        let slots = ["contexts", "keys", "values", "records"].map { "blocks.4.mlp.slots.\($0)" }
        #expect(model.levels[0].tensors.map(\.name) == ["gate", "up", "down"].map { "blocks.4.mlp.\($0)" })
        #expect(model.levels[1].tensors.map(\.name) == slots)
        #expect(model.levels[2].tensors.map(\.name) == slots)
        #expect(!model.anchors.rehearsal.isEmpty)
        // The weights are the original's, to the bit.
        let original = try ImportedModel(directory: stories).parameters()
        for name in original.names { #expect(model.base[name]?.elements == original[name]?.elements, "\(name)") }
        // Memory: 100 slots of a context of 32, a key and a value of 64, and two numbers.
        var options = ImportOptions()
        options.slots = .init(capacity: 100, contextSize: 32)
        let report = try ImportedFiles(stories, anchors: ImportCommandTests.anchors.path, options)
            .report(sessionTokens: 100).joined(separator: "\n")
        #expect(report.contains("level medium: 100 slots beside layer 4;"))
        #expect(report.contains("(\(4 * 100 * (32 + 64 + 64 + 2)) bytes) for a space, as they fill"))
    }

    @Test func slotsAddedLaterAreThoseOfTheImport() throws {
        defer { remove() }
        let (plain, later, atOnce) = (
            home.appending(path: "plain").path, home.appending(path: "later").path, home.appending(path: "once").path
        )
        let anchors = ["--anchors", ImportCommandTests.anchors.path]
        try ImportCommand.parse([stories.path, "--output", plain, "--slots", "0"] + anchors).run()
        try ImportCommand.parse([stories.path, "--output", atOnce, "--slots", "64", "--context-size", "16"] + anchors)
            .run()
        try AddSlotsCommand.parse([
            "--model", plain, "--output", later, "--capacity", "64", "--context-size", "16",
        ]).run()
        let (first, second) = (try LoadedModel(directory: later), try LoadedModel(directory: atOnce))
        #expect(first.levels[1].tensors == second.levels[1].tensors)
        #expect(first.base.names == second.base.names && first.base.names.contains { $0.hasSuffix(".spelling") })
        // An import writes random directions and rarities in bfloat16.
        for name in first.base.names where !name.hasSuffix(".tokens") && !name.hasSuffix(".rarity") {
            let isSame = first.base[name]?.elements == second.base[name]?.elements
            #expect(isSame, "\(name)")
        }
    }

    /// General text to lay slots out over: the shipped model's.
    static let anchors = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "deploy/model/anchors.txt")

    @Test func whatIsMissingOrWrongIsNamed() throws {
        defer { remove() }
        func refusal(_ arguments: String...) -> String {
            do {
                try ImportCommand.parse(arguments).run()
                return ""
            } catch { return "\(error)" }
        }
        let output = home.appending(path: "out").path
        #expect(
            refusal(Fixtures.directory("Imported").appending(path: "llama").path, "--output", output)
                .contains("tokenizer.json"))
        #expect(refusal(stories.path, "--output", output, "--layer-levels", "base,fast").contains("cms_layers"))
        #expect(refusal(stories.path, "--output", output, "--context", "1").contains("context_length"))
        #expect(refusal(home.path, "--output", output).contains("config.json"))
        #expect(refusal(stories.path, "--output", output, "--slots", "5").contains("--anchors"))
        #expect(
            refusal(
                stories.path, "--output", output, "--anchors", ImportCommandTests.anchors.path, "--layer-levels",
                "base,fast,medium,base,slow"
            ).contains("medium, slow layers"))
        try Data("x".utf8).write(to: home.appending(path: "mine.txt"))
        #expect(refusal(stories.path, "--output", home.path).contains("mine.txt"))
        #expect(!FileManager.default.fileExists(atPath: output))
    }
}
