internal import CKernels
internal import Synchronization

/// How many threads the process computes with: one number for serving and learning together.
public enum ComputeBudget {
    /// Threads per parallel section, the caller included. The processors this process may run on, unless set.
    public static var threads: Int {
        let chosen = state.withLock { state in
            state.isUsed = true
            return state.chosen
        }
        return chosen ?? max(1, Int(nl_processor_count()))
    }

    /// Sets the number of threads, once, before anything has computed.
    /// - throws: ``ComputeBudgetError`` when the number is out of range, or work has begun with another one.
    public static func setThreads(_ count: Int) throws(ComputeBudgetError) {
        guard (1...maximum).contains(count) else { throw .outOfRange(count, maximum: maximum) }
        let wasSet = state.withLock { state in
            if state.isUsed { return state.chosen == count }
            state.chosen = count
            return true
        }
        if !wasSet { throw .alreadyInUse(threads: threads) }
    }

    private static let maximum = 1024
    private static let state = Mutex<(chosen: Int?, isUsed: Bool)>((nil, false))
}

/// Why the number of compute threads could not be set.
public enum ComputeBudgetError: Error, Equatable, CustomStringConvertible {
    case outOfRange(Int, maximum: Int)
    case alreadyInUse(threads: Int)

    /// What was wrong, and what to do.
    public var description: String {
        switch self {
        case .outOfRange(let count, let maximum):
            "\(count) compute threads asked for; give a number from 1 to \(maximum)"
        case .alreadyInUse(let threads):
            "the process already computes with \(threads) threads; set the number before the first computation"
        }
    }
}

/// Which workers a thread's parallel sections run on.
public enum ComputeLane: Sendable {
    /// Answers someone is waiting for.
    case serving
    /// Learning: its workers run at a lower priority (nice + 10), so that serving finds the processors free.
    case learning

    static let learningNice: Int32 = 10

    var pool: WorkerPool {
        switch self {
        case .serving: .serving
        case .learning: .learning
        }
    }
}

/// Runs `body` with this thread's parallel sections in `lane`.
///
/// The calling thread's own priority stays as it is; a thread that only learns calls
/// ``lowerPriorityOfThisThread()`` once.
public func withComputeLane<R, E: Error>(_ lane: ComputeLane, _ body: () throws(E) -> R) throws(E) -> R {
    try lane.pool.asCurrent(body)
}

/// Gives the calling thread the priority of ``ComputeLane/learning``'s workers, for good.
public func lowerPriorityOfThisThread() {
    // Needs no permission; a failure would leave the thread as fast as it was.
    _ = nl_lower_thread_priority(ComputeLane.learningNice)
}
