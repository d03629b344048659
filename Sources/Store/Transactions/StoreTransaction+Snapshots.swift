import Foundation
import GRDB

extension StoreTransaction {
    /// Names the newest generation of a space, which pruning leaves alone from then on.
    ///
    /// - Throws: ``StoreError/notFound(_:)`` for the space, or where it has no generation yet;
    ///   ``StoreError/conflict(_:reason:)`` when the name is taken; ``StoreError/invalid(_:reason:)``.
    public func createSnapshot(
        space: String, name: String, note: String? = nil, isAutomatic: Bool = false
    ) throws -> SnapshotRecord {
        try requireSpace(space)
        guard let generation = try newestGenerationRecord(space: space) else {
            throw StoreError.notFound(StoreRow("generation", space))
        }
        return try insertSnapshot(of: generation, name: name, note: note, isAutomatic: isAutomatic)
    }

    /// Names levels that came from a file. They are no generation of the space's own until they are restored.
    ///
    /// - Parameter draft: its parent and event are nil, its levels complete.
    /// - Throws: as ``createSnapshot(space:name:note:isAutomatic:)``.
    public func importSnapshot(_ draft: GenerationDraft, name: String, note: String? = nil) throws -> SnapshotRecord {
        let generation = try persistGeneration(draft)
        try on(Self.row(generation)) { _ in
            try run("UPDATE generation SET imported = 1 WHERE id = ?", [generation.id])
        }
        return try insertSnapshot(of: generation, name: name, note: note, isAutomatic: false)
    }

    /// Deletes a snapshot. Its generation may be pruned again, unless another snapshot names it too; one that came
    /// from a file goes with its last snapshot, unless the log needs it.
    ///
    /// - Throws: ``StoreError/notFound(_:)``.
    public func deleteSnapshot(space: String, id: String) throws {
        let row = StoreRow("snapshot", "\(space)/\(id)")
        guard let snapshot = try snapshot(space: space, id: id) else { throw StoreError.notFound(row) }
        let generation = try generationRecord(space: space, number: snapshot.generation)
        try on(row) { db in
            try run("DELETE FROM snapshot WHERE space_id = ? AND id = ?", [space, id])
            let isNamed = try Bool.fetchOne(
                db, sql: "SELECT EXISTS (SELECT 1 FROM snapshot WHERE generation_id = ?)", arguments: [generation.id])
            if isNamed == true { return }
            guard snapshot.isImported else {
                return try setPinned(false, space: space, generation: generation.number)
            }
            if try importedSources(space: space).contains(generation.number) { return }
            try releaseStates(try deleteGeneration(generation), owner: row)
        }
    }

    /// Deletes snapshots that a policy made, but for the newest `keep` of a space.
    ///
    /// - Returns: the ids deleted.
    @discardableResult
    public func pruneAutomaticSnapshots(space: String, keep: Int) throws -> [String] {
        let doomed = try on(StoreRow("snapshot", space)) { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT id FROM snapshot WHERE space_id = ? AND automatic = 1 ORDER BY sequence DESC LIMIT -1 OFFSET ?
                    """, arguments: [space, keep])
        }
        for id in doomed where try snapshot(space: space, id: id) != nil { try deleteSnapshot(space: space, id: id) }
        return doomed
    }

    private func insertSnapshot(
        of generation: GenerationRecord, name: String, note: String?, isAutomatic: Bool
    ) throws -> SnapshotRecord {
        let id = Identifier.make("snap")
        let space = generation.space
        let row = StoreRow("snapshot", "\(space)/\(name)")
        try Identifier.check(name, in: "snapshot")
        try Identifier.checkText(note, named: "note", row: row)
        return try on(row) { db in
            let isTaken = try Bool.fetchOne(
                db, sql: "SELECT EXISTS (SELECT 1 FROM snapshot WHERE space_id = ? AND name = ?)",
                arguments: [space, name])
            if isTaken == true { throw StoreError.conflict(row, reason: "it already exists") }
            try run(
                """
                INSERT INTO snapshot (id, space_id, name, note, created, automatic, generation_id)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                """, [id, space, name, note, now.timeIntervalSince1970, isAutomatic, generation.id])
            try setPinned(true, space: space, generation: generation.number)
            guard let record = try snapshot(space: space, id: id) else { throw StoreError.notFound(row) }
            return record
        }
    }
}
