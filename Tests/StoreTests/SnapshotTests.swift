import Foundation
import GRDB
import Synchronization
import Testing

@testable import Store

/// Would catch: a snapshot that pruning eats, an import that becomes a space's newest generation, a log whose events
/// in force are the wrong ones.
@Suite struct SnapshotTests {
    private let database = TemporaryDatabase()

    private func learn(_ id: String, seed: UInt64, _ store: MemoryStore) throws {
        try store.transaction { tx in
            _ = try tx.accept(DocumentDraft(id: id, text: "text \(seed)", tokenCount: 2))
            let event = try tx.nextEventSequence(space: "default")
            try tx.appendEvent(space: "default", sequence: event, kind: .learn, document: id, seed: seed)
            let record = try tx.persistGeneration(.sample(seed: seed, event: event))
            try tx.updateDocument(space: "default", id: id, status: .learned, generation: record.number)
            try tx.pruneGenerations(space: "default", keep: 2)
        }
    }

    /// What restoring a snapshot writes.
    private func restore(_ snapshot: SnapshotRecord, seed: UInt64, _ store: MemoryStore) throws {
        try store.transaction { tx in
            let event = try tx.nextEventSequence(space: "default")
            try tx.persistGeneration(.sample(seed: seed, event: event))
            try tx.appendEvent(
                space: "default", sequence: event, kind: .restore, seed: 0,
                target: snapshot.isImported ? nil : snapshot.event,
                source: snapshot.isImported ? snapshot.generation : nil)
            try tx.refreshKnownDocuments(space: "default")
        }
    }

    private func statuses(_ store: MemoryStore) throws -> [String: DocumentStatus] {
        let documents = try store.read { try $0.documents(space: "default") }.items
        return Dictionary(uniqueKeysWithValues: documents.map { ($0.id, $0.status) })
    }

