public import Foundation
import GRDB

/// One memory: a tenant, a user, a project.
public struct SpaceRecord: Sendable, Hashable {
    /// The space that always exists.
    public static let defaultID = "default"

    /// What routes and requests call it.
    public let id: String
    /// What people call it.
    public let name: String
    /// When it was made.
    public let created: Date
    /// The caller's own.
    public let metadata: JSONText

    init(row: Row) {
        id = row["id"]
        name = row["name"]
        created = Date(timeIntervalSince1970: row["created"])
        metadata = JSONText(unchecked: row["metadata"])
    }
}

extension StoreReader {
    /// One space; nil where there is none.
    public func space(_ id: String) throws -> SpaceRecord? {
        try on(StoreRow("space", id)) { db in
            try Row.fetchOne(db, sql: "SELECT * FROM space WHERE id = ?", arguments: [id]).map(SpaceRecord.init)
        }
    }

    /// All spaces, by id.
    public func spaces() throws -> [SpaceRecord] {
        try on(StoreRow("space")) { db in
            try Row.fetchAll(db, sql: "SELECT * FROM space ORDER BY id").map(SpaceRecord.init)
        }
    }

    /// - Throws: ``StoreError/notFound(_:)``.
    func requireSpace(_ id: String) throws {
        guard try space(id) != nil else { throw StoreError.notFound(StoreRow("space", id)) }
    }
}

extension StoreTransaction {
    /// Makes a space.
    ///
    /// - Throws: ``StoreError/conflict(_:reason:)`` when it exists.
    @discardableResult
    public func createSpace(_ id: String, name: String? = nil, metadata: JSONText = .empty) throws -> SpaceRecord {
        let row = StoreRow("space", id)
        try Identifier.check(id, in: "space")
        try Identifier.checkText(name, named: "name", row: row)
        guard try space(id) == nil else { throw StoreError.conflict(row, reason: "it already exists") }
        return try on(row) { _ in
            try run(
                "INSERT INTO space (id, name, created, metadata) VALUES (?, ?, ?, ?)",
                [id, name ?? id, now.timeIntervalSince1970, metadata.text])
            guard let record = try space(id) else { throw StoreError.notFound(row) }
            return record
        }
    }

    /// Deletes a space with everything in it: documents, log, jobs, sessions, generations, histories.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/conflict(_:reason:)`` for the default space.
    public func deleteSpace(_ id: String) throws {
        let row = StoreRow("space", id)
        guard id != SpaceRecord.defaultID else {
            throw StoreError.conflict(row, reason: "the default space always exists")
        }
        try requireSpace(id)
        try on(row) { db in
            let states = try Int64.fetchAll(
                db,
                sql: """
                    SELECT state_id FROM generation_level
                        WHERE generation_id IN (SELECT id FROM generation WHERE space_id = ?1)
                    UNION SELECT state_id FROM session WHERE space_id = ?1
                    UNION SELECT state_id FROM job WHERE space_id = ?1 AND state_id IS NOT NULL
                    """, arguments: [id])
            try run("DELETE FROM space WHERE id = ?", [id])
            try releaseStates(states, owner: row)
        }
    }
}
