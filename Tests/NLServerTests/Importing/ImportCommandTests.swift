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
        try Data("x".utf8).write(to: home.appending(path: "mine.txt"))
        #expect(refusal(stories.path, "--output", home.path).contains("mine.txt"))
        #expect(!FileManager.default.fileExists(atPath: output))
    }
}
