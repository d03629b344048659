import ArgumentParser
import Foundation
import Testing

@testable import NLServer

/// Catches an option that cannot be set from one of its three places, or a bad value that passes.
@Suite struct ConfigurationTests {
    private func configuration(
        _ commandLine: [ServerOption: String] = [:], environment: [String: String] = [:]
    ) throws -> ServerConfiguration {
        try ServerConfiguration(
            ConfigurationSources(commandLine: commandLine, environment: environment), environment: environment)
    }

    @discardableResult private func withFile<Value>(_ text: String, _ body: (String) throws -> Value) throws -> Value {
        let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).yaml")
        try text.write(to: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: path) }
        return try body(path.path)
    }

    @Test func commandLineBeatsEnvironmentBeatsFileBeatsDefault() throws {
        try withFile("port: 1\nmaxQueue: 2\nthreads: 3\n") { path in
            let result = try configuration(
                [.config: path, .port: "100"],
                environment: ["NLSERVER_PORT": "10", "NLSERVER_MAX_QUEUE": "20", "HOME": "/home/u"])
            #expect(result.port == 100)
            #expect(result.engine.maxQueue == 20)
            #expect(result.engine.threads == 3)
            #expect(result.engine.maxConcurrent == 8)
        }
    }

    @Test func theFileMayBeJSONAndNamedByTheEnvironment() throws {
        try withFile(#"{"readOnly": true, "maxBodyBytes": "2MiB", "shutdownGrace": "500ms"}"#) { path in
            let result = try configuration(environment: ["NLSERVER_CONFIG": path])
            #expect(result.engine.isReadOnly)
            #expect(result.maxBodyBytes == 2 << 20)
            #expect(result.shutdownGrace == .milliseconds(500))
        }
    }

    @Test func everyOptionCanBeSetEverywhereAndIsShownByHelp() throws {
        let help = ServeCommand.helpMessage(columns: 4000)
        let words = ["--read-only": "true", "--relearn": "true"]
        for option in ServerOption.allCases {
            #expect(help.contains(option.flag))
            #expect(help.contains(option.help), "\(option.flag)")
            let arguments = words[option.flag] == nil ? [option.flag, "value"] : [option.flag]
            let command = try ServeCommand.parse(arguments)
            #expect(command.given == [option: words[option.flag] ?? "value"])
        }
        let flags = Set(help.matches(of: /--[a-z-]+/).map { String($0.output) })
        #expect(flags.subtracting(["--help", "--version"]) == Set(ServerOption.allCases.map(\.flag)))
    }

    @Test func timesOfConsolidationsAreSetAndUnset() throws {
        let result = try configuration([.consolidateAt: "30 3 * * SUN"])
        #expect(result.engine.consolidateAt == (try CronExpression("30 3 * * sun")))
        let none = try configuration(
            [.consolidateAt: "none"], environment: ["NLSERVER_CONSOLIDATE_AT": "30 3 * * *"])
        #expect(none.engine.consolidateAt == nil)
    }

    @Test func theTableOfDefaultsIsWhatRuns() throws {
        let defaults = try configuration(environment: ["HOME": "/home/u"])
        var expected = ServerConfiguration(
            engine: EngineConfiguration(
                modelPath: defaults.engine.modelPath, databasePath: "/home/u/.local/state/nlserver/nlserver.sqlite"))
        expected.engine.consolidateEvery = .seconds(3600)
        expected.engine.consolidateIdle = .seconds(300)
        expected.engine.consolidateFill = 64
        expected.engine.remeasureTokens = 4096
        #expect(defaults == expected)
        #expect(defaults.description.map(\.option) == ServerOption.allCases.filter { $0 != .config })
    }

    @Test(arguments: [
        (ServerOption.port, "70000", "from 0 to 65535"), (.port, "http", "an integer"),
        (.readOnly, "maybe", "true or false"),
        (.maxBodyBytes, "1TB", "a size"), (.maxBodyBytes, "12", "a size"), (.backend, "cuda", "auto, openblas, onednn"),
        (.weights, "fp4", "auto, f32, bf16, bf16-both, int8"), (.learnPrecision, "f16", "f32, bf16, auto"),
        (.anchorBound, "nan", "a number"), (.shutdownGrace, "-1s", "a duration"), (.idleTimeout, "0", "above 0"),
        (.logLevel, "loud", "trace, debug"), (.host, "", "not empty"), (.maxConcurrent, "0", "from 1"),
        (.consolidateFill, "-1", "from 0"), (.consolidateAt, "0 25 * * *", "hour: '25' is not from 0 to 23"),
        (.consolidateAt, "0 0 31 2 *", "comes in no month"), (.consolidateAt, "0 0 * *", "4 fields; five are"),
    ])
    func aBadValueIsToldWithItsSourceAndWhatIsAccepted(option: ServerOption, value: String, accepted: String) throws {
        for (place, commandLine, environment) in [
            (option.flag, [option: value], [:]), (option.variable, [:], [option.variable: value]),
        ] {
            let error = #expect(throws: ConfigurationError.self) {
                try configuration(commandLine, environment: environment)
            }
            #expect(error?.description.contains(place) == true)
            #expect(error?.description.contains(accepted) == true, "\(error?.description ?? "")")
        }
    }

    @Test func relearningIsRefusedWhereNothingLearns() throws {
        #expect(try configuration([.relearn: "true"]).engine.relearns)
        let error = #expect(throws: ConfigurationError.self) {
            try configuration([.relearn: "true", .readOnly: "true"])
        }
        #expect(error?.description.contains("--read-only") == true)
    }

    @Test func unknownKeysOfTheFileAreRefusedAndUnknownVariablesReported() throws {
        try withFile("prot: 80\n") { path in
            let error = #expect(throws: ConfigurationError.self) { try configuration([.config: path]) }
            #expect(error?.description.contains("'prot'") == true)
            #expect(error?.description.contains("port") == true)
        }
        let sources = try ConfigurationSources(commandLine: [:], environment: ["NLSERVER_PROT": "1", "PATH": "/bin"])
        #expect(sources.unknownVariables == ["NLSERVER_PROT"])
    }

    @Test func aMissingOrBrokenFileIsTold() throws {
        #expect(throws: ConfigurationError.self) { try configuration([.config: "/nonexistent/file.yaml"]) }
        try withFile("a: [1\n") { path in
            #expect(throws: ConfigurationError.self) { try configuration([.config: path]) }
        }
        try withFile("- 1\n") { path in
            #expect(throws: ConfigurationError.self) { try configuration([.config: path]) }
        }
    }

    @Test func theDatabaseFollowsTheXDGRules() {
        #expect(
            DefaultPaths.database(environment: ["XDG_STATE_HOME": "/var/state", "HOME": "/h"])
                == "/var/state/nlserver/nlserver.sqlite")
        #expect(
            DefaultPaths.database(environment: ["XDG_STATE_HOME": "relative", "HOME": "/h"])
                == "/h/.local/state/nlserver/nlserver.sqlite")
    }

    @Test func theShippedModelIsFoundFromTheExecutable() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        let model = root.appending(path: "deploy/model")
        try FileManager.default.createDirectory(at: model, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: root) }
        try "{}".write(to: model.appending(path: "config.json"), atomically: true, encoding: .utf8)
        let executable = root.appending(path: ".build/x86_64/release/nlserver")
        #expect(DefaultPaths.model(executable: executable, workingDirectory: "/nonexistent") == model.path)
        #expect(DefaultPaths.model(executable: nil, workingDirectory: "/nonexistent") == "/nonexistent/deploy/model")
    }
}
