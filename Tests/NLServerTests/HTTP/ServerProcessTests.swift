import Foundation
import Logging
import Testing

@testable import NLServer

/// Catches a daemon that does not end when told to, ends without persisting, or hides why it cannot start. Each runs in
/// a process of its own, because signals are the process's.
@Suite(.timeLimit(.minutes(10))) struct ServerProcessTests {
    /// Runs the daemon on a free port until it ends by itself or by what `during` does.
    private static func serve(
        _ engine: InMemoryEngine, grace: Duration = .seconds(20),
        during body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        let port = Int.random(in: 20_000..<32_000)
        var configuration = ServerConfiguration(engine: EngineConfiguration(modelPath: "", databasePath: ""))
        (configuration.port, configuration.shutdownGrace) = (port, grace)
        var logger = Logger(label: "test")
        logger.logLevel = .error
        let process = ServerProcess(engine: engine, configuration: configuration, logger: logger)
        async let result: Void = process.run()
        while !engine.health().isReady { try await Task.sleep(for: .milliseconds(5)) }
        try await body(port)
        try await result
    }

    private static func connection(_ port: Int) async throws -> RawConnection {
        for _ in 0..<200 {
            if let connection = try? RawConnection(port: port) { return connection }
            try await Task.sleep(for: .milliseconds(10))
        }
        return try RawConnection(port: port)
    }

    @Test func theFirstSignalLetsStreamsFinishAndTheEngineShutDown() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let engine = InMemoryEngine(.init(tokenDelay: .milliseconds(10)))
            try await Self.serve(engine) { port in
                let connection = try await Self.connection(port)
                try await connection.post("/v1/completions", json: #"{"prompt":"x","max_tokens":40,"stream":true}"#)
                _ = try await connection.receive(until: "data: ")
                kill(getpid(), SIGTERM)
                let rest = try await connection.receive(until: "0\r\n\r\n")
                precondition(rest.contains("[DONE]"), "the stream was cut: \(rest)")
            }
            precondition(engine.health().phase == .stopped, "the engine was not shut down")
        }
    }

    @Test func theEndOfTheGracePeriodCutsAndStillExitsWithZero() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let engine = InMemoryEngine(.init(tokenDelay: .milliseconds(10)))
            try await Self.serve(engine, grace: .milliseconds(200)) { port in
                let connection = try await Self.connection(port)
                try await connection.post("/v1/completions", json: #"{"prompt":"x","max_tokens":4000,"stream":true}"#)
                _ = try await connection.receive(until: "data: ")
                kill(getpid(), SIGTERM)
                let rest = try await connection.receive(until: "0\r\n\r\n")
                precondition(rest.contains("grace period"), "no word of the cut: \(rest)")
            }
            precondition(engine.health().phase == .stopped, "the engine was not shut down")
        }
    }

    @Test func aClientThatTakesNothingDoesNotHoldTheExitUp() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let engine = InMemoryEngine()
            let start = ContinuousClock.now
            try await Self.serve(engine, grace: .milliseconds(200)) { port in
                let connection = try await Self.connection(port)
                try await connection.post("/v1/completions", json: #"{"prompt":"x","max_tokens":4096,"stream":true}"#)
                _ = await connection.receive(atMost: 10)
                kill(getpid(), SIGTERM)
                try await Task.sleep(for: .milliseconds(300))
                _ = connection
            }
            precondition(ContinuousClock.now - start < .seconds(10), "the exit took too long")
            precondition(engine.health().phase == .stopped, "the engine was not shut down")
        }
    }

    @Test func theSecondSignalExitsAtOnce() async {
        await #expect(processExitsWith: .exitCode(130)) {
            let engine = InMemoryEngine(.init(tokenDelay: .milliseconds(10)))
            try await Self.serve(engine) { port in
                let connection = try await Self.connection(port)
                try await connection.post("/v1/completions", json: #"{"prompt":"x","max_tokens":4000,"stream":true}"#)
                _ = try await connection.receive(until: "data: ")
                kill(getpid(), SIGTERM)
                while engine.health().phase != .draining { try await Task.sleep(for: .milliseconds(5)) }
                kill(getpid(), SIGINT)
                try await Task.sleep(for: .seconds(10))
            }
        }
    }

    @Test func aSignalWhileLoadingEndsTheLoading() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let engine = InMemoryEngine(.init(startDelay: .seconds(30)))
            var configuration = ServerConfiguration(engine: EngineConfiguration(modelPath: "", databasePath: ""))
            configuration.port = 0
            var logger = Logger(label: "test")
            logger.logLevel = .error
            let process = ServerProcess(engine: engine, configuration: configuration, logger: logger)
            async let result: Void = process.run()
            try await Task.sleep(for: .milliseconds(300))
            kill(getpid(), SIGTERM)
            try await result
            precondition(engine.health().phase == .stopped, "the engine was not shut down")
        }
    }

    @Test func anEngineThatCannotStartEndsTheProcessWithItsReason() async {
        await #expect(processExitsWith: .exitCode(3)) {
            let error = EngineError.modelDirectory(path: "/m", message: "config.json is missing")
            let engine = InMemoryEngine(.init(startFailure: error))
            var configuration = ServerConfiguration(engine: EngineConfiguration(modelPath: "", databasePath: ""))
            configuration.port = 0
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            do {
                try await ServerProcess(engine: engine, configuration: configuration, logger: logger).run()
            } catch let found as EngineError where found == error {
                exit(3)
            }
        }
    }
}
