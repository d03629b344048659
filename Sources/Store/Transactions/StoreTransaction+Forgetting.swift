import Foundation
import GRDB

// Deleting a document, and what of it is in events, jobs, keys and generations.
//
// Rows of other tables that are derived from a document reference `document(sequence)` with ON DELETE CASCADE, or,
// where a table cannot have foreign keys (full-text indices), hang on a trigger AFTER DELETE ON document: they go in
// the same transaction. `secure_delete` is on, so SQLite overwrites what is deleted; a checkpoint that truncates the
// log (``MemoryStore/checkpoint()``) then leaves nothing of it in either file.

extension StoreTransaction {
    /// Removes a document: text, title, metadata, whatever is derived from it, the events that learned it, what its
    /// jobs and idempotency keys say of it. What it did to the levels is the caller's to undo.
    ///
    /// Places in the log are not given again: they are missing from then on.
    ///
    /// - Throws: ``StoreError/notFound(_:)``.
    public func removeDocument(space: String, id: String) throws -> RemovedDocument {
        let row = StoreRow("document", "\(space)/\(id)")
        guard let document = try document(space: space, id: id) else { throw StoreError.notFound(row) }
        return try on(row) { db in
            let learning = try learningEvents(space: space, document: id)
            let first = learning.min()
            let generation = try Int64.fetchOne(
                db,
                sql: """
                    SELECT coalesce(min(number), (SELECT next_generation FROM space WHERE id = ?1)) FROM generation
                        WHERE space_id = ?1 AND event >= ?2 AND fingerprint_id = (SELECT max(id) FROM fingerprint)
                    """, arguments: [space, first])
            // A document that was learned again after a restore no longer says which generation held it first; none
            // did before its first event.
            let safe = try Int64.fetchOne(
                db,
                sql: """
                    SELECT coalesce(max(number), 0) + 1 FROM generation
                        WHERE space_id = ? AND event < ? AND fingerprint_id = (SELECT max(id) FROM fingerprint)
                    """, arguments: [space, first])
            let firstGeneration = learning.count == 1 ? document.firstGeneration ?? generation : safe
            let states = try Int64.fetchAll(
                db, sql: "SELECT state_id FROM job WHERE space_id = ? AND document_id = ? AND state_id IS NOT NULL",
                arguments: [space, id])
            try run("DELETE FROM event WHERE space_id = ? AND document_id = ? AND kind = 'learn'", [space, id])
            try run(
                """
                UPDATE job SET detail = '{}', error = NULL, state_id = NULL
                    WHERE space_id = ? AND document_id = ? AND kind = 'learn'
                """, [space, id])
            // The key stays used, so that a request that is repeated does not bring the document back; what it says
            // of the text goes.
            try run(
                """
                UPDATE idempotency_key SET request = zeroblob(32)
                    WHERE json_extract(response, '$.space') = ? AND json_extract(response, '$.document') = ?
                """, [space, id])
            try run("DELETE FROM document WHERE sequence = ?", [document.sequence])
            try releaseStates(states, owner: row)
            return RemovedDocument(
                document: document, firstEvent: first,
                firstGeneration: first == nil ? nil : firstGeneration)
        }
    }

