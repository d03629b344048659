import NLCore
import Synchronization

/// Who holds which session, and the states of those used last, so that a session that goes on need not be read from
/// disk. A session is checked out to one request at a time.
final class SessionRegistry: Sendable {
    private struct State {
        var inUse: Set<String> = []
        var cached: [String: SessionContent] = [:]
        /// Least recently used first.
        var order: [String] = []

        mutating func forget(_ id: String) {
            cached[id] = nil
            order.removeAll { $0 == id }
        }
    }

    /// States kept in memory; each is a few megabytes.
    private static let capacity = 32
    private let state = Mutex(State())

    /// Takes a session for one request.
    ///
    /// - Returns: its state if it is in memory.
    /// - Throws: ``EngineError/sessionInUse(id:)``.
    func checkOut(_ id: String) throws(EngineError) -> SessionContent? {
        let (isFree, content) = state.withLock { state in
            (state.inUse.insert(id).inserted, state.cached[id])
        }
        guard isFree else { throw .sessionInUse(id: id) }
        return content
    }

    /// Gives a session back.
    ///
    /// - Parameter content: what it is on disk now; nil leaves it as it was.
    func checkIn(_ id: String, _ content: SessionContent?) {
        state.withLock { state in
            state.inUse.remove(id)
            guard var content else { return }
            content.stream.dropDerived()
            state.forget(id)
            state.cached[id] = content
            state.order.append(id)
            if state.order.count > Self.capacity { state.forget(state.order[0]) }
        }
    }

    /// Gives back a session that was deleted.
    func drop(_ id: String) {
        state.withLock { state in
            state.inUse.remove(id)
            state.forget(id)
        }
    }

    /// Lets go of the states of sessions that were deleted; requests that hold them end by themselves, and cannot
    /// persist them.
    func evict(_ ids: [String]) {
        state.withLock { state in
            for id in ids { state.forget(id) }
        }
    }

    /// A session's state, if it is in memory: what it was when it was last given back.
    func peek(_ id: String) -> SessionContent? { state.withLock { $0.cached[id] } }

    func isInUse(_ id: String) -> Bool { state.withLock { $0.inUse.contains(id) } }

    var inUseCount: Int { state.withLock { $0.inUse.count } }
}
