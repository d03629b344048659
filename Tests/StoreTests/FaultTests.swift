import Foundation
import GRDB
import Testing

@testable import Store

/// Would catch: a failed write that leaves something behind, or that the store does not recover from.
@Suite(.timeLimit(.minutes(10))) struct FaultTests {
    private let database = TemporaryDatabase()

    /// Everything a finished learning job writes, in one transaction.
    private func learn(_ seed: UInt64, in store: MemoryStore) throws {
        let generation = try GenerationDraft.sample(seed: seed, event: Int64(seed), byteCount: 60_000)
        let session = try SessionDraft.sample(seed: seed, byteCount: 30_000)
        try store.transaction { tx in
            let job = try tx.accept(
                DocumentDraft(id: "d\(seed)", text: String(repeating: "\(seed) ", count: 5_000), tokenCount: 9)
            ).job
            _ = try tx.startNextJob()
            try tx.updateJob(job.id, progress: 0.5, state: .sample(seed: seed &+ 77, byteCount: 20_000))
            try tx.appendEvent(space: "default", sequence: Int64(seed), kind: .learn, document: "d\(seed)", seed: 1)
            if try tx.sessionRecord("s") == nil {
                try tx.createSession(id: "s", space: "default", session)
            } else {
                try tx.saveSession("s", session)
            }
            let record = try tx.persistGeneration(generation)
            try tx.finishJob(job.id, as: .learned)
            try tx.updateDocument(space: "default", id: "d\(seed)", status: .learned, generation: record.number)
            try tx.pruneGenerations(space: "default", keep: 2)
        }
    }

    /// What `learn(1)` to `learn(count)` left, and nothing else.
    private func expect(_ count: UInt64, in store: MemoryStore, sourceLocation: SourceLocation = #_sourceLocation)
        throws
    {
        try store.read { reader throws in
            let documents = try reader.documents(space: "default").items
            #expect(
                documents.map(\.status) == Array(repeating: .learned, count: Int(count)), sourceLocation: sourceLocation
            )
            #expect(
                try reader.jobCounts() == (count == 0 ? [:] : [.learned: Int(count)]), sourceLocation: sourceLocation)
            #expect(try reader.nextEventSequence(space: "default") == Int64(count) + 1, sourceLocation: sourceLocation)
            let generation = try reader.newestGeneration(space: "default")
            #expect(generation?.record.number ?? 0 == Int64(count), sourceLocation: sourceLocation)
            #expect(try generation?.verifiedSeed(byteCount: 60_000) ?? 0 == count, sourceLocation: sourceLocation)
            if count > 0 {
                let expected = try ChunkedState.sample(seed: count, byteCount: 30_000).blobs
                #expect(try reader.session("s").blobs == expected, sourceLocation: sourceLocation)
            }
            try expectSound(reader.db, sourceLocation: sourceLocation)
        }
    }

    /// The database may grow by one page more each time, until the transaction fits.
    @Test func aFullDatabaseAtAnyPageChangesNothing() throws {
        try database.withStore { store, _ throws in
            try learn(1, in: store)
            var failures = 0
            for extra in 0... {
                try store.limitPages(extra: extra)
                do {
                    try learn(2, in: store)
                    break
                } catch let error as StoreError {
                    guard case .diskFull(let row) = error else { throw error }
                    #expect(row.table != "transaction", "names what it was writing")
                    failures += 1
                }
                try store.limitPages(extra: nil)
                try expect(1, in: store)
            }
            #expect(failures > 20)
            try store.limitPages(extra: nil)
            try expect(2, in: store)
            try learn(3, in: store)
            try expect(3, in: store)
        }
    }

    @Test func aDatabaseThatStaysFullStaysReadable() throws {
        try database.withStore { store, _ throws in
            try learn(1, in: store)
            try store.limitPages(extra: 0)
            for _ in 1...5 {
                #expect(throws: StoreError.self) { try learn(2, in: store) }
                try expect(1, in: store)
            }
        }
        try database.withStore { store, _ throws in
            try expect(1, in: store)
            try learn(2, in: store)
            try expect(2, in: store)
        }
    }

    /// The n-th write to a *file* fails, n = 1, 2, 3, …: the operating system refuses to let any file grow beyond a
    /// limit, which moves on by one page.
    @Test func aFailedFileWriteAnywhereChangesNothing() async throws {
        let path = database.path
        await #expect(processExitsWith: .success) { [path = path as String] in
            try FaultTests().failFileWrites(at: path)
        }
    }

    private func failFileWrites(at path: String) throws {
        signal(SIGXFSZ, SIG_IGN)
        let (store, _) = try MemoryStore.open(at: path, fingerprint: .first)
        try learn(1, in: store)
        try store.checkpoint()
        func setLimit(_ bytes: UInt?) {
            var limit = rlimit(rlim_cur: bytes ?? .max, rlim_max: .max)
            precondition(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
        }
        // The log starts at the front of its file again after a checkpoint, and the database file is larger than
        // it, so the limit stops the log first.
        var failures = 0
        for page in UInt(0)... {
            setLimit(page * 4_120 + 32)
            do {
                try learn(2, in: store)
                break
            } catch StoreError.inputOutput, StoreError.diskFull {
                failures += 1
            }
            setLimit(nil)
            guard try store.read({ try $0.newestGeneration(space: "default")?.record.number }) == 1,
                try store.read({ try String.fetchAll($0.db, sql: "PRAGMA integrity_check") }) == ["ok"]
            else { exit(3) }
        }
        setLimit(nil)
        guard failures > 20 else { exit(4) }
        try store.close()
        let (reopened, report) = try MemoryStore.open(at: path, fingerprint: .first)
        guard report.spaces.first?.generation == 2 else { exit(5) }
        try expect(2, in: reopened)
        try learn(3, in: reopened)
        try reopened.close()
    }

    @Test func anErrorInTheBodyTakesEverythingBack() throws {
        struct Stop: Error {}
        try database.withStore { store, _ throws in
            try learn(1, in: store)
            #expect(throws: Stop.self) {
                try store.transaction { tx in
                    _ = try tx.accept(DocumentDraft(id: "x", text: "x", tokenCount: 1))
                    _ = try tx.persistGeneration(.sample(seed: 2, event: 2, byteCount: 60_000))
                    try tx.deleteSession("s")
                    throw Stop()
                }
            }
            try expect(1, in: store)
            // The same bytes after a rollback: the ledger must not claim that they are there.
            try learn(2, in: store)
            try expect(2, in: store)
        }
    }

    @Test func aReadCannotWrite() throws {
        try database.withStore { store, _ in
            #expect {
                try store.read { try $0.db.execute(sql: "DELETE FROM space") }
            } throws: { error in
                guard case .readOnly? = error as? StoreError else { return false }
                return true
            }
        }
    }
}

extension MemoryStore {
    /// Lets the database grow by so many pages and no more; nil: as it likes.
    fileprivate func limitPages(extra: Int?) throws {
        try withDatabase { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            _ = try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(extra.map { pages + $0 } ?? 1_073_741_823)")
        }
    }
}
