import ArgumentParser
import Foundation
import NLCore
import Testing

@testable import NLServer

/// A directory that goes away with the test.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "pretraining-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appending(path: name).path }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: url.appending(path: name))
        return path(name)
    }
}

/// A model small enough to train in a blink, and its text.
enum PretrainingFixture {
    /// Sentences in a seeded order, one document a line.
    static func jsonLines(_ documents: Int) -> String {
        let words = [
            "the", "old", "river", "runs", "past", "a", "mill", "and", "under", "stone", "bridges", "to", "sea",
        ]
        var random = SeededRandom(seed: 11)
        return (0..<documents).map { _ in
            let text = (0..<(3 + random.nextIndex(below: 30))).map { _ in words[random.nextIndex(below: words.count)] }
            return "{\"text\": \"\(text.joined(separator: " ")).\"}\n"
        }.joined()
    }

    /// The command of a small run; the same for every test, so that runs can be compared.
    static func arguments(data: String, output: String, steps: Int = 12, _ more: [String] = []) -> [String] {
        [
            "--data", data, "--output", output, "--train-tokenizer", "300", "--hidden-size", "16", "--layers", "2",
            "--heads", "2", "--levels", "fast:1:8,slow:2:32", "--chunk-size", "4", "--projection-chunk-size", "8",
            "--batch-size", "4", "--sequence-length", "24", "--steps", "\(steps)", "--warmup", "3",
            "--learning-rate", "0.01", "--checkpoint-every", "3",
        ] + more
    }

    static func run(_ arguments: [String]) throws { try PretrainCommand.parse(arguments).run() }

    static func newestCheckpoint(_ output: String) throws -> TrainingCheckpoint {
        let directory = CheckpointDirectory(url: URL(filePath: output).appending(path: "checkpoints"), keep: 2)
        return try #require(try directory.newest { Issue.record("\($0)") })
    }
}

/// Expects two runs to have come to the same point, to the last bit.
func expectSameBits(
    _ a: TrainingCheckpoint, _ b: TrainingCheckpoint, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(a.progress == b.progress, sourceLocation: sourceLocation)
    #expect(a.settings == b.settings, sourceLocation: sourceLocation)
    #expect(a.optimizer.adamW.stepCount == b.optimizer.adamW.stepCount, sourceLocation: sourceLocation)
    #expect((a.optimizer.muon == nil) == (b.optimizer.muon == nil), sourceLocation: sourceLocation)
    let sets = [
        (a.parameters, b.parameters), (a.optimizer.adamW.firstMoments, b.optimizer.adamW.firstMoments),
        (a.optimizer.adamW.secondMoments, b.optimizer.adamW.secondMoments),
        (a.optimizer.muon?.momenta ?? .init(), b.optimizer.muon?.momenta ?? .init()),
    ]
    for (one, other) in sets {
        #expect(one.names == other.names, sourceLocation: sourceLocation)
        let differing = one.entries.filter { name, tensor in
            tensor.elements.map(\.bitPattern) != other[name]?.elements.map(\.bitPattern)
        }
        #expect(differing.map(\.name) == [], sourceLocation: sourceLocation)
    }
}
