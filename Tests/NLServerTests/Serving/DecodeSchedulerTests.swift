import Foundation
import Synchronization
import Testing

@testable import NLCore
@testable import NLServer

/// Would catch: a decode thread that spins, sleeps through a wake-up, forgets a request, or copies states.
@Suite(.timeLimit(.minutes(10))) struct DecodeSchedulerTests {
    private let home: EngineHome
    private let model: LoadedModel
    private let space: PublishedSpace

    init() throws {
        home = try EngineHome()
        model = try LoadedModel(directory: home.model.path)
        space = try PublishedSpace(
            name: "default", generation: 0, published: .now,
            levels: SpaceLevels(model.configuration, base: model.base), lastUpdates: [:], layout: ReadingLayout(.f32))
    }

    /// What a task of the tests is told and tells.
    private final class Log: Sendable {
        struct Entries {
            /// Steps the task may still be part of.
            var allowed = 0
            var isGone = false
            var asked = 0
            var steps: [Int] = []
            var states: [ObjectIdentifier] = []
            var ends: [EngineError?] = []
        }
        let entries = Mutex(Entries())
    }

    /// Reads one token a step, as long as its log allows.
    private final class Stepper: RunningTask {
        let space: PublishedSpace
        private let log: Log
        private let clock: Log
        private var state: StreamState<Float>

        /// - Parameter clock: counts steps of all that share it.
        init(_ log: Log, clock: Log, _ space: PublishedSpace) {
            self.log = log
            self.clock = clock
            self.space = space
            state = StreamState(space.levels.configuration)
        }

        var isOver: Bool { log.entries.withLock { $0.isGone } }

        var nextCost: Int? {
            log.entries.withLock { entries in
                entries.asked += 1
                return entries.allowed > 0 ? 0 : nil
            }
        }

        func nextInput() throws(EngineError) -> StreamInput<Float>? {
            log.entries.withLock { $0.allowed -= 1 }
            return StreamInput(state: state.handOver(), tokens: [5])
        }

        func take(_ state: StreamState<Float>, logits: Tensor<Float>) throws(EngineError) {
            self.state = state
            let step = clock.entries.withLock { entries in
                entries.asked += 1
                return entries.asked
            }
            let open = ObjectIdentifier(state.layers[0].open)
            log.entries.withLock { entries in
                entries.steps.append(step)
                entries.states.append(open)
            }
        }

        func close(_ error: EngineError?) { log.entries.withLock { $0.ends.append(error) } }
    }

    private func entry(_ log: Log, clock: Log = Log(), refused: Log = Log()) -> DecodeScheduler.Entry {
        DecodeScheduler.Entry(
            make: { [space] () throws(EngineError) in Stepper(log, clock: clock, space) },
            refuse: { error in refused.entries.withLock { $0.ends.append(error) } },
            isWanted: { !log.entries.withLock { $0.isGone } })
    }

    @Test func itSleepsUntilItIsWoken() async throws {
        let scheduler = DecodeScheduler(queueLimit: 4, batchLimit: 2)
        let log = Log()
        scheduler.submit(entry(log))
        try await eventually { scheduler.counts.running == 1 }
        try await Task.sleep(for: .milliseconds(20))
        let asked = log.entries.withLock { $0.asked }
        try await Task.sleep(for: .milliseconds(150))
        #expect(log.entries.withLock { $0.asked } == asked, "it spins")
        // Woken a thousand times, each for one step, sometimes while it computes: none is lost.
        for step in 1...1_000 {
            log.entries.withLock { $0.allowed += 1 }
            scheduler.wake()
            if step % 10 == 0 { try await eventually { log.entries.withLock { $0.steps.count } == step } }
        }
        log.entries.withLock { $0.isGone = true }
        scheduler.wake()
        try await eventually { scheduler.counts.running == 0 }
        #expect(log.entries.withLock { $0.ends } == [nil])
        scheduler.stop()
    }

    @Test func readingOnCopiesNoState() async throws {
        let scheduler = DecodeScheduler(queueLimit: 4, batchLimit: 4)
        let logs = (0..<3).map { _ in Log() }
        for log in logs {
            log.entries.withLock { $0.allowed = 40 }
            scheduler.submit(entry(log))
        }
        for log in logs {
            try await eventually { log.entries.withLock { $0.states.count } == 40 }
            #expect(Set(log.entries.withLock { $0.states }).count == 1)
        }
        scheduler.stop()
    }

    /// More that can go on than a step takes: all go on, evenly, and none that wait aside count.
    @Test func turnsAreTaken() async throws {
        let scheduler = DecodeScheduler(queueLimit: 8, batchLimit: 2)
        let (clock, logs) = (Log(), (0..<5).map { _ in Log() })
        for log in logs { scheduler.submit(entry(log, clock: clock)) }
        try await eventually { scheduler.counts.running == 5 }
        for log in logs { log.entries.withLock { $0.allowed = 40 } }
        scheduler.wake()
        for log in logs { try await eventually { log.entries.withLock { $0.steps.count } == 40 } }
        for log in logs {
            let steps = log.entries.withLock { $0.steps }
            let gaps = zip(steps.dropFirst(), steps).map { $0 - $1 }
            // Five tasks, two a step: every task is among three steps in a row, that is, six turns.
            #expect((gaps.max() ?? 0) <= 6, "\(gaps)")
            #expect((steps.first ?? 0) <= 6)
        }
        scheduler.stop()
    }

    @Test func stoppingEndsEverythingOnce() async throws {
        let scheduler = DecodeScheduler(queueLimit: 4, batchLimit: 1)
        let (running, waiting, late, refused) = (Log(), Log(), Log(), Log())
        running.entries.withLock { $0.allowed = .max }
        scheduler.submit(entry(running))
        try await eventually { running.entries.withLock { $0.steps.count } > 3 }
        scheduler.submit(entry(waiting, refused: refused))
        #expect(scheduler.counts.queued == 1)
        await withCheckedContinuation { continuation in
            Thread {
                scheduler.stop()
                continuation.resume()
            }.start()
        }
        scheduler.submit(entry(late, refused: refused))
        #expect(running.entries.withLock { $0.ends } == [.shuttingDown])
        #expect(refused.entries.withLock { $0.ends } == [.shuttingDown, .shuttingDown])
        #expect(waiting.entries.withLock { $0.asked } == 0 && late.entries.withLock { $0.asked } == 0)
        #expect(throws: EngineError.unavailable(reason: "the daemon is shutting down", retryAfter: .seconds(5))) {
            try scheduler.reserve()
        }
    }

    @Test func oneThatCannotBeReadFailsAlone() async throws {
        let scheduler = DecodeScheduler(queueLimit: 4, batchLimit: 4)
        let (good, refused) = (Log(), Log())
        good.entries.withLock { $0.allowed = 20 }
        scheduler.submit(entry(good))
        scheduler.submit(
            DecodeScheduler.Entry(
                make: { () throws(EngineError) in throw .notFound(.space, id: "gone") },
                refuse: { error in refused.entries.withLock { $0.ends.append(error) } }, isWanted: { true }))
        try await eventually { good.entries.withLock { $0.steps.count } == 20 }
        try await eventually { refused.entries.withLock { $0.ends } == [.notFound(.space, id: "gone")] }
        scheduler.stop()
    }
}
