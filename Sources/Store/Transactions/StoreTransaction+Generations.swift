import Foundation
import GRDB

extension StoreReader {
    /// The newest generation of the current model that is not known to be damaged, without its tensors.
    public func newestGenerationRecord(space: String) throws -> GenerationRecord? {
        try generations(space: space).first { $0.damage == nil }
    }

    /// All generations of the current model in a space, newest first, damaged ones included, imported ones not.
    public func generations(space: String) throws -> [GenerationRecord] {
        try on(StoreRow("generation", space)) { db in
            try Row.fetchAll(
                db,
                sql: GenerationRecord.columns + """
                     WHERE space_id = ? AND fingerprint_id = (SELECT max(id) FROM fingerprint) AND imported = 0
                     ORDER BY number DESC
                    """, arguments: [space]
            ).map(GenerationRecord.init)
        }
    }

    /// One generation with its tensors, every chunk verified.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/damaged(_:reason:)``.
    public func generation(space: String, number: Int64) throws -> Generation {
        let record = try generationRecord(space: space, number: number)
        let levels = try verifiedLevels(of: record)
        return Generation(
            record: record,
            levels: try levels.map {
                LevelState(name: $0.name, blobs: try stateBlobs($0.stateID, owner: Self.row(record)))
            })
    }

    /// The newest generation whose every byte is what was written, read with its tensors. Damage that shows up only
    /// now is skipped too; ``MemoryStore/open(at:fingerprint:ifOtherModel:)`` has verified and reported already.
    ///
    /// - Returns: nil when the space has no whole generation: its levels are those of the model file.
    public func newestGeneration(space: String) throws -> Generation? {
        try Recovery.newestWhole(of: generations(space: space)) {
            try generation(space: space, number: $0.number)
        }.used
    }

    /// Reads a generation only to verify it.
    ///
    /// - Throws: ``StoreError/damaged(_:reason:)``.
    func verify(_ record: GenerationRecord) throws {
        for level in try verifiedLevels(of: record) { try verifyState(level.stateID, owner: Self.row(record)) }
    }

    static func row(_ record: GenerationRecord) -> StoreRow {
        StoreRow("generation", "\(record.space)/\(record.number)")
    }

    func generationRecord(space: String, number: Int64) throws -> GenerationRecord {
        let row = StoreRow("generation", "\(space)/\(number)")
        let found = try on(row) { db in
            try Row.fetchOne(
                db, sql: GenerationRecord.columns + " WHERE space_id = ? AND number = ?", arguments: [space, number])
        }
        guard let found else { throw StoreError.notFound(row) }
        return GenerationRecord(row: found)
    }

    func levels(ofGeneration id: Int64, owner: StoreRow) throws -> [(name: String, stateID: Int64)] {
        try on(owner) { db in
            try Row.fetchAll(
                db, sql: "SELECT level, state_id FROM generation_level WHERE generation_id = ? ORDER BY position",
                arguments: [id]
            ).map { ($0["level"], $0["state_id"]) }
        }
    }

    /// The levels of a generation, once its own checksum agrees with what they and the row say.
    private func verifiedLevels(of record: GenerationRecord) throws -> [(name: String, stateID: Int64)] {
        let row = Self.row(record)
        let levels = try levels(ofGeneration: record.id, owner: row)
        let found = GenerationRecord.checksum(
            space: record.space, number: record.number, parent: record.parent, event: record.event,
            metadata: record.metadata,
            levels: try levels.map { ($0.name, try stateDigest($0.stateID, owner: row)) })
        guard found.data == record.checksum else {
            throw StoreError.damaged(row, reason: "its row does not match its checksum")
        }
        return levels
    }
}

