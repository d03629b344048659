import Foundation
import GRDB

/// A part of a document that fits a prompt.
public struct Passage: Sendable, Hashable {
    /// The document's id.
    public let document: String
    /// The passage.
    public let text: String
    /// BM25 over the passages of the space, higher is nearer. Of other spaces it depends on nothing but how long the
    /// passages of the whole file are on average.
    public let score: Double
}

extension StoreReader {
    /// The passages of a space that are nearest to a prompt by their words (BM25), nearest first.
    ///
    /// Documents whose learning was cancelled are not looked at. Any prompt is safe: none of it is a query language.
    public func passages(space: String, near prompt: String, limit: Int) throws -> [Passage] {
        let words = PassageQuery(prompt).words
        guard !words.isEmpty else { return [] }
        return try on(StoreRow("passage", space)) { db in
            let counts = try passageCounts(space: space, db)
            var scores: [Int64: Double] = [:]
            for word in words { try add(word, to: &scores, space: space, counts, db) }
            let nearest = scores.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(limit)
            let statement = try db.cachedStatement(
                sql: """
                    SELECT document.id AS document, passage.text AS text FROM passage
                        JOIN document ON document.sequence = passage.sequence WHERE passage.id = ?
                    """)
            return try nearest.compactMap { id, score in
                try Row.fetchOne(statement, arguments: [id]).map {
                    Passage(document: $0["document"], text: $0["text"], score: score)
                }
            }
        }
    }

    /// Passages in the file, and those of a space that are looked at.
    private func passageCounts(space: String, _ db: Database) throws -> (all: Int, own: Int) {
        let all = try Int.fetchOne(db.cachedStatement(sql: "SELECT count(*) FROM passage"))
        let own = try Int.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT count(*) FROM document JOIN passage ON passage.sequence = document.sequence
                    WHERE document.space_id = ? AND document.status <> ?
                    """), arguments: [space, DocumentStatus.cancelled.rawValue])
        return (all ?? 0, own ?? 0)
    }

    /// Adds what one word says of the passages of a space.
    ///
    /// FTS5 weighs a word by how rare it is in the whole index. That weight is taken out and the space's own put in
    /// its place: else the scores of one space would tell, and depend on, what others hold.
    private func add(
        _ word: String, to scores: inout [Int64: Double], space: String, _ counts: (all: Int, own: Int), _ db: Database
    ) throws {
        let statement = try db.cachedStatement(
            sql: """
                SELECT passage.id, CASE WHEN document.space_id = ? AND document.status <> ? THEN -bm25(passage_index) END
                FROM passage_index
                    JOIN passage ON passage.id = passage_index.rowid
                    JOIN document ON document.sequence = passage.sequence
                WHERE passage_index MATCH ?
                """)
        let rows = try Row.fetchCursor(statement, arguments: [space, DocumentStatus.cancelled.rawValue, word])
        var matches = 0
        var found: [(id: Int64, score: Double)] = []
        while let row = try rows.next() {
            matches += 1
            if let score = row[1] as Double? { found.append((row[0], score)) }
        }
        guard !found.isEmpty else { return }
        let weight = Self.rarity(found.count, of: counts.own) / Self.rarity(matches, of: counts.all)
        for (id, score) in found { scores[id, default: 0] += score * weight }
    }

    /// FTS5's weight of a word: inverse document frequency, but hardly anything where half of all have it.
    private static func rarity(_ matches: Int, of count: Int) -> Double {
        let weight = log((Double(count - matches) + 0.5) / (Double(matches) + 0.5))
        return weight > 0 ? weight : 1e-6
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
