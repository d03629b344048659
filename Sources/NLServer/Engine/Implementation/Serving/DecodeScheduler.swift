import Foundation
import NLCore
import Synchronization

/// The decode thread: advances all running generations and scorings, one batch a step, so that the weights are read
/// once for all of them.
///
/// Between two steps it looks at who went away, who has room again, and who may join. Whoever writes gets one token a
/// step; input is read in segments, of which a step takes a bounded number of tokens, so that nobody's writing waits
/// for long behind another's reading.
final class DecodeScheduler: Sendable {
    /// Tokens of input read in one step, all tasks together, beyond the first segment.
    private static let readingBudget = 256

    /// Makes a task on the decode thread.
    typealias Admission = @Sendable () throws(EngineError) -> any RunningTask

    private struct Entry {
        let make: Admission
        let refuse: @Sendable (EngineError) -> Void
    }

    private struct State {
        var queue: [Entry] = []
        var running = 0
        var wakes = 0
        var isStopping = false
        var isDead = false
        /// When the step that is being computed began; nil between steps.
        var stepBegan: ContinuousClock.Instant?
    }

    private let state = Monitor(State())
    private let queueLimit: Int
    private let batchLimit: Int
    private let thread = Mutex<Thread?>(nil)

    init(queueLimit: Int, batchLimit: Int) {
        self.queueLimit = queueLimit
        self.batchLimit = batchLimit
        let thread = Thread { [self] in run() }
        thread.name = "nl-decode"
        thread.stackSize = 8 << 20
        self.thread.withLock { $0 = thread }
        thread.start()
    }

    /// Queues a task.
    ///
    /// - Parameters:
    ///   - make: builds it, on the decode thread, when its turn has come.
    ///   - refuse: called instead when it can't be built, or the thread stops first.
    /// - Throws: ``EngineError/overloaded(queue:retryAfter:)``, ``EngineError/unavailable(reason:retryAfter:)``.
    func submit(
        _ make: @escaping Admission, refuse: @escaping @Sendable (EngineError) -> Void
    ) throws(EngineError) {
        let (isOpen, hasRoom) = state.update { state in
            guard !state.isStopping else { return (false, false) }
            guard state.queue.count < queueLimit else { return (true, false) }
            state.queue.append(Entry(make: make, refuse: refuse))
            return (true, true)
        }
        guard isOpen else { throw .unavailable(reason: "the daemon is shutting down", retryAfter: .seconds(5)) }
        guard hasRoom else { throw .overloaded(queue: "generation", retryAfter: .seconds(1)) }
    }

    /// Something outside has changed: a consumer has room again, or is gone.
    func wake() { state.update { $0.wakes += 1 } }

    /// Ends the thread. What runs is cut off.
    func stop() {
        state.update { $0.isStopping = true }
        state.wait { $0.isDead }
    }

    var counts: (queued: Int, running: Int) { state.withLock { ($0.queue.count, $0.running) } }

    /// How long the step that is being computed has taken.
    var stepAge: Duration? { state.withLock { $0.stepBegan?.duration(to: .now) } }

    // MARK: - The thread

    private func run() {
        var tasks: [any RunningTask] = []
        var seen = 0
        while true {
            let (entries, wakes, isStopping) = state.withLock { state in
                let free = max(batchLimit - tasks.count, 0)
                let entries = state.isStopping ? state.queue : Array(state.queue.prefix(free))
                state.queue.removeFirst(entries.count)
                state.running = tasks.count + entries.count
                return (entries, state.wakes, state.isStopping)
            }
            if isStopping {
                let error = EngineError.cancelled(reason: "the daemon is shutting down")
                for entry in entries { entry.refuse(error) }
                for task in tasks { task.close(error) }
                state.update {
                    $0.running = 0
                    $0.isDead = true
                }
                return
            }
            for entry in entries {
                do throws(EngineError) {
                    tasks.append(try entry.make())
                } catch {
                    entry.refuse(error)
                }
            }
            state.withLock { $0.stepBegan = .now }
            let isBusy = step(&tasks)
            state.withLock {
                $0.stepBegan = nil
                $0.running = tasks.count
            }
            if !isBusy {
                // Nobody could be advanced: all wait for their consumers, or there is nobody.
                state.wait { $0.isStopping || $0.wakes != wakes || (!$0.queue.isEmpty && tasks.count < batchLimit) }
            }
            seen = wakes
        }
    }

    /// Advances whoever can be; says whether anybody was.
    private func step(_ tasks: inout [any RunningTask]) -> Bool {
        var budget = Self.readingBudget
        var batches: [ObjectIdentifier: (space: PublishedSpace, tasks: [any RunningTask], inputs: [StreamInput<Float>])] = [:]
        for task in tasks where !task.isOver {
            guard budget > 0 else { break }
            do throws(EngineError) {
                guard let input = try task.nextInput(limit: budget) else { continue }
                budget -= input.tokens.count > 1 ? input.tokens.count : 0
                batches[ObjectIdentifier(task.space), default: (task.space, [], [])].tasks.append(task)
                batches[ObjectIdentifier(task.space)]?.inputs.append(input)
            } catch {
                task.close(error)
            }
        }
        for key in batches.keys.sorted(by: { $0.hashValue < $1.hashValue }) {
            guard let batch = batches.removeValue(forKey: key) else { continue }
            advance(batch.tasks, batch.inputs, batch.space)
            budget = -1
        }
        let over = tasks.filter(\.isOver)
        tasks.removeAll(where: \.isOver)
        for task in over { task.close(nil) }
        // Those that were passed over go first next time.
        if tasks.count > 1 { tasks.append(tasks.removeFirst()) }
        return budget == -1 || !over.isEmpty
    }

    private func advance(_ tasks: [any RunningTask], _ inputs: [StreamInput<Float>], _ space: PublishedSpace) {
        var inputs = inputs
        do throws(StreamError) {
            let logits = try StreamingHope.advance(&inputs, weights: space.weights)
            for (index, task) in tasks.enumerated() {
                let after = inputs[index].state
                do throws(EngineError) {
                    try task.take(after, logits: logits[index])
                } catch {
                    task.close(error)
                }
            }
        } catch {
            // Tokens are checked before they come here, so this is a fault of ours; nobody's state has changed.
            for task in tasks { task.close(.numerics(message: "The batch could not be read: \(error).")) }
        }
    }
}
