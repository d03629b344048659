import Foundation
import NLCore
import Store
import Synchronization

/// Generations, scorings and sessions: the reading side of the engine.
final class Serving: Sendable {
    let context: EngineContext
    let scheduler: DecodeScheduler
    let registry = SessionRegistry()
    /// Sessions in the database, for statistics and limits that must not ask it.
    let storedSessions: Mutex<Int>
    /// Sessions being persisted after their last token.
    let saving = Monitor(0)
    private let isDraining = Mutex(false)
    /// Tokenising a long prompt takes a while: not on the cooperative pool.
    private let preparing = DispatchQueue(label: "nlserver.preparing", qos: .userInitiated, attributes: .concurrent)

    /// Starts the decode thread.
    init(_ context: EngineContext) throws {
        self.context = context
        storedSessions = Mutex(try EngineError.translating { try context.store.read { try $0.sessionCount() } })
        scheduler = DecodeScheduler(
            queueLimit: context.configuration.maxQueue, batchLimit: context.configuration.maxConcurrent)
    }

    // MARK: - Life

    func beginDraining() { isDraining.withLock { $0 = true } }

    /// Cuts off what still runs, and waits until every session whose request has ended is on disk.
    func shutdown() async {
        beginDraining()
        await withCheckedContinuation { continuation in
            // A thread of its own: joining must not block the cooperative pool.
            let thread = Thread { [self] in
                scheduler.stop()
                saving.wait { $0 == 0 }
                continuation.resume()
            }
            thread.name = "nl-decode-stop"
            thread.start()
        }
    }

    // MARK: - Standing

    func statistics() -> ServingStatistics {
        let counts = scheduler.counts
        return ServingStatistics(
            queued: counts.queued, running: counts.running, sessionsStored: storedSessions.withLock { $0 },
            sessionsInUse: registry.inUseCount)
    }

    /// A step takes milliseconds; one that takes a minute will not end.
    func stalls() -> [String] {
        guard let age = scheduler.stepAge, age > .seconds(60) else { return [] }
        return ["the decode thread has been in one step for \(age.components.seconds) s"]
    }

    func requireOpen() throws(EngineError) {
        guard !isDraining.withLock({ $0 }) else {
            throw .unavailable(reason: "the daemon is shutting down", retryAfter: .seconds(5))
        }
    }

    func requireWritable(_ action: String) throws(EngineError) {
        if context.configuration.isReadOnly { throw .readOnly(action: action) }
    }

    // MARK: - Parts

    /// Takes a place for a request.
    ///
    /// - Throws: ``EngineError/overloaded(queue:retryAfter:)``, ``EngineError/unavailable(reason:retryAfter:)``.
    func takePlace() throws(EngineError) -> RequestHold {
        try requireOpen()
        return try RequestHold.take(from: scheduler, registry, context.priority)
    }

    /// Runs what takes longer than a callback should, off the cooperative pool.
    func prepare<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            preparing.async { continuation.resume(with: Result { try body() }) }
        }
    }
}
