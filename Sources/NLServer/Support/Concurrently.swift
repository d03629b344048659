import Foundation
import Synchronization

/// Something computed on a thread of its own while the caller goes on.
final class Concurrently<Value: Sendable>: Sendable {
    private let result = Mutex<Value?>(nil)
    private let isDone = DispatchSemaphore(value: 0)

    /// Begins.
    init(_ body: @escaping @Sendable () -> Value) {
        Thread.detachNewThread { [self] in
            let value = body()
            result.withLock { $0 = value }
            isDone.signal()
        }
    }

    /// The result, waited for.
    var value: Value {
        isDone.wait()
        defer { isDone.signal() }
        guard let value = result.withLock({ $0 }) else { preconditionFailure("the thread signals with its result") }
        return value
    }
}
