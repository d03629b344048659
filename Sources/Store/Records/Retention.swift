public import Foundation
import GRDB

/// Where a document's newest loss comes from.
public struct DocumentMeasurement: Sendable, Hashable {
    /// When it was measured.
    public let at: Date?
    /// The generation that was measured; nil where it was never kept, as those in the middle of a rebuild.
    public let generation: Int64?
    /// The lowest loss of all measurements before the newest, since the document was learned; the newest where it is
    /// the only one.
    public let bestLoss: Double?

    init(row: Row) {
        at = (row["measured"] as Double?).map(Date.init(timeIntervalSince1970:))
        generation = row["measured_generation"]
        bestLoss = row["loss_best"]
    }
}

extension StoreReader {
    /// Calls `body` with every learned document of a space that has all its losses, in order of acceptance.
    public func forEachLearnedDocument(space: String, _ body: (DocumentRecord) throws -> Void) throws {
        try on(StoreRow("document", space)) { db in
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT * FROM document WHERE space_id = ? AND status = 'learned' AND loss_base IS NOT NULL
                        AND loss_learned IS NOT NULL AND loss_now IS NOT NULL ORDER BY sequence
                    """, arguments: [space])
            while let row = try rows.next() { try body(DocumentRecord(row: row)) }
        }
    }

    /// The document that was learned last, of those that are there.
    public func lastLearnedDocument(space: String) throws -> String? {
        try on(StoreRow("event", space)) { db in
            try String.fetchOne(
                db,
                sql: """
                    SELECT document.id FROM event
                        JOIN document ON document.space_id = event.space_id AND document.id = event.document_id
                        WHERE event.space_id = ? AND event.kind = 'learn' AND document.status = 'learned'
                        ORDER BY event.sequence DESC LIMIT 1
                    """, arguments: [space])
        }
    }

    /// Learned documents that `generation` has not been measured by, those first that were not measured for longest.
    public func documentsToMeasure(space: String, generation: Int64, limit: Int) throws -> [DocumentRecord] {
        try on(StoreRow("document", space)) { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM document WHERE space_id = ? AND status = 'learned'
                        AND (measured_generation IS NULL OR measured_generation <> ?)
                        ORDER BY measured, sequence LIMIT ?
                    """, arguments: [space, generation, limit]
            ).map(DocumentRecord.init)
        }
    }
}

extension StoreTransaction {
    /// Records what a document's loss is now. It changes no level and is no event of the log.
    ///
    /// - Parameters:
    ///   - generation: whose levels were measured; nil where they were not kept.
    ///   - isFirst: whether earlier measurements are of another learning and don't count.
    /// - Returns: false if the document is not there any more.
    @discardableResult
    public func recordMeasurement(
        space: String, document: String, loss: Double, generation: Int64?, isFirst: Bool = false
    ) throws -> Bool {
        try on(StoreRow("document", "\(space)/\(document)")) { db in
            try run(
                """
                UPDATE document SET
                    loss_best = CASE WHEN ?1 OR loss_now IS NULL THEN ?2
                        ELSE min(coalesce(loss_best, loss_now), loss_now) END,
                    loss_now = ?2, measured = ?3, measured_generation = ?4 WHERE space_id = ?5 AND id = ?6
                """, [isFirst, loss, now.timeIntervalSince1970, generation, space, document])
            return db.changesCount == 1
        }
    }
}
