import Foundation
import GRDB
import Testing

@testable import Store

/// Would catch: a session that continues with other bytes than it stopped with, forks that share what they change,
/// damage that is continued from.
@Suite struct SessionTests {
    private let database = TemporaryDatabase()

    @Test func aSessionComesBackAsItWasSavedLast() throws {
        let last = try SessionDraft.sample(seed: 2, generation: 7)
        try database.withStore { store, _ throws in
            let created = try store.transaction { try $0.createSession(id: "s", space: "default", .sample(seed: 1)) }
            #expect(created.generation == nil)
            try store.transaction { _ = try $0.saveSession("s", last) }
            #expect(throws: StoreError.conflict(StoreRow("session", "s"), reason: "it already exists")) {
                try store.transaction { try $0.createSession(id: "s", space: "default", last) }
            }
            #expect(throws: StoreError.notFound(StoreRow("session", "t"))) {
                try store.transaction { try $0.saveSession("t", last) }
            }
        }
        try database.withStore { store, _ throws in
            let session = try store.read { try $0.session("s") }
            #expect(session.blobs == last.state.blobs)
            #expect(session.transcript == last.transcript)
            #expect(session.record.metadata == last.metadata)
            #expect(session.record.generation == 7)
            #expect(session.record.tokenCount == 3)
            #expect(try store.statistics().chunkCount == 2, "the first state is gone")
        }
        try database.expectSound()
    }

    @Test func aForkSharesUntilItChanges() throws {
        try database.withStore { store, _ throws in
            try store.transaction { _ = try $0.createSession(id: "s", space: "default", .sample(seed: 1)) }
            let fork = try store.transaction { try $0.forkSession("s") }
            #expect(try store.statistics().chunkCount == 2)
            try store.transaction { _ = try $0.saveSession("s", .sample(seed: 2)) }
            #expect(try store.read { try $0.session(fork.id) }.blobs == ChunkedState.sample(seed: 1).blobs)
            #expect(try store.read { try $0.session("s") }.blobs == ChunkedState.sample(seed: 2).blobs)
            try store.transaction { try $0.deleteSession(fork.id) }
            #expect(try store.statistics().chunkCount == 2)
            #expect(try store.read { try $0.session("s") }.blobs == ChunkedState.sample(seed: 2).blobs)
            #expect(throws: StoreError.notFound(StoreRow("session", fork.id))) {
                try store.read { try $0.session(fork.id) }
            }
        }
        try database.expectSound()
    }

    @Test func sessionsAreListedBySpace() throws {
        try database.withStore { store, _ throws in
            try store.transaction { tx in
                try tx.createSpace("other")
                for index in 0..<5 { try tx.createSession(id: "s\(index)", space: "default", .sample(seed: 1)) }
                try tx.createSession(id: "o", space: "other", .sample(seed: 1))
            }
            let page = try store.read { try $0.sessions(space: "default", PageRequest(limit: 3)) }
            #expect(page.items.map(\.id) == ["s4", "s3", "s2"])
            let rest = try store.read { try $0.sessions(space: "default", PageRequest(after: page.next, limit: 3)) }
            #expect(rest.items.map(\.id) == ["s1", "s0"])
            #expect(rest.next == nil)
            try store.read { reader throws in
                #expect(try reader.sessionCount() == 6)
                let cursor = try reader.sessionSequence("s1", space: "default")
                #expect(cursor == 2)
                let after = try reader.sessions(space: "default", .init(after: cursor, order: .oldestFirst))
                #expect(after.items.map(\.id) == ["s2", "s3", "s4"])
                #expect(try reader.sessionSequence("o", space: "default") == nil, "it is another space's")
                #expect(try reader.sessionSequence("t", space: "default") == nil)
            }
        }
    }

    @Test func aSessionSaysHowLargeItsStateIs() throws {
        let draft = try SessionDraft.sample(seed: 1)
        let bytes = draft.state.blobs.reduce(0) { $0 + $1.bytes.count }
        try database.withStore { store, _ throws in
            try store.transaction { _ = try $0.createSession(id: "s", space: "default", draft) }
            #expect(try store.read { try $0.sessionRecord("s") }?.byteCount == bytes)
            #expect(try store.read { try $0.sessions(space: "default") }.items.map(\.byteCount) == [bytes])
        }
    }

    /// Every column that the continuation depends on.
    @Test(arguments: [
        "transcript = x'01000000'", "metadata = '{\"seed\":9}'", "generation = 3",
        "state_id = (SELECT state_id FROM session WHERE id = 'other')",
    ])
    func aTamperedRowIsNotContinuedFrom(change: String) throws {
        try database.withStore { store, _ in
            try store.transaction { tx in
                try tx.createSession(id: "s", space: "default", .sample(seed: 1))
                try tx.createSession(id: "other", space: "default", .sample(seed: 2))
            }
        }
        try database.withRawConnection { try $0.execute(sql: "UPDATE session SET \(change) WHERE id = 's'") }
        try database.withStore { store, _ throws in
            #expect(
                throws: StoreError.damaged(StoreRow("session", "s"), reason: "its row does not match its checksum")
            ) {
                try store.read { try $0.session("s") }
            }
            #expect(try store.read { try $0.session("other") }.record.id == "other")
        }
    }

    @Test func aSessionWithoutItsChunksIsDroppedAndReported() throws {
        try database.withStore { store, _ in
            try store.transaction { tx in
                try tx.createSession(id: "s", space: "default", .sample(seed: 1))
                try tx.createSession(id: "whole", space: "default", .sample(seed: 2))
            }
        }
        let lost = try ChunkedState.sample(seed: 1).chunks[0][0].data
        try database.withRawConnection { try $0.execute(sql: "DELETE FROM chunk WHERE hash = ?", arguments: [lost]) }
        try database.withStore { store, report throws in
            #expect(report.droppedSessions == [.init(id: "s", reason: "chunks are missing")])
            #expect(try store.read { try $0.session("whole") }.blobs == ChunkedState.sample(seed: 2).blobs)
        }
        try database.expectSound()
    }
}
