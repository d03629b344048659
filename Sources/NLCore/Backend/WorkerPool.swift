internal import CKernels
internal import Glibc
internal import Synchronization

/// Runs `body(0) … body(count − 1)`, in any order, on the threads the process has for computing.
///
/// The caller takes part and returns when all are done. Sections inside a section, and sections that find their
/// lane's workers taken by another thread, run on the caller alone; so what a body computes must not depend on
/// which thread runs it, nor on how many there are: split work into parts of a fixed size.
func inParallel(_ count: Int, _ body: (Int) -> Void) {
    if count <= 1 || nl_this_thread().pointee.is_inside {
        for index in 0..<max(count, 0) { body(index) }
    } else {
        WorkerPool.current.run(count, body)
    }
}

/// Threads that wait for parallel sections: spinning for a moment after each, since in a forward pass the next one
/// follows within microseconds, then asleep.
///
/// One section at a time. `gate` tells whether one is open and counts the workers inside it: a worker must pass the
/// open gate before it reads the section, and the caller leaves only when the gate is closed and nobody is inside.
/// A worker that wakes too late finds the gate closed and never sees the caller's closure.
final class WorkerPool: Sendable {
    static let serving = WorkerPool(threads: ComputeBudget.threads, name: "nl-serve", nice: 0)
    static let learning = WorkerPool(
        threads: ComputeBudget.threads, name: "nl-learn", nice: ComputeLane.learningNice)

    /// The calling thread's pool.
    static var current: WorkerPool {
        guard let chosen = nl_this_thread().pointee.pool else { return serving }
        return Unmanaged<WorkerPool>.fromOpaque(chosen).takeUnretainedValue()
    }

    /// Threads that take part in a section, the caller included.
    let threads: Int

    /// Of the section's closure, the caller keeps the only reference.
    private struct Section {
        var count = 0
        var body: UnsafePointer<Body>?
    }

    /// A pointer to a bare closure would add one more, allocated, closure around it.
    private struct Body {
        let run: (Int) -> Void
    }

    private static let open: UInt32 = 1 << 31
    /// Long enough to bridge the gaps between the sections of a forward pass; idle workers burn nothing.
    private static let spinNanoseconds: UInt64 = 40_000

    private let isTaken = Atomic(false)
    private let next = Atomic(0)
    private let gate = Atomic<UInt32>(0)
    /// Counts sections, so that a worker looks at each of them once.
    private let generation = Atomic<UInt32>(0)
    private let sleepers = Atomic(0)
    private let isCallerAsleep = Atomic(false)
    private let isStopped = Atomic(false)
    // Written by the owner of `isTaken` while the gate is closed, read inside the gate.
    private nonisolated(unsafe) let section: UnsafeMutablePointer<Section>
    private let workersWake = WaitingRoom()
    private let callerWakes = WaitingRoom()
    private let handles = Mutex<[pthread_t]>([])

    /// A pool of `threads` − 1 workers, for sections that the caller takes part in.
    init(threads: Int, name: String, nice: Int32) {
        self.threads = threads
        section = .allocate(capacity: 1)
        section.initialize(to: Section())
        let started = (1..<max(threads, 1)).compactMap { startWorker("\(name)-\($0)", nice) }
        handles.withLock { $0 = started }
    }

    deinit {
        section.deallocate()
    }

