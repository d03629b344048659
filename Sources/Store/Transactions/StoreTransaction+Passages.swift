import Foundation
import GRDB

/// A part of a document that fits a prompt.
public struct Passage: Sendable, Hashable {
    /// The document's id.
    public let document: String
    /// The passage.
    public let text: String
    /// BM25, higher is nearer. Statistics are of the whole file, so only ratios within one answer mean anything.
    public let score: Double
}

extension StoreReader {
    /// The passages of a space that are nearest to a prompt by their words (BM25), nearest first.
    ///
    /// Documents whose learning was cancelled are not looked at. Any prompt is safe: none of it is a query language.
    public func passages(space: String, near prompt: String, limit: Int) throws -> [Passage] {
        guard let expression = PassageQuery(prompt).expression else { return [] }
        return try on(StoreRow("passage", space)) { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT document.id AS document, passage.text AS text, -bm25(passage_index) AS score
                    FROM passage_index
                        JOIN passage ON passage.id = passage_index.rowid
                        JOIN document ON document.sequence = passage.sequence
                    WHERE passage_index MATCH ? AND document.space_id = ? AND document.status <> ?
                    ORDER BY score DESC, passage.id LIMIT ?
                    """)
            let rows = try Row.fetchAll(
                statement, arguments: [expression, space, DocumentStatus.cancelled.rawValue, limit])
            return rows.map { Passage(document: $0["document"], text: $0["text"], score: $0["score"]) }
        }
    }
}

extension StoreTransaction {
    /// Indexes the text of a document.
    func index(_ text: String, of sequence: Int64) throws {
        for passage in Passages.cut(text) {
            try run("INSERT INTO passage (sequence, text) VALUES (?, ?)", [sequence, passage])
            try run("INSERT INTO passage_index (rowid, text) VALUES (?, ?)", [db.lastInsertedRowID, passage])
        }
    }

    /// Indexes the texts that are not indexed yet: those of a file from before there was an index.
    func indexMissingPassages() throws {
        try on(StoreRow("passage")) { db in
            let missing = try Int64.fetchAll(
                db,
                sql: """
                    SELECT sequence FROM document_text
                    WHERE NOT EXISTS (SELECT 1 FROM passage WHERE passage.sequence = document_text.sequence)
                    """)
            for sequence in missing {
                let text = try Data.fetchOne(
                    db, sql: "SELECT text FROM document_text WHERE sequence = ?", arguments: [sequence])
                try index(String(decoding: text ?? Data(), as: UTF8.self), of: sequence)
            }
        }
    }

    /// Takes what this transaction has deleted out of the index, and its words out of the file.
    ///
    /// Part of every transaction, before it commits. FTS5 keeps the words of a deleted row until its parts are merged;
    /// `optimize` merges them, and SQLite overwrites what is freed (`secure_delete`).
    func settlePassages() throws {
        try on(StoreRow("passage_index")) { db in
            let isDue =
                try Bool.fetchOne(
                    db.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM passage_deleted)")) ?? false
            guard isDue else { return }
            let deleted = try Row.fetchAll(db, sql: "SELECT id, text FROM passage_deleted ORDER BY id")
            for row in deleted {
                let (id, text): (Int64, String) = (row["id"], row["text"])
                try run(
                    "INSERT INTO passage_index (passage_index, rowid, text) VALUES ('delete', ?, ?)", [id, text])
            }
            try run("INSERT INTO passage_index (passage_index) VALUES ('optimize')", [])
            try run("DELETE FROM passage_deleted", [])
        }
    }
}