    @Test func pruningNeverRemovesWhatASnapshotNames() throws {
        try database.withStore { store, _ throws in
            try learn("a", seed: 1, store)
            let (first, second) = try store.transaction { tx in
                (
                    try tx.createSnapshot(space: "default", name: "first", note: "why"),
                    try tx.createSnapshot(space: "default", name: "second")
                )
            }
            #expect(throws: StoreError.self) {
                try store.transaction { _ = try $0.createSnapshot(space: "default", name: "first") }
            }
            for seed in UInt64(2)...9 { try learn("d\(seed)", seed: seed, store) }
            let kept = try store.read { try $0.generation(space: "default", number: first.generation) }
            #expect(try kept.verifiedSeed() == 1)
            // Two names for one generation: it stays for the second.
            try store.transaction { try $0.deleteSnapshot(space: "default", id: first.id) }
            try learn("x", seed: 10, store)
            #expect(try store.read { try $0.generation(space: "default", number: 1) }.record.isPinned)
            try store.transaction { try $0.deleteSnapshot(space: "default", id: second.id) }
            try learn("y", seed: 11, store)
            #expect(throws: StoreError.self) { try store.read { try $0.generation(space: "default", number: 1) } }
        }
        try database.expectSound()
    }

    @Test func aPolicyKeepsTheNewestOfItsOwnAndNoOthers() throws {
        try database.withStore { store, _ throws in
            try learn("a", seed: 1, store)
            try store.transaction { tx in
                _ = try tx.createSnapshot(space: "default", name: "mine")
                for index in 1...5 {
                    _ = try tx.createSnapshot(space: "default", name: "auto-\(index)", isAutomatic: true)
                }
                try tx.pruneAutomaticSnapshots(space: "default", keep: 2)
            }
            let names = try store.read { try $0.snapshots(space: "default") }.items.map(\.name)
            #expect(names == ["auto-5", "auto-4", "mine"])
            #expect(try store.read { try $0.newestAutomaticSnapshot(space: "default") }?.name == "auto-5")
        }
    }

    @Test func anImportIsNoGenerationOfTheSpaceAndStaysWhileTheLogNeedsIt() throws {
        try database.withStore { store, _ throws in
            try learn("a", seed: 1, store)
            let (unused, used) = try store.transaction { tx in
                (
                    try tx.importSnapshot(.sample(seed: 50), name: "unused"),
                    try tx.importSnapshot(.sample(seed: 60), name: "used")
                )
            }
            #expect(unused.isImported && unused.event == nil)
            #expect(try store.read { try $0.newestGeneration(space: "default") }?.verifiedSeed() == 1)
            try restore(used, seed: 60, store)
            #expect(try statuses(store) == ["a": .unlearned])
            #expect(try store.read { try $0.journal(space: "default") }.isEmpty)
            try store.transaction { tx in
                try tx.deleteSnapshot(space: "default", id: unused.id)
                try tx.deleteSnapshot(space: "default", id: used.id)
            }
            let needed = try store.read { try $0.generation(space: "default", number: used.generation) }
            #expect(try needed.verifiedSeed() == 60)
            #expect(throws: StoreError.self) {
                try store.read { try $0.generation(space: "default", number: unused.generation) }
            }
            // A fork must be able to replay its log too.
            try store.transaction { _ = try $0.forkSpace("default", as: "fork") }
            #expect(try store.read { try $0.generation(space: "fork", number: used.generation) }.verifiedSeed() == 60)
            #expect(try store.read { try $0.newestGeneration(space: "fork") }?.record.event == 2)
        }
        try database.expectSound()
    }

    @Test func restoringTakesEventsBackAndCanBringThemAgain() throws {
        try database.withStore { store, _ throws in
            try learn("a", seed: 1, store)  // 1
            let first = try store.transaction { try $0.createSnapshot(space: "default", name: "a") }
            try learn("b", seed: 2, store)  // 2
            let second = try store.transaction { try $0.createSnapshot(space: "default", name: "ab") }
            try restore(first, seed: 1, store)  // 3
            #expect(try statuses(store) == ["a": .learned, "b": .unlearned])
            #expect(try store.read { try $0.journal(space: "default") }.map(\.document) == ["a"])
            // As it was before the restore, for a replay of what came then.
            #expect(try store.read { try $0.journal(space: "default", before: 3) }.map(\.document) == ["a", "b"])
            try learn("c", seed: 4, store)  // 4
            #expect(try store.read { try $0.journal(space: "default") }.map(\.document) == ["a", "c"])
            #expect(try store.read { try $0.holders(space: "default", document: "b") }.snapshots.map(\.name) == ["ab"])
            try restore(second, seed: 2, store)  // 5
            #expect(try statuses(store) == ["a": .learned, "b": .learned, "c": .unlearned])
            // Sent again, it is learned again.
            let again = try store.transaction { try $0.accept(DocumentDraft(id: "c", text: "text 4", tokenCount: 2)) }
            #expect(again.outcome == .requeued)
        }
    }

    @Test func theEventsInForceAreThoseTheStateIsMadeOf() {
        func log(_ last: Int64, _ restores: [(Int64, Int64?, Int64?)]) -> EffectiveLog {
            EffectiveLog(through: last, restores: restores.map { (sequence: $0.0, target: $0.1, source: $0.2) })
        }
        #expect(log(0, []).ranges == [])
        #expect(log(5, []).ranges == [1...5])
        #expect(log(5, [(4, 2, nil)]).ranges == [1...2, 5...5])
        #expect(log(4, [(4, 2, nil)]).ranges == [1...2])
        // Back, and back to before that.
        #expect(log(7, [(4, 1, nil), (6, 3, nil)]).ranges == [1...3, 7...7])
        // To the moment right after a restore.
        #expect(log(7, [(4, 1, nil), (6, 4, nil)]).ranges == [1...1, 7...7])
        let imported = log(7, [(4, nil, 9), (6, 5, nil)])
        #expect(imported.ranges == [5...5, 7...7])
        #expect(imported.origin == 9)
        #expect(log(3, [(4, nil, 9)].filter { $0.0 <= 3 }).origin == nil)
    }

    /// The database may grow by one page more each time, until the transaction fits.
    @Test func aFullDatabaseAtAnyPageOfAForkChangesNothing() throws {
        try database.withStore { store, _ throws in
            try learn("a", seed: 1, store)
            try learn("b", seed: 2, store)
            func limit(_ extra: Int?) throws {
                try store.withDatabase { db in
                    let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
                    _ = try Int.fetchOne(
                        db, sql: "PRAGMA max_page_count = \(extra.map { pages + $0 } ?? 1_073_741_823)")
                }
            }
            try store.transaction { tx in
                for index in 0..<200 {
                    try tx.appendLevelHistory(
                        space: "default", level: "slow",
                        .init(
                            at: Date(), generation: Int64(index), updates: 1, tokens: 1, deltaNorm: 1,
                            relativeDrift: 1, surprise: 1, learningRate: 1))
                }
            }
            var failures = 0
            for extra in 0... {
                try limit(extra)
                do {
                    try store.transaction { _ = try $0.forkSpace("default", as: "fork") }
                    break
                } catch StoreError.diskFull {
                    failures += 1
                }
                try limit(nil)
                #expect(try store.read { try $0.spaces() }.map(\.id) == ["default"])
            }
            try limit(nil)
            #expect(failures > 0)
            #expect(try store.read { try $0.newestGeneration(space: "fork") }?.verifiedSeed() == 2)
        }
        try database.expectSound()
    }

    /// Killed at any point of a restore, a fork or a deletion, the database has all of it or nothing.
    @Test(arguments: FaultPoint.allCases.filter { $0 != .chunkWritten })
    func killedAnywhereLeavesAllOrNothing(at point: FaultPoint) async throws {
        let path = database.path
        let isCommitted = [.afterCommit, .beforeCheckpoint, .afterCheckpoint].contains(point)
        for act in ["restore", "fork", "delete"] {
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = path + "." + act as String, point = point as FaultPoint, act = act as String] in
                try SnapshotTests().act(act, at: path, killedAt: point)
            }
            let (store, report) = try MemoryStore.open(at: path + "." + act, fingerprint: .first)
            #expect(report.spaces.allSatisfy { $0.damaged.isEmpty })
            try store.read { reader throws in
                let status = try reader.document(space: "default", id: "b")?.status
                #expect(status == (act == "restore" && isCommitted ? .unlearned : .learned))
                #expect(try reader.nextEventSequence(space: "default") == (act == "restore" && isCommitted ? 4 : 3))
                let spaces = try reader.spaces().map(\.id)
                switch act {
                case "fork": #expect(spaces == (isCommitted ? ["default", "fork", "spare"] : ["default", "spare"]))
                case "delete": #expect(spaces == (isCommitted ? ["default"] : ["default", "spare"]))
                default: #expect(spaces == ["default", "spare"])
                }
            }
            try store.withDatabase { try expectSound($0) }
            try store.close()
        }
    }

    private func act(_ act: String, at path: String, killedAt point: FaultPoint) throws {
        let isArmed = Mutex(false)
        let hooks = FaultHooks { reached in
            if reached == point, isArmed.withLock(\.self) { kill(getpid(), SIGKILL) }
        }
        let (store, _) = try MemoryStore.open(
            at: path, fingerprint: .first, hooks: hooks, clock: { Date(timeIntervalSince1970: 0) })
        try learn("a", seed: 1, store)
        let snapshot = try store.transaction { try $0.createSnapshot(space: "default", name: "a") }
        try learn("b", seed: 2, store)
        try store.transaction { _ = try $0.forkSpace("default", as: "spare") }
        isArmed.withLock { $0 = true }
        switch act {
        case "restore": try restore(snapshot, seed: 1, store)
        case "fork": try store.transaction { _ = try $0.forkSpace("default", as: "fork") }
        default: try store.transaction { try $0.deleteSpace("spare") }
        }
        try store.checkpoint()
    }
}
