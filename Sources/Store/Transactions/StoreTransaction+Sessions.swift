import Foundation
import GRDB

extension StoreReader {
    /// One session without its tensors; nil where there is none.
    public func sessionRecord(_ id: String) throws -> SessionRecord? {
        try on(StoreRow("session", id)) { db in
            try Row.fetchOne(db, sql: "SELECT \(SessionRecord.columns) FROM session WHERE id = ?", arguments: [id])
                .map(SessionRecord.init)
        }
    }

    /// A session with everything, verified.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/damaged(_:reason:)``.
    public func session(_ id: String) throws -> Session {
        let row = StoreRow("session", id)
        guard let record = try sessionRecord(id) else { throw StoreError.notFound(row) }
        let stored = try on(row) { db in
            try Row.fetchOne(db, sql: "SELECT transcript, checksum FROM session WHERE id = ?", arguments: [id])
        }
        guard let stored else { throw StoreError.notFound(row) }
        let transcript: Data = stored["transcript"]
        let found = SessionRecord.checksum(
            space: record.space, generation: record.generation, metadata: record.metadata, transcript: transcript,
            state: try stateDigest(record.stateID, owner: row))
        guard found.data == stored["checksum"] as Data else {
            throw StoreError.damaged(row, reason: "its row does not match its checksum")
        }
        return Session(
            record: record, blobs: try stateBlobs(record.stateID, owner: row),
            transcript: SessionDraft.decode(transcript))
    }

    /// Sessions in the database, of all spaces.
    public func sessionCount() throws -> Int {
        try on(StoreRow("session")) { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM session") ?? 0 }
    }

    /// A session's place in the list of its space, as a cursor for ``sessions(space:_:)``; nil where there is none.
    public func sessionSequence(_ id: String, space: String) throws -> Int64? {
        try on(StoreRow("session", id)) { db in
            try Int64.fetchOne(
                db, sql: "SELECT sequence FROM session WHERE id = ? AND space_id = ?", arguments: [id, space])
        }
    }

    /// Sessions of a space.
    public func sessions(space: String, _ request: PageRequest = PageRequest()) throws -> Page<SessionRecord> {
        try page(
            of: "(SELECT \(SessionRecord.columns) FROM session)", where: ["space_id = ?"], arguments: [space],
            request: request, decode: SessionRecord.init)
    }
}

extension StoreTransaction {
    /// Makes a session.
    ///
    /// - Parameter id: the client's, or nil for a new one.
    /// - Throws: ``StoreError/conflict(_:reason:)`` when the id is taken; ``StoreError/notFound(_:)`` for the space.
    @discardableResult
    public func createSession(id: String? = nil, space: String, _ draft: SessionDraft) throws -> SessionRecord {
        let id = id ?? Identifier.make("sess")
        let row = StoreRow("session", id)
        try Identifier.check(id, in: "session")
        try requireSpace(space)
        guard try sessionRecord(id) == nil else { throw StoreError.conflict(row, reason: "it already exists") }
        guard let fingerprint = try currentFingerprint() else { throw StoreError.notFound(StoreRow("fingerprint")) }
        let transcript = SessionDraft.encode(draft.transcript)
        let time = now.timeIntervalSince1970
        let stateID = try insertState(draft.state, owner: row)
        try on(row) { _ in
            try run(
                """
                INSERT INTO session (id, space_id, fingerprint_id, created, last_used, generation, metadata,
                    transcript, state_id, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    id, space, fingerprint.id, time, time, draft.generation, draft.metadata.text, transcript, stateID,
                    draft.checksum(space: space, transcript: transcript),
                ])
        }
        _ = try writeChunks(of: draft.state, owner: row)
        try requireNotForgotten(generation: draft.generation, session: id)
        return try requireSession(id)
    }

    /// Replaces what a session is. The chunks it no longer needs leave first, so that new ones take their pages.
    ///
    /// - Throws: ``StoreError/notFound(_:)``.
    @discardableResult
    public func saveSession(_ id: String, _ draft: SessionDraft) throws -> SessionRecord {
        let row = StoreRow("session", id)
        let previous = try requireSession(id)
        try requireNotForgotten(generation: draft.generation, session: id)
        let transcript = SessionDraft.encode(draft.transcript)
        let stateID = try insertState(draft.state, owner: row)
        try on(row) { _ in
            try run(
                """
                UPDATE session SET last_used = ?, generation = ?, metadata = ?, transcript = ?, state_id = ?,
                    checksum = ? WHERE id = ?
                """,
                [
                    now.timeIntervalSince1970, draft.generation, draft.metadata.text, transcript, stateID,
                    draft.checksum(space: previous.space, transcript: transcript), id,
                ])
        }
        try releaseStates([previous.stateID], owner: row)
        _ = try writeChunks(of: draft.state, owner: row)
        return try requireSession(id)
    }

    /// Makes a second session that continues from the same state; it shares every chunk until either changes.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/conflict(_:reason:)`` when the new id is taken.
    @discardableResult
    public func forkSession(_ id: String, as newID: String? = nil) throws -> SessionRecord {
        let newID = newID ?? Identifier.make("sess")
        try Identifier.check(newID, in: "session")
        _ = try requireSession(id)
        let row = StoreRow("session", newID)
        guard try sessionRecord(newID) == nil else { throw StoreError.conflict(row, reason: "it already exists") }
        try on(row) { _ in
            try run(
                """
                INSERT INTO session (id, space_id, fingerprint_id, created, last_used, generation, metadata,
                        transcript, state_id, checksum)
                    SELECT ?1, space_id, fingerprint_id, ?2, ?2, generation, metadata, transcript, state_id, checksum
                        FROM session WHERE id = ?3
                """, [newID, now.timeIntervalSince1970, id])
        }
        return try requireSession(newID)
    }

    /// Deletes a session and what only it needed.
    ///
    /// - Throws: ``StoreError/notFound(_:)``.
    public func deleteSession(_ id: String) throws {
        let row = StoreRow("session", id)
        let record = try requireSession(id)
        try on(row) { _ in try run("DELETE FROM session WHERE id = ?", [id]) }
        try releaseStates([record.stateID], owner: row)
    }

    /// Deletes sessions that cannot be continued: states of another model, or with chunks missing. Bytes are
    /// verified when a session is read.
    func recoverSessions() throws -> [RecoveryReport.DroppedSession] {
        let rows = try on(StoreRow("session")) { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT id, fingerprint_id <> (SELECT max(id) FROM fingerprint) AS is_foreign FROM session
                    WHERE is_foreign OR EXISTS (
                        SELECT 1 FROM state_chunk LEFT JOIN chunk USING (hash)
                        WHERE state_chunk.state_id = session.state_id AND chunk.id IS NULL)
                    ORDER BY sequence
                    """)
        }
        return try rows.map { row in
            let id: String = row["id"]
            try deleteSession(id)
            return .init(
                id: id, reason: row["is_foreign"] ? "its state belongs to another model" : "chunks are missing")
        }
    }

    private func requireSession(_ id: String) throws -> SessionRecord {
        guard let record = try sessionRecord(id) else { throw StoreError.notFound(StoreRow("session", id)) }
        return record
    }
}

extension SessionDraft {
    fileprivate func checksum(space: String, transcript: Data) -> Data {
        SessionRecord.checksum(
            space: space, generation: generation, metadata: metadata, transcript: transcript, state: state.digest
        ).data
    }
}
