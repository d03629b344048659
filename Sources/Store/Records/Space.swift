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
    /// The space it was forked from; the one that was itself forked from, where that has been deleted.
    public let parent: String?
    /// The parent's generation it began with; nil: the model file's levels.
    public let parentGeneration: Int64?
    /// The last event of the parent's log that it took over.
    public let parentEvent: Int64?
    /// What it may use.
    public let quotas: SpaceQuotas
    /// Seconds the learner has worked for it.
    public let learningSeconds: Double

    init(row: Row) {
        id = row["id"]
        name = row["name"]
        created = Date(timeIntervalSince1970: row["created"])
        metadata = JSONText(unchecked: row["metadata"])
        parent = row["parent"]
        parentGeneration = row["parent_generation"]
        parentEvent = row["parent_event"]
        quotas = SpaceQuotas(
            documents: row["quota_documents"], bytes: row["quota_bytes"], learningSeconds: row["quota_seconds"])
        learningSeconds = row["learning_seconds"]
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
    @discardableResult
    func requireSpace(_ id: String) throws -> SpaceRecord {
        guard let record = try space(id) else { throw StoreError.notFound(StoreRow("space", id)) }
        return record
    }
}
