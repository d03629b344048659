import Synchronization

/// What a request holds while it is under way: a place with the decode thread, its session, and the learner's patience.
///
/// Given back together, once, by whoever ends the request; at the latest when the last reference to this goes, so that
/// no path can keep a session locked or the learner waiting.
final class RequestHold: Sendable {
    private struct State {
        var isOver = false
        var session: String?
    }

    private let scheduler: DecodeScheduler
    private let registry: SessionRegistry
    private let priority: ServingPriority
    private let state = Mutex(State())

    /// Takes a place.
    ///
    /// - Throws: ``EngineError/overloaded(queue:retryAfter:)``, ``EngineError/unavailable(reason:retryAfter:)``.
    static func take(
        from scheduler: DecodeScheduler, _ registry: SessionRegistry, _ priority: ServingPriority
    ) throws(EngineError) -> RequestHold {
        try scheduler.reserve()
        return RequestHold(scheduler, registry, priority)
    }

    private init(_ scheduler: DecodeScheduler, _ registry: SessionRegistry, _ priority: ServingPriority) {
        self.scheduler = scheduler
        self.registry = registry
        self.priority = priority
        priority.requestBegan()
    }

    deinit { end() }

    /// Takes a session.
    ///
    /// - Returns: its state if it is in memory.
    /// - Throws: ``EngineError/sessionInUse(id:)``.
    func checkOut(_ session: String) throws(EngineError) -> SessionContent? {
        let content = try registry.checkOut(session)
        state.withLock { $0.session = session }
        return content
    }

    /// Gives the session back before the request ends.
    ///
    /// - Parameter content: what it is on disk; nil leaves what is in memory.
    func checkIn(_ content: SessionContent?) {
        let session = state.withLock { $0.session.take() }
        if let session { registry.checkIn(session, content) }
    }

    /// Gives everything back. Only the first call does anything.
    ///
    /// - Parameter content: what the session is on disk now; nil leaves it as it was.
    func end(_ content: SessionContent? = nil) {
        let isFirst = state.withLock { state in
            defer { state.isOver = true }
            return !state.isOver
        }
        guard isFirst else { return }
        checkIn(content)
        scheduler.release()
        priority.requestEnded()
    }
}