    /// Runs `body` with this pool as the calling thread's own.
    func asCurrent<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        let thread = nl_this_thread()
        let previous = thread.pointee.pool
        thread.pointee.pool = Unmanaged.passUnretained(self).toOpaque()
        defer { thread.pointee.pool = previous }
        return try body()
    }

    /// Ends the workers and waits for them. The pool still runs sections then, on the caller alone.
    func stop() {
        isStopped.store(true, ordering: .sequentiallyConsistent)
        generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
        workersWake.wake(Int.max)
        for handle in handles.withLock({ handles in
            defer { handles = [] }
            return handles
        }) {
            pthread_join(handle, nil)
        }
    }

    // MARK: - The caller

    func run(_ count: Int, _ body: (Int) -> Void) {
        let thread = nl_this_thread()
        let wasInside = thread.pointee.is_inside
        let isMine =
            threads > 1 && count > 1 && !wasInside
            && isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
        guard isMine else {
            for index in 0..<max(count, 0) { body(index) }
            return
        }
        thread.pointee.is_inside = true
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: Body(run: body)) { body in
                section.pointee = Section(count: count, body: body)
                next.store(0, ordering: .relaxed)
                gate.store(Self.open, ordering: .releasing)
                generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
                let asleep = sleepers.load(ordering: .sequentiallyConsistent)
                if asleep > 0 { workersWake.wake(min(asleep, count - 1)) }
                takeIndices()
                waitForWorkers()
            }
        }
        thread.pointee.is_inside = wasInside
        isTaken.store(false, ordering: .releasing)
    }

    private func waitForWorkers() {
        // The order of the operations on `gate` and `isCallerAsleep` is total, so either the last worker sees the
        // caller asleep, or the caller sees the gate empty.
        var inside = gate.bitwiseAnd(~Self.open, ordering: .sequentiallyConsistent).newValue
        guard inside > 0 else { return }
        let deadline = now() + Self.spinNanoseconds
        while inside > 0, now() < deadline {
            for _ in 0..<16 { nl_pause() }
            inside = gate.load(ordering: .acquiring)
        }
        guard inside > 0 else { return }
        isCallerAsleep.store(true, ordering: .sequentiallyConsistent)
        callerWakes.sleep { gate.load(ordering: .sequentiallyConsistent) > 0 }
        isCallerAsleep.store(false, ordering: .sequentiallyConsistent)
    }

    // MARK: - The workers

    private func startWorker(_ name: String, _ nice: Int32) -> pthread_t? {
        final class Start {
            let pool: WorkerPool
            let name: String
            let nice: Int32
            init(_ pool: WorkerPool, _ name: String, _ nice: Int32) {
                self.pool = pool
                self.name = name
                self.nice = nice
            }
        }
        let start = Unmanaged.passRetained(Start(self, name, nice))
        var handle = pthread_t()
        let status = pthread_create(
            &handle, nil,
            { argument in
                let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
                nl_name_thread(start.name)
                if start.nice != 0 { _ = nl_lower_thread_priority(start.nice) }
                nl_this_thread().pointee.is_inside = true
                start.pool.work()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            start.release()  // fewer workers: sections take longer, their results are the same
            return nil
        }
        return handle
    }

    private func work() {
        var seen: UInt32 = 0
        while true {
            seen = waitForGeneration(after: seen)
            if isStopped.load(ordering: .sequentiallyConsistent) { return }
            var state = gate.load(ordering: .relaxed)
            while state & Self.open != 0 {
                let entry = gate.compareExchange(
                    expected: state, desired: state + 1, successOrdering: .acquiring, failureOrdering: .relaxed)
                if entry.exchanged {
                    takeIndices()
                    let left = gate.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue
                    if left == 0, isCallerAsleep.load(ordering: .sequentiallyConsistent) { callerWakes.wake(1) }
                    break
                }
                state = entry.original
            }
        }
    }

    private func waitForGeneration(after seen: UInt32) -> UInt32 {
        var current = generation.load(ordering: .acquiring)
        let deadline = now() + Self.spinNanoseconds
        while current == seen, now() < deadline {
            for _ in 0..<16 { nl_pause() }
            current = generation.load(ordering: .acquiring)
        }
        guard current == seen else { return current }
        sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
        workersWake.sleep { generation.load(ordering: .sequentiallyConsistent) == seen }
        sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        return generation.load(ordering: .acquiring)
    }

    /// Its own function, so that nothing of the closure is still held when the worker leaves the gate.
    @inline(never)
    private func takeIndices() {
        let count = section.pointee.count
        guard let body = section.pointee.body else { return }
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            if index >= count { return }
            body.pointee.run(index)
        }
    }

    private func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}

/// Threads asleep until a condition changes.
private final class WaitingRoom: Sendable {
    private nonisolated(unsafe) let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private nonisolated(unsafe) let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Sleeps while `condition` holds. Whoever ends the condition calls ``wake(_:)`` afterwards.
    func sleep(while condition: () -> Bool) {
        pthread_mutex_lock(mutex)
        while condition() { pthread_cond_wait(changed, mutex) }
        pthread_mutex_unlock(mutex)
    }

    /// Wakes up to `count` sleepers.
    func wake(_ count: Int) {
        pthread_mutex_lock(mutex)
        if count == Int.max {
            pthread_cond_broadcast(changed)
        } else {
            for _ in 0..<count { pthread_cond_signal(changed) }
        }
        pthread_mutex_unlock(mutex)
    }
}
