import Foundation
import GRDB

extension StoreTransaction {
    /// Makes a space.
    ///
    /// - Throws: ``StoreError/conflict(_:reason:)`` when it exists; ``StoreError/invalid(_:reason:)``.
    @discardableResult
    public func createSpace(
        _ id: String, name: String? = nil, metadata: JSONText = .empty, quotas: SpaceQuotas = SpaceQuotas()
    ) throws -> SpaceRecord {
        let row = StoreRow("space", id)
        try Identifier.check(id, in: "space")
        try Identifier.checkText(name, named: "name", row: row)
        guard try space(id) == nil else { throw StoreError.conflict(row, reason: "it already exists") }
        return try on(row) { _ in
            try run(
                "INSERT INTO space (id, name, created, metadata) VALUES (?, ?, ?, ?)",
                [id, name ?? id, now.timeIntervalSince1970, metadata.text])
            try setQuotas(quotas, space: id)
            return try requireSpace(id)
        }
    }

    /// Makes a space that goes on from where another is: its newest generation, every chunk shared; its log, so that
    /// replay works in the fork by itself; the documents the log speaks of, with their texts and the jobs that learned
    /// them. Sessions, snapshots and documents that wait stay behind, and so do receipts of what was forgotten: the fork
    /// has never had it.
    ///
    /// - Parameter quotas: nil: those of the parent.
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/conflict(_:reason:)`` when `newID` is taken.
    public func forkSpace(
        _ id: String, as newID: String, name: String? = nil, quotas: SpaceQuotas? = nil
    ) throws -> SpaceRecord {
        let source = try requireSpace(id)
        let generation = try newestGenerationRecord(space: id)
        let event = try nextEventSequence(space: id) - 1
        try createSpace(newID, name: name, metadata: source.metadata, quotas: quotas ?? source.quotas)
        try on(StoreRow("space", newID)) { db in
            try run(
                """
                UPDATE space SET parent = ?1, parent_generation = ?2, parent_event = ?3,
                    (next_generation, next_event) = (SELECT next_generation, next_event FROM space WHERE id = ?1)
                    WHERE id = ?4
                """, [id, generation?.number, event, newID])
            let learned = "(SELECT document_id FROM event WHERE space_id = ?1 AND kind = 'learn')"
            try copy("event", from: id, to: newID)
            try copy("level_history", from: id, to: newID, without: ["id"])
            try copy("document", from: id, to: newID, without: ["sequence"], where: "id IN \(learned)")
            try db.execute(
                sql: """
                    INSERT INTO document_text (sequence, text)
                        SELECT new.sequence, document_text.text FROM document AS new
                            JOIN document AS old ON old.space_id = ?1 AND old.id = new.id
                            JOIN document_text ON document_text.sequence = old.sequence
                        WHERE new.space_id = ?2
                    """, arguments: [id, newID])
            try copy(
                "job", from: id, to: newID, without: ["sequence"],
                replacing: ["id": "'job-' || lower(hex(randomblob(16)))", "state_id": "NULL"],
                where: """
                    sequence IN (SELECT max(sequence) FROM job WHERE space_id = ?1 AND kind = 'learn'
                        AND status = 'learned' GROUP BY document_id) AND document_id IN \(learned)
                    """)
        }
        // Those that wait there to be learned again do not wait here.
        try on(StoreRow("document", newID)) { db in
            try db.execute(
                sql: "UPDATE document SET status = 'unlearned' WHERE space_id = ? AND status IN ('queued', 'learning')",
                arguments: [newID])
        }
        try refreshKnownDocuments(space: newID)
        if let generation { try copyGeneration(generation, to: newID) }
        for source in try importedSources(space: id) {
            try copyGeneration(try generationRecord(space: id, number: source), to: newID)
        }
        return try requireSpace(newID)
    }

    /// Deletes a space with everything in it: documents, log, jobs, sessions, generations, snapshots, histories, and
    /// the idempotency keys that lead to it. Forks of it become forks of what it was forked from.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/conflict(_:reason:)`` for the default space.
    public func deleteSpace(_ id: String) throws {
        let row = StoreRow("space", id)
        guard id != SpaceRecord.defaultID else {
            throw StoreError.conflict(row, reason: "the default space always exists")
        }
        let space = try requireSpace(id)
        try on(row) { db in
            let states = try Int64.fetchAll(
                db,
                sql: """
                    SELECT state_id FROM generation_level
                        WHERE generation_id IN (SELECT id FROM generation WHERE space_id = ?1)
                    UNION SELECT state_id FROM session WHERE space_id = ?1
                    UNION SELECT state_id FROM job WHERE space_id = ?1 AND state_id IS NOT NULL
                    """, arguments: [id])
            // What a fork of a fork shares with the first is the shorter of the two logs.
            try run(
                """
                UPDATE space SET parent = ?1, parent_generation = ?2, parent_event = min(parent_event, ?3)
                    WHERE parent = ?4
                """, [space.parent, space.parentGeneration, space.parentEvent, id])
            try run("DELETE FROM idempotency_key WHERE json_extract(response, '$.space') = ?", [id])
            try run("DELETE FROM space WHERE id = ?", [id])
            try releaseStates(states, owner: row)
        }
    }

    /// A second row for a generation, in another space: the same number and states, a checksum of its own.
    private func copyGeneration(_ record: GenerationRecord, to space: String) throws {
        let row = StoreRow("generation", "\(space)/\(record.number)")
        let states = try levels(ofGeneration: record.id, owner: row)
        let checksum = GenerationRecord.checksum(
            space: space, number: record.number, parent: record.parent, event: record.event, metadata: record.metadata,
            levels: try states.map { ($0.name, try stateDigest($0.stateID, owner: row)) })
        try on(row) { db in
            try copy(
                "generation", from: record.space, to: space, without: ["id"],
                replacing: ["checksum": "x'\(checksum.hex)'", "bytes_written": "0", "pinned": "0"],
                where: "id = \(record.id)")
            let id = db.lastInsertedRowID
            for (position, level) in states.enumerated() {
                try run(
                    "INSERT INTO generation_level (generation_id, position, level, state_id) VALUES (?, ?, ?, ?)",
                    [id, position, level.name, level.stateID])
            }
        }
    }

    /// Copies a space's rows of a table, columns that later versions add included.
    private func copy(
        _ table: String, from space: String, to other: String, without left: Set<String> = [],
        replacing replaced: [String: String] = [:], where condition: String = "1"
    ) throws {
        try on(StoreRow(table, other)) { db in
            let columns = try db.columns(in: table).map(\.name).filter { !left.contains($0) }
            let values = columns.map { column in column == "space_id" ? "?2" : replaced[column] ?? column }
            let order = left.contains("sequence") ? "ORDER BY sequence" : ""
            try db.execute(
                sql: """
                    INSERT INTO \(table) (\(columns.joined(separator: ", ")))
                        SELECT \(values.joined(separator: ", ")) FROM \(table)
                        WHERE space_id = ?1 AND \(condition) \(order)
                    """, arguments: [space, other])
        }
    }
}

extension StoreReader {
    /// Imported generations that the log of a space needs to be replayed.
    func importedSources(space: String) throws -> [Int64] {
        try on(StoreRow("event", space)) { db in
            try Int64.fetchAll(
                db, sql: "SELECT DISTINCT source FROM event WHERE space_id = ? AND source IS NOT NULL ORDER BY 1",
                arguments: [space])
        }
    }
}
