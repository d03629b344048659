import Foundation
import GRDB
import Synchronization
import Testing

@testable import Store

/// Would catch: rows that a deleted document leaves behind, places that move, and half a deletion after a crash.
@Suite(.timeLimit(.minutes(10))) struct ForgettingTests {
    private let database = TemporaryDatabase()

    private static func learn(_ seed: UInt64, _ id: String, in store: MemoryStore) throws {
        let draft = try GenerationDraft.sample(seed: seed, event: Int64(seed))
        try store.transaction { tx in
            let claim = IdempotencyClaim(key: "key-\(id)", request: SHA256Digest(of: "text of \(id)"))
            _ = try tx.accept(
                DocumentDraft(
                    id: id, title: "title of \(id)", metadata: JSONText(encoding: ["note": "note of \(id)"]),
                    text: "text of \(id)", tokenCount: 2), idempotency: claim)
            guard let job = try tx.startNextJob() else { return }
            try tx.appendEvent(space: "default", sequence: Int64(seed), kind: .learn, document: id, seed: seed)
            let record = try tx.persistGeneration(draft)
            try tx.updateDocument(
                space: "default", id: id, status: .learned, losses: DocumentLosses(base: 4, learned: 1),
                generation: record.number)
            try tx.finishJob(job.id, as: .learned, detail: JSONText(encoding: ["loss": 1]))
        }
    }

    private static func remove(_ id: String, in store: MemoryStore) throws -> RemovedDocument {
        try store.transaction { tx in
            let removed = try tx.removeDocument(space: "default", id: id)
            let job = try tx.createJob(kind: .forget, space: "default", document: id)
            try tx.recordForgetting(of: removed, job: job.id, keepsSessions: false, receipt: .empty)
            return removed
        }
    }

    @Test func everythingOfTheDocumentGoesAndPlacesStay() throws {
        try database.withStore { store, _ throws in
            for (index, id) in ["a", "b", "c"].enumerated() { try Self.learn(UInt64(index + 1), id, in: store) }
            let removed = try Self.remove("b", in: store)
            #expect(removed.firstEvent == 2 && removed.firstGeneration == 2)
            try store.read { reader throws in
                #expect(try reader.document(space: "default", id: "b") == nil)
                #expect(try reader.events(space: "default").map(\.sequence) == [1, 3])
                #expect(try reader.nextEventSequence(space: "default") == 4)
                #expect(try reader.place(of: 3, space: "default") == 2)
                #expect(try reader.place(of: 4, space: "default") == 3)
                #expect(try reader.journal(space: "default").map(\.document) == ["a", "c"])
                #expect(try reader.pendingForgettings(space: "default").map(\.document) == ["b"])
                let log = try reader.effectiveLog(space: "default")
                #expect(try reader.newestGeneration(space: "default", in: log, before: 2)?.record.number == 1)
                let job = try #require(try reader.jobs().items.first { $0.document == "b" && $0.kind == .learn })
                #expect(job.status == .learned && job.detail == .empty)
            }
            // A forgetting takes no place.
            _ = try store.transaction {
                try $0.appendEvent(space: "default", sequence: 4, kind: .forget, seed: 0)
            }
            #expect(try store.read { try $0.place(of: 5, space: "default") } == 3)
            #expect(throws: StoreError.self) {
                try store.transaction { tx in
                    try tx.accept(
                        DocumentDraft(id: "b", text: "text of b", tokenCount: 2),
                        idempotency: IdempotencyClaim(key: "key-b", request: SHA256Digest(of: "text of b")))
                }
            }
            #expect(throws: StoreError.self) { try Self.remove("b", in: store) }
        }
        try database.expectSound()
    }

    @Test func generationsGoWithTheirChunksAndHistory() throws {
        try database.withStore { store, _ throws in
            for (index, id) in ["a", "b", "c"].enumerated() { try Self.learn(UInt64(index + 1), id, in: store) }
            try store.transaction { tx in
                for generation in Int64(1)...3 {
                    try tx.appendLevelHistory(
                        space: "default", level: "medium",
                        LevelHistoryEntry(
                            at: Date(), generation: generation, updates: 1, tokens: 1, deltaNorm: 1, relativeDrift: 1,
                            surprise: nil, learningRate: 1))
                }
                _ = try tx.createSnapshot(space: "default", name: "kept")
            }
            let kept = try store.transaction { tx in
                let kept = try tx.persistGeneration(.sample(seed: 9, parent: 1, event: 4))
                #expect(try tx.deleteGenerations(space: "default", since: 2, except: kept.number) == [2])
                return kept
            }
            try store.read { reader throws in
                #expect(try reader.generations(space: "default").map(\.number) == [kept.number, 1])
                // The one that is named stays, outside the log.
                let snapshot = try #require(try reader.snapshots(space: "default").items.first)
                #expect(snapshot.generation == 3 && snapshot.isImported && snapshot.event == nil)
                #expect(try reader.generation(space: "default", number: 3).levels.isEmpty == false)
                #expect(try reader.levelHistory(space: "default", level: "medium").map(\.generation) == [1])
            }
        }
        try database.expectSound()
    }

    @Test func aSessionThatReadWhatIsForgottenIsNotSaved() throws {
        try database.withStore { store, _ throws in
            for (index, id) in ["a", "b"].enumerated() { try Self.learn(UInt64(index + 1), id, in: store) }
            try store.transaction { tx in
                try tx.createSession(id: "s", space: "default", .sample(seed: 1, generation: 1))
            }
            let removed = try Self.remove("a", in: store)
            #expect(removed.firstGeneration == 1)
            func save(_ generation: Int64) throws {
                try store.transaction { _ = try $0.saveSession("s", .sample(seed: 2, generation: generation)) }
            }
            try save(2)
            #expect(try store.read { try $0.sessionsHolding(space: "default", since: 1) } == ["s"])
            try store.transaction { tx in
                let job = try #require(try tx.pendingForgettings(space: "default").first?.job)
                try tx.updateForgetting(job: job, state: .forgotten, generation: 3)
            }
            #expect(throws: StoreError.self) { try save(2) }
            try save(3)
            #expect(try store.read { try $0.pendingForgettings(space: "default") }.isEmpty)
        }
    }

    /// Killed anywhere in a deletion: the document is there whole, or gone whole with its receipt.
    @Test(arguments: FaultPoint.allCases.filter { $0 != .chunkWritten })
    func killedAnywhereItIsThereOrGone(at point: FaultPoint) async throws {
        let path = database.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, point = point as FaultPoint] in
            let isArmed = Mutex(false)
            let hooks = FaultHooks { reached in
                if reached == point, isArmed.withLock(\.self) { kill(getpid(), SIGKILL) }
            }
            let (store, _) = try MemoryStore.open(at: path, fingerprint: .first, hooks: hooks, clock: { Date() })
            for (index, id) in ["a", "b"].enumerated() {
                try ForgettingTests.learn(UInt64(index + 1), id, in: store)
            }
            try store.checkpoint()
            isArmed.withLock { $0 = true }
            _ = try ForgettingTests.remove("a", in: store)
            try store.checkpoint()
        }
        let isGone = [.afterCommit, .beforeCheckpoint, .afterCheckpoint].contains(point)
        if point == .afterCheckpoint {
            for file in [path, path + "-wal"] {
                let data = FileManager.default.contents(atPath: file) ?? Data()
                for part in ["text of a", "title of a", "note of a"] {
                    #expect(data.range(of: Data(part.utf8)) == nil, "\(part) in \(file)")
                }
            }
        }
        try database.withStore { store, _ throws in
            try store.read { reader throws in
                #expect((try reader.document(space: "default", id: "a") == nil) == isGone)
                #expect(try reader.events(space: "default").map(\.sequence) == (isGone ? [2] : [1, 2]))
                #expect(try reader.pendingForgettings(space: "default").map(\.document) == (isGone ? ["a"] : []))
                let waiting = try reader.jobs(status: .queued).items.map(\.kind)
                #expect(waiting == (isGone ? [.forget] : []))
            }
        }
        try database.expectSound()
    }
}