    /// Opens a receipt.
    public func recordForgetting(
        of removed: RemovedDocument, job: String?, keepsSessions: Bool, receipt: JSONText
    ) throws {
        let document = removed.document
        let state: ForgottenRecord.State = job == nil ? .forgotten : .rebuilding
        try on(StoreRow("forgotten", "\(document.space)/\(document.id)")) { _ in
            try run(
                """
                INSERT INTO forgotten (space_id, document_id, job_id, state, requested, completed, first_event,
                    first_generation, keeps_sessions, receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    document.space, document.id, job, state.rawValue, now.timeIntervalSince1970,
                    job == nil ? now.timeIntervalSince1970 : nil, removed.firstEvent, removed.firstGeneration,
                    keepsSessions, receipt.text,
                ])
        }
    }

    /// Says how far a forgetting is.
    ///
    /// - Parameters:
    ///   - job: the job of the receipt.
    ///   - newJob: takes that one's place.
    ///   - generation: the first that holds nothing of the document.
    public func updateForgetting(
        job: String, state: ForgottenRecord.State, newJob: String? = nil, generation: Int64? = nil,
        receipt: JSONText? = nil
    ) throws {
        try on(StoreRow("forgotten", job)) { _ in
            try run(
                """
                UPDATE forgotten SET state = ?1, job_id = coalesce(?2, job_id), generation = ?3,
                    receipt = coalesce(?4, receipt), completed = CASE WHEN ?1 = 'forgotten' THEN ?5 END
                    WHERE job_id = ?6
                """, [state.rawValue, newJob, generation, receipt?.text, now.timeIntervalSince1970, job])
        }
    }

    /// Corrects what an event needs to be done again: it was done again without a document before it.
    public func rewriteEvent(space: String, sequence: Int64, payload: JSONText, seed: UInt64) throws {
        try on(StoreRow("event", "\(space)/\(sequence)")) { _ in
            try run(
                "UPDATE event SET payload = ?, seed = ? WHERE space_id = ? AND sequence = ?",
                [payload.text, Int64(bitPattern: seed), space, sequence])
        }
    }

    /// Corrects what the log of consolidations says of one that was done again.
    public func rewriteConsolidation(_ record: ConsolidationRecord) throws {
        try on(StoreRow("consolidation", record.job)) { _ in
            try run(
                """
                UPDATE consolidation SET verdict = ?, reason = ?, tokens = ?, generation = ?, losses = ?
                    WHERE space_id = ? AND job_id = ?
                """,
                [
                    record.verdict.rawValue, record.reason, record.tokens, record.generation, record.losses.text,
                    record.space, record.job,
                ])
        }
    }

    /// Deletes the generations of any model that contain events from `event` on, with their history.
    ///
    /// Those of the current model that a snapshot names stay, but leave the log: its events have other seeds now, or
    /// are missing, so nobody could make them again from it. From then on they are as if they came from a file.
    ///
    /// - Parameter kept: the rebuilt one.
    /// - Returns: the numbers deleted.
    @discardableResult
    public func deleteGenerations(space: String, since event: Int64, except kept: Int64) throws -> [Int64] {
        for record in try generations(space: space)
        where record.isPinned && record.number != kept && (record.event ?? 0) >= event {
            try detach(record)
        }
        let owner = StoreRow("generation", space)
        return try on(owner) { db in
            let doomed = try Row.fetchAll(
                db,
                sql: """
                    SELECT id, number, fingerprint_id = (SELECT max(id) FROM fingerprint) AS is_current
                        FROM generation WHERE space_id = ? AND event >= ? AND number <> ?
                    ORDER BY number
                    """, arguments: [space, event, kept])
            var states: [Int64] = []
            for row in doomed {
                states += try Int64.fetchAll(
                    db, sql: "SELECT state_id FROM generation_level WHERE generation_id = ?",
                    arguments: [row["id"] as Int64])
                try run("DELETE FROM generation WHERE id = ?", [row["id"] as Int64])
            }
            let numbers = doomed.map { $0["number"] as Int64 }
            // What history has of a former model lies before its own.
            if let first = doomed.first(where: { $0["is_current"] })?["number"] as Int64? {
                try run(
                    "DELETE FROM level_history WHERE space_id = ? AND generation >= ? AND generation <> ?",
                    [space, first, kept])
            }
            try releaseStates(states, owner: owner)
            return numbers
        }
    }

    private func detach(_ record: GenerationRecord) throws {
        let row = Self.row(record)
        let checksum = GenerationRecord.checksum(
            space: record.space, number: record.number, parent: record.parent, event: nil, metadata: record.metadata,
            levels: try levels(ofGeneration: record.id, owner: row).map {
                ($0.name, try stateDigest($0.stateID, owner: row))
            })
        try on(row) { _ in
            try run(
                "UPDATE generation SET event = NULL, imported = 1, checksum = ? WHERE id = ?",
                [checksum.data, record.id])
        }
    }

    /// Forgets what was measured by generations from `number` on: figures go back to when documents were learned.
    public func resetMeasurements(space: String, since number: Int64) throws {
        try on(StoreRow("document", space)) { _ in
            try run(
                """
                UPDATE document SET loss_now = loss_learned, loss_best = loss_learned, measured = learned,
                    measured_generation = first_generation
                    WHERE space_id = ? AND status = 'learned' AND measured_generation >= ?
                """, [space, number])
            try run(
                """
                UPDATE document SET last_generation = min(first_generation, last_generation)
                    WHERE space_id = ? AND last_generation >= ?
                """, [space, number])
        }
    }

    /// Records a document that was learned again without another before it: its old figures do not count.
    public func relearnDocument(
        space: String, id: String, losses: DocumentLosses, isTargetReached: Bool, generation: Int64
    ) throws {
        try on(StoreRow("document", "\(space)/\(id)")) { _ in
            try run(
                """
                UPDATE document SET loss_base = ?, loss_learned = ?, target_reached = ?, first_generation = ?4,
                    last_generation = ?4 WHERE space_id = ?5 AND id = ?6
                """, [losses.base, losses.learned, isTargetReached, generation, space, id])
        }
    }

    /// Refuses to keep a session that has just read a generation that holds a forgotten document: the session stays
    /// as it was before that request.
    ///
    /// - Throws: ``StoreError/conflict(_:reason:)``.
    func requireNotForgotten(generation: Int64?, session: String) throws {
        guard let generation else { return }
        let row = StoreRow("generation", "\(generation)")
        let isForgotten = try on(row) { db in
            try Bool.fetchOne(
                db,
                sql: """
                    SELECT EXISTS (SELECT 1 FROM forgotten JOIN session ON session.space_id = forgotten.space_id
                        WHERE session.id = ? AND state = 'forgotten' AND NOT keeps_sessions
                        AND first_generation <= ?2 AND forgotten.generation > ?2)
                    """, arguments: [session, generation])
        }
        guard isForgotten != true else {
            throw StoreError.conflict(row, reason: "a document in it was forgotten while it was read; ask again")
        }
    }
}
