import Logging
import ServiceLifecycle

/// The engine as one service of the process: starts while the server already answers probes, and is shut down after
/// the server has answered its last request.
struct EngineService: Service {
    let engine: any ModelEngine
    let logger: Logger
    /// Told why the engine could not start. Not thrown out of ``run()``: that would cancel the server amid its probes.
    let hasFailed: @Sendable (any Error) -> Void

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await engine.start() }
            logger.info("engine ready")
            try await gracefulShutdown()
        } catch is CancellationError {
            // Cut short, by a signal while loading or by the end of the grace period: what is learned is still kept.
        } catch {
            hasFailed(error)
            try? await gracefulShutdown()
        }
        await engine.shutdown()
        logger.info("engine stopped")
    }
}
