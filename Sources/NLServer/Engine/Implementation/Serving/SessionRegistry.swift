import Foundation
import NLCore
import Store
import Synchronization

/// Who holds which session, and the states of those used last, so that a session that goes on need not be read from
/// disk. A session is checked out to one request at a time.
final class SessionRegistry: Sendable {
    private struct State {
        var inUse: Set<String> = []
        var cached: [String: SessionContent] = [:]
        /// Least recently used first.
        var order: [String] = []
    }

    /// States kept in memory; each is a few megabytes.
    private static let capacity = 32
    private let state = Mutex(State())

    /// Takes a session for one request.
    ///
    /// - Returns: its state if it is in memory.
    /// - Throws: ``EngineError/sessionInUse(id:)``.
    func checkOut(_ id: String) throws(EngineError) -> SessionContent? {
        let taken: (Bool, SessionContent?) = state.withLock { state in
            guard state.inUse.insert(id).inserted else { return (false, nil) }
            return (true, state.cached[id])
        }
        guard taken.0 else { throw .sessionInUse(id: id) }
        return taken.1
    }

    /// Gives a session back.
    ///
    /// - Parameter content: what it is now; nil leaves it as it was.
    func checkIn(_ id: String, _ content: SessionContent?) {
        state.withLock { state in
            state.inUse.remove(id)
            guard let content else { return }
            state.cached[id] = content
            state.order.removeAll { $0 == id }
            state.order.append(id)
            while state.order.count > Self.capacity { state.cached[state.order.removeFirst()] = nil }
        }
    }

    /// Forgets a session that was deleted.
    func drop(_ id: String) {
        state.withLock { state in
            state.inUse.remove(id)
            state.cached[id] = nil
            state.order.removeAll { $0 == id }
        }
    }

    func isInUse(_ id: String) -> Bool { state.withLock { $0.inUse.contains(id) } }

    var inUseCount: Int { state.withLock { $0.inUse.count } }
}
