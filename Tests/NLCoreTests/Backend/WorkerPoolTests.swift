import Glibc
import Synchronization
import Testing

@testable import NLCore

/// Would catch a lost or repeated index, a section that returns early, and workers that disturb one another.
@Suite(.timeLimit(.minutes(10)))
struct WorkerPoolTests {
    @Test(arguments: [1, 2, 3, 5], [0, 1, 2, 3, 17, 1000])
    func everyIndexRunsOnce(threads: Int, count: Int) {
        let pool = WorkerPool(threads: threads, name: "test", nice: 0)
        defer { pool.stop() }
        for round in 0..<20 {
            let runs = Counters(count)
            pool.asCurrent { inParallel(count) { runs.increment($0) } }
            #expect(runs.values == Array(repeating: 1, count: count), "round \(round)")
        }
    }

    @Test func sectionsAfterSleepAreRunToo() {
        let pool = WorkerPool(threads: 3, name: "test", nice: 0)
        defer { pool.stop() }
        for _ in 0..<20 {
            usleep(500)  // beyond the spinning time
            let runs = Counters(9)
            pool.run(9) { runs.increment($0) }
            #expect(runs.values == Array(repeating: 1, count: 9))
        }
    }

    @Test func workIsSharedWhenTheCallerIsSlow() {
        let pool = WorkerPool(threads: 2, name: "test", nice: 0)
        defer { pool.stop() }
        let threadIDs = Mutex(Set<pthread_t>())
        usleep(20_000)  // the worker is asleep by now, and has to be woken
        pool.run(2) { _ in
            _ = threadIDs.withLock { $0.insert(pthread_self()) }
            usleep(100_000)  // whoever took the first index sleeps: the other must come for the second
        }
        #expect(threadIDs.withLock { $0.count } == 2)
    }

    @Test func nestedSectionsRunOnTheThreadTheyAreIn() {
        let pool = WorkerPool(threads: 3, name: "test", nice: 0)
        defer { pool.stop() }
        let other = WorkerPool(threads: 3, name: "test", nice: 0)
        defer { other.stop() }
        let runs = Counters(4 * 50)
        let strays = Atomic(0)
        pool.asCurrent {
            inParallel(4) { outer in
                let thread = pthread_self()
                other.asCurrent {
                    inParallel(50) { inner in
                        runs.increment(outer * 50 + inner)
                        usleep(10)
                        if pthread_equal(thread, pthread_self()) == 0 { strays.wrappingAdd(1, ordering: .relaxed) }
                    }
                }
            }
        }
        #expect(runs.values == Array(repeating: 1, count: 200))
        #expect(strays.load(ordering: .relaxed) == 0)
    }

    @Test func callersThatMeetDoNotMixTheirSections() async {
        let pool = WorkerPool(threads: 3, name: "test", nice: 0)
        defer { pool.stop() }
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    (0..<300).allSatisfy { _ in
                        let runs = Counters(7)
                        pool.run(7) { runs.increment($0) }
                        return runs.values == Array(repeating: 1, count: 7)
                    }
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }

    @Test func stoppedPoolStillComputes() {
        let pool = WorkerPool(threads: 3, name: "test", nice: 0)
        pool.stop()
        let runs = Counters(5)
        pool.run(5) { runs.increment($0) }
        #expect(runs.values == [1, 1, 1, 1, 1])
    }

    @Test func lanesHaveTheirOwnWorkersAndPriority() {
        #expect(WorkerPool.current === WorkerPool.serving)
        withComputeLane(.learning) {
            #expect(WorkerPool.current === WorkerPool.learning)
            withComputeLane(.serving) { #expect(WorkerPool.current === WorkerPool.serving) }
            #expect(WorkerPool.current === WorkerPool.learning)
        }
        #expect(WorkerPool.current === WorkerPool.serving)

        let pool = WorkerPool(threads: 2, name: "test-nice", nice: ComputeLane.learningNice)
        defer { pool.stop() }
        let priorities = Mutex(Set<Int32>())
        let names = Mutex(Set<String>())
        let before = niceOfThisThread()
        pool.run(2) { _ in
            _ = priorities.withLock { $0.insert(niceOfThisThread()) }
            _ = names.withLock { $0.insert(nameOfThisThread()) }
            usleep(100_000)
        }
        #expect(priorities.withLock { $0 } == [before, min(before + ComputeLane.learningNice, 19)])
        #expect(names.withLock { $0.contains("test-nice-1") })
        #expect(niceOfThisThread() == before)
    }

    @Test func budgetIsSetOnceAtMost() {
        let threads = ComputeBudget.threads
        #expect(threads >= 1)
        #expect(throws: ComputeBudgetError.outOfRange(0, maximum: 1024)) { try ComputeBudget.setThreads(0) }
        #expect(throws: ComputeBudgetError.alreadyInUse(threads: threads)) {
            try ComputeBudget.setThreads(threads + 1)
        }
        #expect(ComputeBudget.threads == threads)
    }
}

/// One counter per index, for threads to increment.
private final class Counters: Sendable {
    private nonisolated(unsafe) let counters: UnsafeMutablePointer<Atomic<Int>>
    private let count: Int

    init(_ count: Int) {
        self.count = count
        counters = .allocate(capacity: count)
        for index in 0..<count { (counters + index).initialize(to: Atomic(0)) }
    }

    deinit {
        counters.deinitialize(count: count)
        counters.deallocate()
    }

    var values: [Int] { (0..<count).map { counters[$0].load(ordering: .relaxed) } }

    func increment(_ index: Int) { counters[index].wrappingAdd(1, ordering: .relaxed) }
}

private func niceOfThisThread() -> Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }

private func nameOfThisThread() -> String {
    guard let file = fopen("/proc/thread-self/comm", "r") else { return "" }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 32)
    guard fgets(&line, 32, file) != nil else { return "" }
    return String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
