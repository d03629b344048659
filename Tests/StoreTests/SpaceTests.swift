import Foundation
import GRDB
import Testing

@testable import Store

/// Would catch: a fork that copies chunks or loses a document, a deleted space that leaves something behind, quotas
/// that are forgotten.
@Suite struct SpaceTests {
    private let database = TemporaryDatabase()

    /// Learns a document in a space: accepted, its event, its generation.
    @discardableResult
    private func learn(
        _ id: String, seed: UInt64, in space: String = "default", _ store: MemoryStore
    ) throws -> GenerationRecord {
        try store.transaction { tx in
            let accepted = try tx.accept(DocumentDraft(space: space, id: id, text: "text \(seed)", tokenCount: 2))
            _ = try tx.startNextJob(space: space)
            let event = try tx.nextEventSequence(space: space)
            try tx.appendEvent(space: space, sequence: event, kind: .learn, document: id, seed: seed)
            let parent = try tx.newestGenerationRecord(space: space)?.number
            let record = try tx.persistGeneration(
                .sample(seed: seed, space: space, parent: parent, event: event, byteCount: 100_000))
            try tx.updateDocument(space: space, id: id, status: .learned, generation: record.number)
            try tx.finishJob(accepted.job.id, as: .learned)
            return record
        }
    }

    @Test func aForkSharesEveryChunkAndHasItsOwnLogAndDocuments() throws {
        try database.withStore { store, _ throws in
            try learn("a", seed: 1, store)
            try learn("b", seed: 2, store)
            _ = try store.transaction { try $0.accept(DocumentDraft(id: "waiting", text: "later", tokenCount: 1)) }
            let before = try store.statistics()
            let fork = try store.transaction { try $0.forkSpace("default", as: "fork") }
            #expect(try store.statistics().chunkCount == before.chunkCount)
            #expect(try store.statistics().stateBytes == before.stateBytes)
            #expect((fork.parent, fork.parentGeneration, fork.parentEvent) == ("default", 2, 2))
            try store.read { reader throws in
                let generation = try #require(try reader.newestGeneration(space: "fork"))
                #expect(try generation.verifiedSeed(byteCount: 100_000) == 2)
                #expect(generation.record.number == 2)
                #expect(try reader.documents(space: "fork").items.map(\.id).sorted() == ["a", "b"])
                #expect(try reader.documentText(space: "fork", id: "a") == "text 1")
                #expect(try reader.journal(space: "fork").map(\.document) == ["a", "b"])
                #expect(try reader.events(space: "fork").map(\.seed) == [1, 2])
                #expect(try reader.newestJob(space: "fork", document: "a")?.status == .learned)
                let jobs = try ["default", "fork"].map { try reader.newestJob(space: $0, document: "a")?.id }
                #expect(jobs[0] != jobs[1])
            }
            // Each goes its own way.
            let next = try learn("c", seed: 3, in: "fork", store)
            #expect(next.number == 3)
            #expect(try store.read { try $0.journal(space: "default") }.count == 2)
            #expect(try store.read { try $0.document(space: "default", id: "c") } == nil)
        }
        // The copied generation's checksum is its own, and holds at the next opening.
        try database.withStore { _, report in #expect(report.spaces.allSatisfy { $0.damaged.isEmpty }) }
        try database.expectSound()
    }

    @Test func aDeletedSpaceLeavesNothingBehind() throws {
        try database.withStore { store, _ throws in
            try learn("a", seed: 1, store)
            let untouched = try store.statistics()
            try store.transaction { _ = try $0.createSpace("other") }
            try learn("a", seed: 7, in: "other", store)
            try learn("b", seed: 8, in: "other", store)
            try store.transaction { tx in
                _ = try tx.createSnapshot(space: "other", name: "s")
                _ = try tx.importSnapshot(.sample(seed: 9, space: "other"), name: "i")
                _ = try tx.createSession(id: "x", space: "other", .sample(seed: 3))
                let claim = IdempotencyClaim(key: "k", request: SHA256Digest(of: "r"))
                _ = try tx.accept(DocumentDraft(space: "other", text: "keyed", tokenCount: 1), idempotency: claim)
            }
            #expect(throws: StoreError.self) { try store.transaction { try $0.deleteSpace("default") } }
            try store.transaction { try $0.deleteSpace("other") }
            try store.withDatabase { db in
                for table in [
                    "document", "event", "job", "generation", "session", "snapshot", "level_history", "consolidation",
                ] {
                    let left = try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table) WHERE space_id = 'other'")
                    #expect(left == 0, "\(table)")
                }
                #expect(try Int.fetchOne(db, sql: "SELECT count(*) FROM idempotency_key") == 0)
                #expect(try Int.fetchOne(db, sql: "SELECT count(*) FROM document_text") == 1)
            }
            #expect(try store.statistics().chunkCount == untouched.chunkCount)
            #expect(try store.statistics().stateBytes == untouched.stateBytes)
        }
        try database.expectSound()
    }

