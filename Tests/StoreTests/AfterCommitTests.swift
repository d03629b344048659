import Dispatch
import Foundation
import Synchronization
import Testing

@testable import Store

/// Would catch: somebody who reads in the database what those told of a commit have not heard yet.
@Suite(.timeLimit(.minutes(10))) struct AfterCommitTests {
    private let database = TemporaryDatabase()

    @Test func whoWaitsForTheDatabaseReadsAfterThoseWhoAreTold() throws {
        let hasRead = DispatchSemaphore(value: 0)
        let reader = Mutex<MemoryStore?>(nil)
        // The reader stands in line before anybody is told.
        let hooks = FaultHooks { point in
            guard point == .afterCommit, let store = reader.withLock({ $0.take() }) else { return }
            Thread.detachNewThread {
                _ = try? store.read { try $0.jobCounts() }
                hasRead.signal()
            }
        }
        let (store, _) = try MemoryStore.open(
            at: database.path, fingerprint: .first, hooks: hooks, clock: { Date() })
        defer { try? store.close() }
        reader.withLock { $0 = store }
        var hadRead: DispatchTimeoutResult?
        try store.transaction { transaction in
            try transaction.createJob(kind: .consolidate, space: "default")
            transaction.afterCommit { hadRead = hasRead.wait(timeout: .now() + 0.5) }
        }
        #expect(hadRead == .timedOut)
        #expect(hasRead.wait(timeout: .now() + 60) == .success)
    }

    @Test func nobodyIsToldOfWhatDidNotHappen() throws {
        try database.withStore { store, _ throws in
            var told: [String] = []
            #expect(throws: CancellationError.self) {
                try store.transaction { transaction in
                    try transaction.createSpace("a")
                    transaction.afterCommit { told.append("a") }
                    throw CancellationError()
                }
            }
            #expect(told.isEmpty)
            try store.transaction { transaction in
                try transaction.createSpace("b")
                transaction.afterCommit { told.append("b") }
                transaction.afterCommit { told.append("once more") }
                #expect(told.isEmpty)
            }
            #expect(told == ["b", "once more"])
        }
    }
}
