import ArgumentParser
import Foundation
import Testing

@testable import NLServer

/// Catches an evaluation that does not measure what a user would find: it runs the built program, which starts daemons
/// on a model small enough to learn in a test, kills them and starts them again.
@Suite(.timeLimit(.minutes(10))) struct EvaluationRunTests {
    private struct Result: Decodable {
        struct Row: Decodable {
            struct Standing: Decodable {
                var anchors_loss: Double?
                var delta_norm: [String: Double]
            }
            struct Learning: Decodable { var learned: Int }
            var row: String
            var stage: String
            var documents: Int
            var figures: [String: Double]
            var restarted: Bool
            var standing: Standing
            var learning: Learning?
            var retention: [[Double]]?
        }
        var is_complete: Bool
        var rows: [Row]
    }

    /// The program under test lies beside the tests.
    private static var built: URL? {
        [Bundle.main.executableURL, URL(filePath: CommandLine.arguments[0])].compactMap(\.self)
            .map { $0.deletingLastPathComponent().appending(path: "nlserver") }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    private static func edits(in directory: String) throws -> String {
        let edits = zip(Facts.all, ["Oskel", "Bruvik", "Hadra", "Pellin"]).enumerated().map { index, fact in
            [
                "case_id": index, "prompt": String(fact.0.dropLast(fact.1.count + 2)), "target_new": fact.1,
                "rephrase_prompt": "His birthplace is", "locality_prompt": "The river ran past",
                "locality_ground_truth": "the old mill",
            ] as [String: Any]
        }
        let file = directory + "/edits.json"
        try JSONSerialization.data(withJSONObject: edits).write(to: URL(filePath: file))
        return file
    }

    private static func run(_ arguments: [String]) async throws -> (status: Int32, output: String, errors: String) {
        let process = Process()
        let program: URL = try #require(Self.built, "the program was not built beside the tests")
        process.executableURL = program
        process.arguments = ["eval"] + arguments
        let (output, errors) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, errors)
        try process.run()
        let (said, complained) = await Task.detached {
            (output.fileHandleForReading.readDataToEndOfFile(), errors.fileHandleForReading.readDataToEndOfFile())
        }.value
        process.waitUntilExit()
        return (
            process.terminationStatus, String(decoding: said, as: UTF8.self),
            String(decoding: complained, as: UTF8.self)
        )
    }

    @Test func editsAreScoredAfterKillingTheDaemon() async throws {
        let home = try EngineHome()
        let file = try Self.edits(in: home.path)
        let json = home.path + "/result.json"
        let (status, table, errors) = try await Self.run([
            "counterfact", "--file", file, "--model", home.model.path, "--counts", "2",
            "--rows", "base,ours,naive", "--json", json, "--consolidate", "end",
            "--daemon-options", "--anchor-bound 10 --threads 1 --learn-max-passes 40",
        ])
        #expect(status == 0, "\(errors)")
        let result = try JSONDecoder().decode(Result.self, from: Data(contentsOf: URL(filePath: json)))
        #expect(result.is_complete)
        #expect(result.rows.map { "\($0.row) \($0.stage)" }.starts(with: ["base untouched", "ours learned"]))
        let learned = try #require(result.rows.first { $0.row == "ours" && $0.stage == "learned" })
        #expect(learned.restarted)
        #expect(learned.documents == 2)
        #expect(learned.learning?.learned == 2)
        #expect((learned.standing.delta_norm["medium"] ?? 0) > 0)
        #expect(learned.figures["reliability"] != nil && learned.figures["locality"] != nil)
        // An answer that stands first also stands in the reply.
        #expect(try #require(learned.figures["generalization_said"]) >= (learned.figures["generalization"] ?? 2))
        // Without rehearsal and settling more is changed, and a fact comes back word for word.
        let naive = try #require(result.rows.first { $0.row == "naive" })
        #expect((naive.figures["reliability"] ?? 0) > (result.rows[0].figures["reliability"] ?? 1))
        #expect(!result.rows.contains { $0.row == "naive" && $0.stage == "consolidated" })
        #expect(table.contains("| ours | learned | 2 |"))
        #expect(result.rows.allSatisfy { $0.standing.anchors_loss != nil })
    }

    @Test func aSignalKeepsWhatWasScoredAndLeavesNoDaemon() async throws {
        let home = try EngineHome()
        let json = home.path + "/result.json"
        let process = Process()
        let program: URL = try #require(Self.built)
        process.executableURL = program
        process.arguments = [
            "eval", "counterfact", "--file", try Self.edits(in: home.path), "--model", home.model.path,
            "--counts", "4", "--json", json,
            // It would learn for a long time.
            "--daemon-options", "--threads 1 --learn-max-passes 10000 --learn-target-loss 0",
        ]
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
        func result() throws -> Result {
            try JSONDecoder().decode(Result.self, from: Data(contentsOf: URL(filePath: json)))
        }
        func daemons() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int32($0) != nil }.count { pid in
                let line = (try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8)) ?? ""
                return line.contains("serve") && line.contains(home.model.path) && !line.contains("counterfact")
            }
        }
        try process.run()
        try await eventually(within: .seconds(300)) { try (try? result())?.rows.count == 1 && daemons() == 1 }
        kill(process.processIdentifier, SIGINT)
        try await eventually(within: .seconds(120)) { !process.isRunning }
        #expect(process.terminationStatus == 130)
        #expect(try !result().is_complete)
        #expect(try result().rows.map(\.row) == ["base"])
        #expect(try daemons() == 0)
    }

    @Test func badOptionsAreRefusedInWords() async throws {
        for (arguments, word) in [
            (["counterfact", "--rows", "mine"], "ours_recall"), (["articles", "--range", "x"], "0-19"),
            (["counterfact", "--counts", "0"], "--counts"),
            (["counterfact", "--consolidate", "soon"], "--consolidate"),
            (["tofu", "--url", "ftp://x"], "http://127.0.0.1:8080"),
            (["counterfact", "--url", "http://127.0.0.1:1", "--counts", "1,2"], "one number"),
        ] {
            let error = #expect(throws: (any Error).self) { _ = try EvalCommand.parse(arguments) }
            #expect(error.map { EvalCommand.message(for: $0).contains(word) } == true, "\(arguments)")
        }
    }

    @Test func aDaemonThatCannotStartIsToldWithItsLastWords() async throws {
        let home = try EngineHome()
        let (status, _, errors) = try await Self.run([
            "counterfact", "--file", try Self.edits(in: home.path), "--model", home.path + "/nowhere", "--counts", "1",
        ])
        #expect(status == 1)
        #expect(errors.contains("no such directory"), "\(errors)")
    }
}
