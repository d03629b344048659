import ArgumentParser
import Foundation
import Glibc
import NLCore
import Testing

@testable import NLServer

/// The command stopped in every way it can be, and continued.
@Suite(.timeLimit(.minutes(10))) struct ResumeTests {
    private let folder: TemporaryFolder
    private let data: String

    init() throws {
        folder = try TemporaryFolder()
        data = try folder.write("text.jsonl", PretrainingFixture.jsonLines(60))
    }

    /// Killed between two checkpoints: the steps since the last one are done again, with the same outcome. The run
    /// passes the end of an epoch on both sides of the break.
    @Test func killedAndResumedEqualsUninterrupted() async throws {
        let (whole, broken) = (folder.path("whole"), folder.path("broken"))
        let (straight, resumed) = (
            PretrainingFixture.arguments(data: data, output: whole, steps: 40),
            PretrainingFixture.arguments(data: data, output: broken, steps: 40)
        )
        try PretrainingFixture.run(straight)
        await #expect(processExitsWith: .signal(SIGKILL)) { [resumed = resumed as [String]] in
            var steps = 0
            try PretrainCommand.parse(resumed).train {
                steps += 1
                if steps == 30 { kill(getpid(), SIGKILL) }
                return false
            }
        }
        #expect(try PretrainingFixture.newestCheckpoint(broken).progress.step == 27)
        try PretrainingFixture.run(resumed + ["--resume"])
        expectSameBits(try PretrainingFixture.newestCheckpoint(broken), try PretrainingFixture.newestCheckpoint(whole))
        let models = try [whole, broken].map { path in
            let file = try SafetensorsFile(contentsOf: URL(filePath: path + "/model.safetensors"))
            return try file.names.map { try file.floats(named: $0) }
        }
        #expect(models[0] == models[1])
    }

    /// A signal ends the run after the step it came in, with a checkpoint of that very step and exit code 0.
    @Test(arguments: [SIGTERM, SIGINT]) func aSignalEndsTheRunWithACheckpoint(signal: Int32) async throws {
        let output = folder.path("signalled")
        let arguments = PretrainingFixture.arguments(data: data, output: output, ["--checkpoint-every", "1000"])
        await #expect(processExitsWith: .success) { [arguments = arguments as [String], signal = signal as Int32] in
            var steps = 0
            try PretrainCommand.parse(arguments).train {
                defer { steps += 1 }
                let isStopped = StopSignal.isRaised
                if steps == 5 {
                    kill(getpid(), signal)
                    // It may reach another thread of a busy machine a moment later.
                    for _ in 0..<10_000 where !StopSignal.isRaised { usleep(1000) }
                }
                return isStopped
            }
        }
        let step = try PretrainingFixture.newestCheckpoint(output).progress.step
        #expect((6...8).contains(step), "a checkpoint of step \(step)")
        let whole = folder.path("whole")
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: whole))
        try PretrainingFixture.run(arguments)
        expectSameBits(try PretrainingFixture.newestCheckpoint(output), try PretrainingFixture.newestCheckpoint(whole))
    }

    @Test func anotherConfigurationIsRefusedByName() throws {
        let output = folder.path("run")
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: output, steps: 4))
        let changes = [
            (["--learning-rate", "0.02"], "schedule.peak"), (["--layers", "3"], "model.num_hidden_layers"),
            (["--seed", "9"], "seed"), (["--steps", "5"], "schedule.totalSteps"),
            (["--step-size-max", "1"], "model.step_size_max"),
        ]
        for (change, key) in changes {
            let arguments = PretrainingFixture.arguments(data: data, output: output, steps: 4, change)
            let error = #expect(throws: PretrainingError.self) { try PretrainingFixture.run(arguments) }
            #expect(error?.description.contains("\(key) is") == true, "\(error?.description ?? "")")
        }
        try folder.write("text.jsonl", PretrainingFixture.jsonLines(61))
        let error = #expect(throws: PretrainingError.self) {
            try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: output, steps: 4))
        }
        #expect(error?.description.contains("another run: data is") == true)
    }

    @Test func aDamagedCheckpointIsPassedOver() throws {
        let (output, whole) = (folder.path("run"), folder.path("whole"))
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: output))
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: whole))
        let directory = CheckpointDirectory(url: URL(filePath: output).appending(path: "checkpoints"), keep: 2)
        #expect(try directory.steps() == [9, 12])

        // One bit of one moment, which no parser would notice.
        var bytes = try Data(contentsOf: directory.file(atStep: 12))
        bytes[bytes.count - 5] ^= 1
        try bytes.write(to: directory.file(atStep: 12))
        var notes: [String] = []
        #expect(try directory.newest { notes.append($0) }?.progress.step == 9)
        #expect(notes.count == 1 && notes[0].contains("step-000000012") && notes[0].contains("checksum"))
        try PretrainingFixture.run(PretrainingFixture.arguments(data: data, output: output))
        expectSameBits(try PretrainingFixture.newestCheckpoint(output), try PretrainingFixture.newestCheckpoint(whole))

        for step in try directory.steps() { try Data("short".utf8).write(to: directory.file(atStep: step)) }
        #expect(throws: PretrainingError.self) { try directory.newest { _ in } }
    }

    @Test func resumeWithoutACheckpointIsRefused() throws {
        let arguments = PretrainingFixture.arguments(data: data, output: folder.path("new"), ["--resume"])
        let error = #expect(throws: PretrainingError.self) { try PretrainingFixture.run(arguments) }
        #expect(error?.description.contains("no checkpoint") == true)
    }

    /// A learning rate that throws the parameters out of range: steps are skipped, and ten in a row end the run.
    @Test func numbersThatStayWrongEndTheRun() throws {
        let output = folder.path("run")
        let arguments = PretrainingFixture.arguments(
            data: data, output: output, steps: 100,
            ["--learning-rate", "1e30", "--warmup", "0", "--checkpoint-every", "1000"])
        let error = #expect(throws: PretrainingError.self) { try PretrainingFixture.run(arguments) }
        #expect(error?.description.contains("10 steps in a row") == true)
    }
}
