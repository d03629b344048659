import ArgumentParser
import Foundation
import Glibc
import NLCore
import Testing

@testable import NLServer

/// Runs with Muon, and runs that begin with a model.
@Suite(.timeLimit(.minutes(10))) struct OptimizerChoiceTests {
    private let folder: TemporaryFolder
    private let data: String

    init() throws {
        folder = try TemporaryFolder()
        data = try folder.write("text.jsonl", PretrainingFixture.jsonLines(60))
    }

    private func parameters(_ output: String) throws -> ParameterSet<Float> {
        try PretrainingFixture.newestCheckpoint(output).parameters
    }

    @Test func muonTakesTheMatricesAndResumesExactly() async throws {
        let (whole, broken) = (folder.path("whole"), folder.path("broken"))
        let muon = ["--optimizer", "muon", "--muon-learning-rate", "0.05"]
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: whole, steps: 20, muon))
        let resumed = PretrainingFixture.arguments(data: data, output: broken, steps: 20, muon)
        await #expect(processExitsWith: .signal(SIGKILL)) { [resumed = resumed as [String]] in
            var steps = 0
            try PretrainCommand.parse(resumed).train {
                steps += 1
                if steps == 15 { kill(getpid(), SIGKILL) }
                return false
            }
        }
        #expect(try PretrainingFixture.newestCheckpoint(broken).progress.step == 12)
        try PretrainingFixture.run(resumed + ["--resume"])
        let checkpoint = try PretrainingFixture.newestCheckpoint(whole)
        expectSameBits(try PretrainingFixture.newestCheckpoint(broken), checkpoint)

        let names = try #require(checkpoint.optimizer.muon).momenta.names
        #expect(names.contains("blocks.0.levels.0.up") && names.contains("blocks.1.mixer.query_projection"))
        #expect(Set(names).isDisjoint(with: checkpoint.optimizer.adamW.firstMoments.names))
        #expect(Set(names + checkpoint.optimizer.adamW.firstMoments.names) == Set(checkpoint.parameters.names))
        #expect(try #require(checkpoint.progress.loss) < 5)
        let facts = try SafetensorsFile(contentsOf: URL(filePath: whole + "/model.safetensors")).metadata
        #expect(facts["optimizer"] == "muon")
        // It is another run than AdamW's.
        let error = #expect(throws: PretrainingError.self) {
            try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: whole, steps: 20))
        }
        #expect(error?.description.contains("muon") == true)
    }

    @Test(.enabled(if: ProductPrecision.bf16.isUsable)) func precisionIsPartOfTheRun() throws {
        let (rounded, exact) = (folder.path("rounded"), folder.path("exact"))
        let bf16 = ["--precision", "bf16"]
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: rounded, steps: 20, bf16))
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: exact, steps: 20))
        let (one, other) = (
            try PretrainingFixture.newestCheckpoint(rounded), try PretrainingFixture.newestCheckpoint(exact)
        )
        #expect(one.settings.precision == .bf16 && other.settings.precision == nil)
        #expect(try parameters(rounded)["embedding"]?.elements != parameters(exact)["embedding"]?.elements)
        let (loss, expected) = (try #require(one.progress.loss), try #require(other.progress.loss))
        #expect(abs(loss - expected) < 0.01 * expected, "\(loss) in bf16, \(expected) in f32")
        let facts = try SafetensorsFile(contentsOf: URL(filePath: rounded + "/model.safetensors")).metadata
        #expect(facts["precision"] == "bf16")
        // `auto` is the same run here; f32 is another.
        try PretrainingFixture.run(
            PretrainingFixture.arguments(data: data, output: rounded, steps: 20, ["--precision", "auto"]))
        let error = #expect(throws: PretrainingError.self) {
            try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: rounded, steps: 20))
        }
        #expect(error?.description.contains("precision") == true, "\(error?.description ?? "")")
    }

    private func from(_ model: String, _ output: String, _ more: [String] = []) -> [String] {
        [
            "--data", data, "--output", output, "--from", model, "--batch-size", "4", "--sequence-length", "24",
            "--steps", "3", "--warmup", "0", "--learning-rate", "1e-9", "--checkpoint-every", "1",
        ] + more
    }

    @Test func aRunBeginsWithAModelsWeights() throws {
        let (first, second) = (folder.path("first"), folder.path("second"))
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: first))
        try PretrainingFixture.run(from(first, second))
        let (trained, warm) = (try parameters(first), try parameters(second))
        #expect(trained.names == warm.names)
        for (name, tensor) in trained.entries {
            let other = try #require(warm[name])
            // The model's file holds bfloat16: three digits.
            let worst = zip(tensor.elements, other.elements).map { abs($0 - $1) / max(abs($0), 1e-6) }.max() ?? 0
            #expect(worst < 0.005, "\(name)")
        }
        let checkpoint = try PretrainingFixture.newestCheckpoint(second)
        #expect(checkpoint.progress.step == 3 && checkpoint.settings.origin?.count == 64)
        #expect(checkpoint.settings.model == (try PretrainingFixture.newestCheckpoint(first)).settings.model)
        // The same command goes on from its checkpoint; with a model that has changed it is another run.
        try PretrainingFixture.run(from(first, second))
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: folder.path("longer"), steps: 13))
        let error = #expect(throws: PretrainingError.self) {
            try PretrainingFixture.run(from(folder.path("longer"), second))
        }
        #expect(error?.description.contains("origin is") == true)
    }

    @Test func whatCannotBeBegunWithIsRefused() throws {
        let first = folder.path("first")
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: first, steps: 3))
        let config = try folder.write(
            "other.json",
            String(contentsOfFile: first + "/config.json", encoding: .utf8)
                .replacing("\"conv_window\" : 4", with: "\"conv_window\" : 3"))
        for (arguments, words) in [
            (from(first, first), "--output directory"),
            (from(folder.path("none"), folder.path("x")), "no such directory"),
            (from(first, folder.path("x"), ["--hidden-size", "32"]), "--hidden-size is 32, the model has 16"),
            (
                from(first, folder.path("x"), ["--levels", "a:1:8"]),
                "--levels is a:1:8, the model has fast:1:8,slow:2:32"
            ),
            (from(first, folder.path("x"), ["--config", config]), "conv_window is 3, the model has 4"),
            (from(first, folder.path("x"), ["--gated-links"]), "the model's links have no gate"),
            (from(first, folder.path("x"), ["--step-size-max", "1"]), "--step-size-max is 1.0, the model has 0.1"),
        ] {
            let error = #expect(throws: PretrainingError.self) { try PretrainingFixture.run(arguments) }
            #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        }
        let slots = "\"slots\" : {\"capacity\" : 8, \"context_size\" : 8}"
        let slotted = try folder.write(
            "slotted.json",
            String(contentsOfFile: first + "/config.json", encoding: .utf8)
                .replacing("\"name\" : \"slow\"", with: "\"name\" : \"slow\", \(slots)"))
        let error = #expect(throws: PretrainingError.self) {
            try PretrainingFixture.run(
                PretrainingFixture.arguments(data: data, output: folder.path("x"), steps: 1, ["--config", slotted]))
        }
        #expect(error?.description.contains("level slow has slots") == true, "\(error?.description ?? "")")
        for arguments in [
            from(first, "x", ["--train-tokenizer", "300"]), ["--data", data, "--output", "x", "--steps", "1"],
        ] {
            let error = #expect(throws: (any Error).self) { _ = try PretrainCommand.parse(arguments) }
            #expect(error.map { PretrainCommand.message(for: $0).contains("--from") } == true)
        }
        // What it has is as good as not saying it.
        try PretrainingFixture.run(
            from(first, folder.path("same"), ["--hidden-size", "16", "--config", first + "/config.json"]))
    }
}
