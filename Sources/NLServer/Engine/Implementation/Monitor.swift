import Glibc

/// A value that threads share and wait on: a mutex and a condition variable.
///
/// For dedicated threads only: ``wait(until:_:)`` blocks, which a thread of the cooperative pool must not.
///
/// `@unchecked Sendable`: `value` is touched with the mutex held, and by nothing else.
final class Monitor<Value: Sendable>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var value: Value

    init(_ value: Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Deadlines must not move when somebody sets the wall clock.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Reads the value, or changes it where no waiter needs to know. Short: no compute, no database, no other lock.
    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    /// Changes the value and wakes every waiter.
    @discardableResult
    func update<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return try body(&value)
    }

    /// Blocks until `condition` holds of the value or the deadline has passed; nil waits without end.
    ///
    /// - Returns: whether the condition holds.
    @discardableResult
    func wait(until deadline: ContinuousClock.Instant? = nil, _ condition: (inout Value) -> Bool) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if condition(&value) { return true }
            guard let deadline else {
                pthread_cond_wait(changed, mutex)
                continue
            }
            let rest = ContinuousClock.now.duration(to: deadline)
            guard rest > .zero else { return false }
            var moment = monotonic(after: rest)
            pthread_cond_timedwait(changed, mutex, &moment)
        }
    }

    /// The moment on `CLOCK_MONOTONIC` that lies `duration` ahead, at most a day.
    private func monotonic(after duration: Duration) -> timespec {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let (seconds, attoseconds) = min(duration, .seconds(86_400)).components
        let nanoseconds = now.tv_nsec + Int(attoseconds / 1_000_000_000)
        return timespec(
            tv_sec: now.tv_sec + Int(seconds) + nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
    }
}
