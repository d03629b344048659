public import Foundation
import GRDB

/// A named state of a space's levels: a generation that pruning leaves alone.
public struct SnapshotRecord: Sendable, Hashable {
    /// Unique within the space.
    public let id: String
    /// The space whose levels it is of.
    public let space: String
    /// Place in the order of making, over all spaces.
    public let sequence: Int64
    /// Unique within the space.
    public let name: String
    /// The caller's own.
    public let note: String?
    /// When it was made.
    public let created: Date
    /// Whether a policy made it and may delete it.
    public let isAutomatic: Bool
    /// The generation it is.
    public let generation: Int64
    /// The last event the generation contains; nil where it came from a file.
    public let event: Int64?
    /// Whether it came from a file.
    public let isImported: Bool
    /// Bytes of its tensors, shared with whatever else has them.
    public let byteCount: Int

    static let columns = """
        (SELECT snapshot.*, generation.number AS generation, generation.event AS event,
            generation.imported AS imported, generation.byte_count AS byte_count
            FROM snapshot JOIN generation ON generation.id = snapshot.generation_id
            WHERE generation.fingerprint_id = (SELECT max(id) FROM fingerprint))
        """

    init(row: Row) {
        id = row["id"]
        space = row["space_id"]
        sequence = row["sequence"]
        name = row["name"]
        note = row["note"]
        created = Date(timeIntervalSince1970: row["created"])
        isAutomatic = row["automatic"]
        generation = row["generation"]
        event = row["event"]
        isImported = row["imported"]
        byteCount = row["byte_count"]
    }
}

/// What holds a document beside the space it was learned in.
public struct DocumentHolders: Sendable, Hashable {
    /// A snapshot of the space.
    public struct Snapshot: Sendable, Hashable {
        /// Its id.
        public let id: String
        /// Its name.
        public let name: String
        /// Whether it came from a file, so that nobody knows what it has learned.
        public let isImported: Bool
    }

    /// Snapshots whose levels have learned the document, or came from a file, oldest first.
    public let snapshots: [Snapshot]
    /// Spaces that were forked, directly or not, after the document was learned and still have it, by id.
    public let forks: [String]
}

extension StoreReader {
    /// One snapshot of the current model; nil where there is none.
    public func snapshot(space: String, id: String) throws -> SnapshotRecord? {
        try on(StoreRow("snapshot", "\(space)/\(id)")) { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM \(SnapshotRecord.columns) WHERE space_id = ? AND id = ?",
                arguments: [space, id]
            ).map(SnapshotRecord.init)
        }
    }

    /// Snapshots of a space.
    public func snapshots(space: String, _ request: PageRequest = PageRequest()) throws -> Page<SnapshotRecord> {
        try page(
            of: SnapshotRecord.columns, where: ["space_id = ?"], arguments: [space], request: request,
            decode: SnapshotRecord.init)
    }

    /// The snapshot a policy made last in a space.
    public func newestAutomaticSnapshot(space: String) throws -> SnapshotRecord? {
        try page(
            of: SnapshotRecord.columns, where: ["space_id = ?", "automatic = 1"], arguments: [space],
            request: PageRequest(limit: 1), decode: SnapshotRecord.init
        ).items.first
    }

    /// Which snapshots and forks have what the space learned from a document.
    public func holders(space: String, document: String) throws -> DocumentHolders {
        let events = try learningEvents(space: space, document: document)
        guard let first = events.min() else { return DocumentHolders(snapshots: [], forks: []) }
        var snapshots: [DocumentHolders.Snapshot] = []
        for snapshot in try self.snapshots(space: space, PageRequest(limit: .max - 1, order: .oldestFirst)).items {
            if let event = snapshot.event {
                guard event >= first else { continue }
                let log = try effectiveLog(space: space, through: event)
                guard events.contains(where: log.contains) else { continue }
            }
            snapshots.append(.init(id: snapshot.id, name: snapshot.name, isImported: snapshot.isImported))
        }
        // A fork's log begins with its parent's, so a place in one is the same place in the other.
        let forks = try on(StoreRow("space", space)) { db in
            try String.fetchAll(
                db,
                sql: """
                    WITH RECURSIVE fork(id) AS (
                        SELECT id FROM space WHERE parent = ?1 AND parent_event >= ?2
                        UNION SELECT space.id FROM space JOIN fork ON space.parent = fork.id
                            WHERE space.parent_event >= ?2)
                    SELECT id FROM fork
                        WHERE EXISTS (SELECT 1 FROM document WHERE space_id = fork.id AND document.id = ?3)
                    ORDER BY id
                    """, arguments: [space, first, document])
        }
        return DocumentHolders(snapshots: snapshots, forks: forks)
    }
}
