import Foundation
import Hummingbird
import Logging
import ServiceLifecycle
import UnixSignals

/// One run of the daemon, from its first log line to its exit status.
///
/// The first SIGTERM or SIGINT drains: nothing new is taken, streams finish or are cut at the end of the grace period,
/// the engine persists, exit 0. The second exits at once; what was acknowledged is on disk already. An engine that can't
/// start drains in the same way.
struct ServerProcess: Sendable {
    /// How long after the grace period a connection that takes no bytes is waited for.
    static let margin: Duration = .seconds(3)

    let engine: any ModelEngine
    let configuration: ServerConfiguration
    let logger: Logger

    func run() async throws {
        let shutdown = ShutdownMoments()
        var application = buildApplication(
            engine: engine, configuration: configuration, logger: logger, shutdown: shutdown)
        let (failures, failed) = AsyncStream<any Error>.makeStream()
        application.addServices(EngineService(engine: engine, logger: logger) { failed.yield($0) })
        var group = ServiceGroupConfiguration(services: [application], logger: logger)
        group.maximumGracefulShutdownDuration = configuration.shutdownGrace + Self.margin
        let services = ServiceGroup(configuration: group)
        // Trapped before anything runs: a signal during loading must not find the default action.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let failure = try await withThrowingTaskGroup(of: Void.self, returning: (any Error)?.self) { tasks in
            tasks.addTask {
                var isDraining = false
                for await signal in signals {
                    if isDraining {
                        logger.warning("second signal, exiting at once", metadata: ["signal": "\(signal)"])
                        exit(130)
                    }
                    isDraining = true
                    await drain(services, shutdown, after: "signal \(signal)")
                }
            }
            async let failure: (any Error)? = {
                for await error in failures {
                    await drain(services, shutdown, after: "failure to start")
                    return error
                }
                return nil
            }()
            defer { tasks.cancelAll() }
            try await services.run()
            failed.finish()
            return await failure
        }
        if let failure { throw failure }
    }

    private func drain(_ services: ServiceGroup, _ shutdown: ShutdownMoments, after reason: String) async {
        logger.info(
            "draining",
            metadata: ["reason": .string(reason), "grace_seconds": "\(configuration.shutdownGrace.seconds)"])
        engine.beginDraining()
        shutdown.draining.fire()
        await services.triggerGracefulShutdown()
        let grace = configuration.shutdownGrace
        // Not awaited: the next signal must be heard meanwhile, and the process may end first.
        Task {
            try await Task.sleep(for: grace)
            shutdown.deadline.fire()
        }
    }
}
