import ArgumentParser
import Foundation
import NLCore
import Testing

@testable import NLServer

/// `--fast-level-sequences`: part of what a run is, and resumed like everything else.
@Suite(.timeLimit(.minutes(10))) struct FastLevelSequencesTests {
    private let folder: TemporaryFolder
    private let data: String

    init() throws {
        folder = try TemporaryFolder()
        data = try folder.write("text.jsonl", PretrainingFixture.jsonLines(60))
    }

    private func arguments(_ output: String, _ more: [String]) -> [String] {
        PretrainingFixture.arguments(
            data: data, output: output, ["--levels", "fast:1:8,medium:1:16,slow:2:32"] + more)
    }

    @Test func sequencesWithLearningTrainAndResumeExactly() throws {
        let (whole, broken, plain) = (folder.path("whole"), folder.path("broken"), folder.path("plain"))
        let learning = ["--fast-level-sequences", "3"]
        try PretrainingFixture.run(arguments(whole, learning))
        var steps = 0
        try PretrainCommand.parse(arguments(broken, learning)).train {
            steps += 1
            return steps > 5
        }
        try PretrainingFixture.run(arguments(broken, learning))
        expectSameBits(
            try PretrainingFixture.newestCheckpoint(broken), try PretrainingFixture.newestCheckpoint(whole))
        let facts = try SafetensorsFile(contentsOf: URL(filePath: whole + "/model.safetensors")).metadata
        #expect(facts["fast_level_sequences"] == "3 of 4")

        try PretrainingFixture.run(arguments(plain, []))
        let (one, other) = (
            try PretrainingFixture.newestCheckpoint(whole), try PretrainingFixture.newestCheckpoint(plain)
        )
        #expect(one.parameters["embedding"]?.elements != other.parameters["embedding"]?.elements)
        #expect(try #require(one.progress.loss) < 5.5)
        #expect(throws: PretrainingError.self) { try PretrainingFixture.run(arguments(plain, learning)) }
    }

    @Test func whatCannotBeDoneIsRefused() throws {
        #expect(throws: (any Error).self) {
            try PretrainCommand.parse(arguments(folder.path("x"), ["--fast-level-sequences", "5"]))
        }
        // Two levels are none too few to train, but too few for a daemon, whose fast level this is.
        let error = #expect(throws: NLCore.ConfigurationError.self) {
            try PretrainingFixture.run(
                PretrainingFixture.arguments(
                    data: data, output: folder.path("y"), ["--fast-level-sequences", "1"]))
        }
        #expect(error?.description.contains("cms_levels") == true)
    }
}
