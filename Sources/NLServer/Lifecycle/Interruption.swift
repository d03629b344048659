import Synchronization

/// A moment in the life of the process at which streams are interrupted, each with the same error.
///
/// A stream that began after the moment is interrupted at once.
final class Interruption: Sendable {
    private struct State {
        var hasFired = false
        var nextID = 0
        var handlers: [Int: @Sendable () -> Void] = [:]
    }

    private let error: EngineError
    private let state = Mutex(State())

    /// - Parameter reason: told to every client whose stream is cut.
    init(reason: String) {
        error = .cancelled(reason: reason)
    }

    /// Interrupts every stream under way. Once.
    func fire() {
        let handlers = state.withLock { state in
            state.hasFired = true
            defer { state.handlers = [:] }
            return state.handlers.values
        }
        for handler in handlers { handler() }
    }

    /// Runs `body` with the stream subject to this interruption.
    func covering<Element, Value>(
        _ stream: EventStream<Element>, _ body: (EventStream<Element>) async throws -> Value
    ) async throws -> Value {
        let interrupt: @Sendable () -> Void = { [error] in stream.interrupt(throwing: error) }
        let id: Int? = state.withLock { state in
            guard !state.hasFired else { return nil }
            state.nextID += 1
            state.handlers[state.nextID] = interrupt
            return state.nextID
        }
        guard let id else {
            interrupt()
            return try await body(stream)
        }
        defer { state.withLock { $0.handlers[id] = nil } }
        return try await body(stream)
    }
}

/// The two moments of a shutdown that streams care about.
struct ShutdownMoments: Sendable {
    /// SIGTERM: what has no end of its own stops here: following a job, uploading documents.
    let draining = Interruption(
        reason:
            "The daemon is shutting down. What was acknowledged is kept; unfinished jobs continue at the next start.")
    /// The end of the grace period: what is still generating is cut.
    let deadline = Interruption(reason: "The daemon is shutting down and its grace period is over.")
}
