import Dispatch
import Store

/// The database for `async` callers: its blocking calls run on a queue of their own, one after the other, so that
/// the cooperative pool's few threads are never asleep in `fsync`.
final class DatabaseAccess: Sendable {
    private let store: MemoryStore
    private let queue = DispatchQueue(label: "nlserver.database", qos: .userInitiated)

    init(_ store: MemoryStore) { self.store = store }

    /// Runs `body` on the queue.
    ///
    /// - Throws: what `body` throws; a ``StoreError`` as the ``EngineError`` it means to a caller.
    func callAsFunction<Value: Sendable>(
        _ body: @escaping @Sendable (MemoryStore) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [store] in
                continuation.resume(with: Result { try EngineError.translating { try body(store) } })
            }
        }
    }
}