extension StoreTransaction {
    /// Writes a generation. Chunks that are already on disk are shared, not written.
    ///
    /// Compose it with whatever must become true at the same moment: the event, the document's new status and
    /// losses, the job's end, level history, the consolidation's verdict.
    ///
    /// - Throws: ``StoreError/notFound(_:)`` for an unknown space, or a parent an inherited level is not in.
    @discardableResult
    public func persistGeneration(_ draft: GenerationDraft) throws -> GenerationRecord {
        guard let fingerprint = try currentFingerprint() else { throw StoreError.notFound(StoreRow("fingerprint")) }
        let number = try takeNumber("next_generation", space: draft.space)
        let row = StoreRow("generation", "\(draft.space)/\(number)")
        var bytesWritten = 0
        var byteCount = 0
        var levels: [(name: String, stateID: Int64, digest: SHA256Digest)] = []
        for level in draft.levels {
            let stateID: Int64
            switch level.content {
            case .state(let state):
                stateID = try insertState(state, owner: row)
                bytesWritten += try writeChunks(of: state, owner: row)
                byteCount += state.byteCount
            case .inherited:
                stateID = try inheritedState(level.name, draft: draft)
                byteCount += try on(row) { db in
                    try Int.fetchOne(db, sql: "SELECT byte_count FROM state WHERE id = ?", arguments: [stateID]) ?? 0
                }
            }
            levels.append((level.name, stateID, try stateDigest(stateID, owner: row)))
        }
        let checksum = GenerationRecord.checksum(
            space: draft.space, number: number, parent: draft.parent, event: draft.event, metadata: draft.metadata,
            levels: levels.map { ($0.name, $0.digest) })
        return try on(row) { db in
            try run(
                """
                INSERT INTO generation (space_id, number, parent, event, fingerprint_id, created, metadata,
                    bytes_written, byte_count, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    draft.space, number, draft.parent, draft.event, fingerprint.id, now.timeIntervalSince1970,
                    draft.metadata.text, bytesWritten, byteCount, checksum.data,
                ])
            let id = db.lastInsertedRowID
            for (position, level) in levels.enumerated() {
                try run(
                    "INSERT INTO generation_level (generation_id, position, level, state_id) VALUES (?, ?, ?, ?)",
                    [id, position, level.name, level.stateID])
            }
            return try generationRecord(space: draft.space, number: number)
        }
    }

    /// Deletes old generations of the current model: keeps the newest `keep` whole ones and every pinned one.
    /// Damaged ones do not count, and go once a whole one is newer.
    ///
    /// - Returns: the numbers deleted.
    /// - Precondition: `keep` is at least 1.
    @discardableResult
    public func pruneGenerations(space: String, keep: Int = 8) throws -> [Int64] {
        precondition(keep >= 1, "pruning keeps at least one generation, got \(keep)")
        let doomed = Recovery.prunable(try generations(space: space), keep: keep)
        var states: [Int64] = []
        for record in doomed { states += try deleteGeneration(record) }
        try releaseStates(states, owner: StoreRow("generation", space))
        return doomed.map(\.number)
    }

    /// Deletes a generation's rows.
    ///
    /// - Returns: the states it had, for the caller to release.
    func deleteGeneration(_ record: GenerationRecord) throws -> [Int64] {
        let states = try levels(ofGeneration: record.id, owner: Self.row(record)).map(\.stateID)
        try on(Self.row(record)) { _ in try run("DELETE FROM generation WHERE id = ?", [record.id]) }
        return states
    }

    /// Keeps pruning away from a generation, or lets it come back.
    ///
    /// - Throws: ``StoreError/notFound(_:)``.
    public func setPinned(_ isPinned: Bool, space: String, generation number: Int64) throws {
        let record = try generationRecord(space: space, number: number)
        try on(Self.row(record)) { _ in
            try run("UPDATE generation SET pinned = ? WHERE id = ?", [isPinned, record.id])
        }
    }

    func markDamaged(_ record: GenerationRecord, reason: String) throws {
        try on(Self.row(record)) { _ in
            try run("UPDATE generation SET damage = ? WHERE id = ?", [reason, record.id])
        }
    }

    /// Takes the next value of one of a space's counters.
    func takeNumber(_ counter: String, space: String) throws -> Int64 {
        let row = StoreRow("space", space)
        let taken = try on(row) { db in
            try Int64.fetchOne(
                db, sql: "UPDATE space SET \(counter) = \(counter) + 1 WHERE id = ? RETURNING \(counter) - 1",
                arguments: [space])
        }
        guard let taken else { throw StoreError.notFound(row) }
        return taken
    }

    private func inheritedState(_ level: String, draft: GenerationDraft) throws -> Int64 {
        let row = StoreRow("generation_level", "\(draft.space)/\(draft.parent.map(String.init) ?? "none")/\(level)")
        guard let parent = draft.parent else { throw StoreError.notFound(row) }
        let record = try generationRecord(space: draft.space, number: parent)
        guard let found = try levels(ofGeneration: record.id, owner: row).first(where: { $0.name == level }) else {
            throw StoreError.notFound(row)
        }
        return found.stateID
    }
}
