import ArgumentParser
import Foundation
import NLCore
import Testing

@testable import NLServer

/// Options and the words on the screen.
@Suite struct PretrainOptionsTests {
    private let base = ["--data", "a.txt", "--output", "out", "--train-tokenizer", "300"]

    private func message(_ arguments: [String]) -> String {
        do {
            _ = try PretrainCommand.parse(arguments)
            return "accepted"
        } catch {
            return PretrainCommand.message(for: error)
        }
    }

    @Test(arguments: [
        ([], "--steps"), (["--steps", "2", "--tokens", "5"], "--steps"), (["--steps", "0"], "--steps"),
        (["--steps", "2", "--tokenizer", "x"], "--tokenizer"),
        (["--steps", "2", "--learning-rate", "nan"], "--learning-rate"),
        (["--steps", "2", "--clip", "0"], "--clip"), (["--steps", "2", "--batch-size", "0"], "--batch-size"),
        (["--steps", "2", "--min-learning-rate", "1"], "--min-learning-rate"),
        (["--steps", "2", "--checkpoint-every", "often"], "--checkpoint-every"),
        (["--steps", "2", "--keep", "0"], "--keep"), (["--steps", "2", "--precision", "bf8"], "--precision"),
    ])
    func wrongOptionsAreNamed(more: [String], option: String) {
        #expect(message(base + more).contains(option))
    }

    @Test func tokensBecomeSteps() throws {
        let command = try PretrainCommand.parse(
            base + ["--tokens", "4097", "--batch-size", "4", "--sequence-length", "512"])
        let model = HopeConfiguration(vocabularySize: 300, width: 8, layers: 1, heads: 1, levels: [])
        let settings = command.training.settings(model: model, tokenizer: "t", data: "d")
        #expect(settings.schedule.totalSteps == 3 && settings.tokensPerStep == 2048)
        #expect(settings.schedule.floor == settings.schedule.peak / 10)
        #expect(try PretrainingSettings(json: settings.json()) == settings)
    }

    @Test func levelsAreRead() throws {
        let command = try PretrainCommand.parse(base + ["--steps", "1", "--levels", "a:1:8,b:3:64"])
        #expect(
            try command.model.parsedLevels() == [
                .init(name: "a", hiddenMultiple: 1, chunkSize: 8), .init(name: "b", hiddenMultiple: 3, chunkSize: 64),
            ])
        let gated = try PretrainCommand.parse(base + ["--steps", "1", "--gated-links"]).model.parsedLevels()
        #expect(gated.count == 3 && gated.allSatisfy(\.isGated))
        for wrong in ["a", "a:1", "a:x:8", ":1:8", "a:1:8:9"] {
            let command = try PretrainCommand.parse(base + ["--steps", "1", "--levels", wrong])
            #expect(throws: PretrainingError.self) { try command.model.parsedLevels() }
        }
    }

    @Test func checkpointIntervals() {
        #expect(CheckpointInterval(argument: "500") == .steps(500))
        #expect(CheckpointInterval(argument: "1.5m") == .minutes(1.5))
        for wrong in ["0", "-1", "m", "10s", "nanm", "infm"] { #expect(CheckpointInterval(argument: wrong) == nil) }
    }

    @Test func figuresAreShort() {
        #expect(ProgressReporter.short(999) == "999" && ProgressReporter.short(1234) == "1.2k")
        #expect(ProgressReporter.short(1_234_567) == "1.23M")
        #expect(ProgressReporter.time(59.6) == "1:00" && ProgressReporter.time(3723) == "1:02:03")
        #expect(ProgressReporter.bar(0.5, 8) == "[####----]" && ProgressReporter.bar(1, 2) == "[##]")
    }
}
