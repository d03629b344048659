import Foundation
import NLCore
import Synchronization

/// The decode thread: advances all running generations and scorings, one batch a step, so that the weights are read
/// once for all of them.
///
/// Between two steps it looks at who went away, who has room again, and who may join. Whoever writes gets one token a
/// step; input is read in segments, of which a step takes a bounded number, so that nobody's writing waits for long
/// behind another's reading. A task whose consumer is behind waits aside and keeps nobody from running.
final class DecodeScheduler: Sendable {
    /// A request that waits for its turn.
    struct Entry: Sendable {
        /// Builds the task, on the decode thread, when its turn has come.
        let make: @Sendable () throws(EngineError) -> any RunningTask
        /// Called instead when it can't be built, when nobody wants it any more, or when the thread stops first.
        let refuse: @Sendable (EngineError) -> Void
        /// Whether its consumer is still there.
        let isWanted: @Sendable () -> Bool
    }

    private struct State {
        /// Requests that have reserved a place and not released it.
        var places = 0
        var inbox: [Entry] = []
        /// What the thread has taken from the inbox and not begun, and what it runs.
        var waiting = 0
        var running = 0
        /// Counts ``wake()``: a wake-up during a step must not be lost.
        var wakes = 0
        var isStopping = false
        var isDead = false
        /// When the step that is being computed began; nil between steps.
        var stepBegan: ContinuousClock.Instant?
    }

    private let state = Monitor(State())
    private let placeLimit: Int
    private let batchLimit: Int

    /// Starts the thread, which runs until ``stop()``.
    ///
    /// - Parameters:
    ///   - queueLimit: most requests that wait for a place in the batch, or aside for their consumers.
    ///   - batchLimit: most tasks that a step advances.
    init(queueLimit: Int, batchLimit: Int) {
        self.batchLimit = max(batchLimit, 1)
        placeLimit = self.batchLimit + max(queueLimit, 0)
        let thread = Thread { [self] in run() }
        thread.name = "nl-decode"
        thread.start()
    }

    // MARK: - From any thread

    /// Takes a place for a request that is about to be submitted. Pair with ``release()``.
    ///
    /// - Throws: ``EngineError/overloaded(queue:retryAfter:)``, ``EngineError/unavailable(reason:retryAfter:)``.
    func reserve() throws(EngineError) {
        let (isStopping, hasRoom) = state.withLock { state in
            let hasRoom = state.places < placeLimit
            if !state.isStopping && hasRoom { state.places += 1 }
            return (state.isStopping, hasRoom)
        }
        if isStopping { throw .unavailable(reason: "the daemon is shutting down", retryAfter: .seconds(5)) }
        if !hasRoom { throw .overloaded(queue: "generation", retryAfter: .seconds(1)) }
    }

    /// Gives a place back.
    func release() { state.withLock { $0.places -= 1 } }

    /// Queues a request that has a place. Exactly one of `make` and `refuse` is called; both, if `make` throws.
    func submit(_ entry: Entry) {
        let isOpen = state.update { state in
            if !state.isStopping { state.inbox.append(entry) }
            return !state.isStopping
        }
        if !isOpen { entry.refuse(.shuttingDown) }
    }

    /// Something outside has changed: a consumer has room again, or is gone.
    func wake() { state.update { $0.wakes += 1 } }

    /// Ends the thread; what waits or runs is cut off. Blocks until that is done.
    func stop() {
        state.update { $0.isStopping = true }
        state.wait { $0.isDead }
    }

    /// Requests that wait, and tasks that run or wait aside.
    var counts: (queued: Int, running: Int) { state.withLock { ($0.inbox.count + $0.waiting, $0.running) } }

    /// How long the step that is being computed has taken.
    var stepAge: Duration? { state.withLock { $0.stepBegan?.duration(to: .now) } }

    // MARK: - The thread

    private func run() {
        var waiting: [Entry] = []
        var steps = DecodeSteps(batchLimit: batchLimit)
        while true {
            let (wakes, isStopping) = state.withLock { state in
                waiting += state.inbox
                state.inbox = []
                return (state.wakes, state.isStopping)
            }
            if isStopping {
                for entry in waiting { entry.refuse(.shuttingDown) }
                steps.cut(.shuttingDown)
                state.update { ($0.waiting, $0.running, $0.isDead) = (0, 0, true) }
                return
            }
            steps.sweep()
            admit(&waiting, to: &steps)
            state.withLock { ($0.waiting, $0.running, $0.stepBegan) = (waiting.count, steps.count, .now) }
            let didWork = steps.step()
            state.withLock { $0.stepBegan = nil }
            // Nobody is there, or all wait for their consumers; then none is waiting, since there was room for it.
            if !didWork { state.wait { $0.isStopping || $0.wakes != wakes || !$0.inbox.isEmpty } }
        }
    }

    /// Begins what there is room for, in the order of arrival.
    private func admit(_ waiting: inout [Entry], to steps: inout DecodeSteps) {
        var left: [Entry] = []
        for entry in waiting {
            if !entry.isWanted() {
                entry.refuse(.cancelled(reason: "the client went away"))
            } else if steps.activeCount < batchLimit {
                do throws(EngineError) {
                    steps.add(try entry.make())
                } catch {
                    entry.refuse(error)
                }
            } else {
                left.append(entry)
            }
        }
        waiting = left
    }
}

extension EngineError {
    static let shuttingDown = EngineError.cancelled(reason: "the daemon is shutting down")
}
