import Foundation
import GRDB
import NLCore
import Testing

@testable import NLServer
@testable import Store

/// A full disk stops learning, not serving; nothing is published that is not on disk.
@Suite(.serialized, .timeLimit(.minutes(10))) struct StorageFailureTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    @Test func learningWaitsForRoomAndServingGoesOn() async throws {
        try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            let store = try engine.running().context.store
            let accepted = try await engine.accept(Facts.all[1], id: "b")
            try store.limitPages(extra: 0)
            try await eventually { engine.health().notices.contains { $0.contains("no space left") } }
            #expect(try engine.space.generation == 1)
            #expect(engine.health().isLive && engine.health().isReady)
            #expect(try await engine.document("b").status != .learned)
            do {
                try await engine.accept(String(repeating: "too much for the disk. ", count: 20_000))
                Issue.record("accepted without room")
            } catch EngineError.storage(let failure, _) {
                #expect(failure == .diskFull)
            }
            try store.limitPages(extra: nil)
            #expect(try await engine.end(of: accepted.job).status == .learned)
            #expect(try engine.space.generation == 2)
            #expect(!engine.health().notices.contains { $0.contains("no space left") })
        }
    }

    @Test func theDaemonStopsWhileAJobWaitsForRoom() async throws {
        try await home.run { engine async throws in
            let store = try engine.running().context.store
            try await engine.accept(Facts.all[0], id: "a")
            try store.limitPages(extra: 0)
            try await eventually { engine.health().notices.contains { $0.contains("no space left") } }
        }
        try await home.run { engine async throws in
            let job = try #require(
                try await engine.jobs(space: "default", status: nil, page: PageRequest()).items.first)
            #expect(try await engine.end(of: job).status == .learned)
        }
    }

    @Test func aJobThatWaitsForRoomCanBeCancelled() async throws {
        try await home.run { engine async throws in
            let store = try engine.running().context.store
            let accepted = try await engine.accept(Facts.all[0], id: "a")
            try store.limitPages(extra: 0)
            try await eventually { engine.health().notices.contains { $0.contains("no space left") } }
            #expect(try await engine.cancelJob(accepted.job.id).status == .cancelled)
            #expect(try engine.space.generation == 0)
            try store.limitPages(extra: nil)
            #expect(try await engine.learn(Facts.all[1]).status == .learned)
        }
    }

    @Test func aDamagedDocumentFailsItsJob() async throws {
        try await home.run { engine async throws in
            let busy = try await engine.accept(Facts.long())
            try await eventually { try await engine.job(busy.job.id).status == .running }
            let accepted = try await engine.accept(Facts.all[0], id: "a")
            try engine.running().context.store.damageText(of: "a")
            _ = try await engine.cancelJob(busy.job.id)
            let job = try await engine.end(of: accepted.job)
            #expect(job.status == .failed)
            #expect(job.failure?.code == "damaged")
            #expect(try await engine.learn(Facts.all[1]).status == .learned)
        }
    }
}

extension MemoryStore {
    /// Lets the database grow by so many pages and no more; nil: as it likes.
    func limitPages(extra: Int?) throws {
        try withDatabase { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            _ = try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(extra.map { pages + $0 } ?? 1_073_741_823)")
        }
    }

    /// Changes a byte of a document's text behind everybody's back.
    func damageText(of document: String) throws {
        try withDatabase { db in
            try db.execute(
                sql: """
                    UPDATE document_text SET text = CAST('x' AS BLOB)
                        WHERE sequence = (SELECT sequence FROM document WHERE id = ?)
                    """, arguments: [document])
        }
    }

    /// Makes the newest generation that is whole fail its checksum.
    func damageNewestGeneration() throws {
        try withDatabase { db in
            try db.execute(
                sql: """
                    UPDATE generation SET checksum = zeroblob(32)
                        WHERE id = (SELECT max(id) FROM generation WHERE checksum <> zeroblob(32))
                    """)
        }
    }

    /// Makes every generation that a space has learned itself fail its checksum.
    func damageOwnGenerations(of space: String) throws {
        try withDatabase { db in
            try db.execute(
                sql: "UPDATE generation SET checksum = zeroblob(32) WHERE space_id = ? AND imported = 0",
                arguments: [space])
        }
    }
}