    @Test func deletingOneOfTwoThatShareLeavesTheOtherWhole() throws {
        try database.withStore { store, _ throws in
            try learn("a", seed: 1, store)
            try store.transaction { _ = try $0.forkSpace("default", as: "b") }
            try store.transaction { _ = try $0.forkSpace("b", as: "c") }
            try store.transaction { try $0.deleteSpace("b") }
            let whole = try #require(try store.read { try $0.newestGeneration(space: "c") })
            #expect(try whole.verifiedSeed(byteCount: 100_000) == 1)
            // What the fork of the fork shares with the first is still known.
            #expect(try store.read { try $0.space("c") }?.parent == "default")
            #expect(try store.read { try $0.holders(space: "default", document: "a") }.forks == ["c"])
        }
        try database.expectSound()
    }

    @Test func holdersAreThoseMadeAfterTheDocumentWasLearned() throws {
        try database.withStore { store, _ throws in
            try learn("a", seed: 1, store)
            try store.transaction { tx in
                _ = try tx.createSnapshot(space: "default", name: "early")
                _ = try tx.forkSpace("default", as: "early-fork")
            }
            try learn("b", seed: 2, store)
            try store.transaction { tx in
                _ = try tx.createSnapshot(space: "default", name: "late")
                _ = try tx.forkSpace("default", as: "late-fork")
                _ = try tx.forkSpace("late-fork", as: "fork-of-fork")
            }
            let a = try store.read { try $0.holders(space: "default", document: "a") }
            #expect(a.snapshots.map(\.name) == ["early", "late"])
            #expect(a.forks == ["early-fork", "fork-of-fork", "late-fork"])
            let b = try store.read { try $0.holders(space: "default", document: "b") }
            #expect(b.snapshots.map(\.name) == ["late"])
            #expect(b.forks == ["fork-of-fork", "late-fork"])
            #expect(try store.read { try $0.holders(space: "default", document: "never") }.snapshots == [])
        }
    }

    @Test func quotasAndUseAreKept() throws {
        let quotas = SpaceQuotas(documents: 3, bytes: 100, learningSeconds: 2.5)
        try database.withStore { store, _ throws in
            try store.transaction { _ = try $0.createSpace("q", name: "Q", quotas: quotas) }
            try learn("a", seed: 1, in: "q", store)
            try store.transaction { try $0.addLearningTime(1.25, space: "q") }
        }
        try database.withStore { store, _ throws in
            let space = try #require(try store.read { try $0.space("q") })
            #expect((space.name, space.quotas, space.learningSeconds) == ("Q", quotas, 1.25))
            let usage = try store.read { try $0.usage(space: "q") }
            #expect((usage.documents, usage.bytes, usage.sessions) == (1, 6, 0))
            try store.transaction { try $0.setQuotas(SpaceQuotas(), space: "q") }
            #expect(try store.read { try $0.space("q") }?.quotas == SpaceQuotas())
            #expect(try store.transaction { try $0.forkSpace("q", as: "r", quotas: quotas) }.quotas == quotas)
        }
    }

    /// A database of the first schema, with something in it, goes on.
    @Test func theFirstSchemaIsBroughtUpToDate() throws {
        let path = try Connection.createIfMissing(path: database.path)
        let queue = try Connection.open(path: path)
        try queue.write { db in
            try Migrations.all[0](db)
            try db.execute(
                sql: """
                    INSERT INTO fingerprint (architecture, tokenizer, weights, adopted) VALUES (?, ?, ?, 0);
                    INSERT INTO space (id, name, created, metadata) VALUES ('default', 'default', 0, '{}');
                    INSERT INTO space (id, name, created, metadata) VALUES ('old', 'old', 0, '{}');
                    PRAGMA user_version = 1
                    """,
                arguments: [
                    ModelFingerprint.first.architecture, ModelFingerprint.first.tokenizer,
                    ModelFingerprint.first.weights,
                ])
        }
        try queue.close()
        try database.withStore { store, report throws in
            #expect(!report.isNewDatabase)
            #expect(report.spaces.map(\.space) == ["default", "old"])
            try learn("a", seed: 1, in: "old", store)
            #expect(try store.read { try $0.space("old") }?.quotas == SpaceQuotas())
            #expect(try store.transaction { try $0.createSnapshot(space: "old", name: "s") }.event == 1)
        }
        try database.expectSound()
    }
}
