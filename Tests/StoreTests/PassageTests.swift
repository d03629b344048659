import Foundation
import GRDB
import Testing

@testable import Store

/// Would catch: passages of another space, of a deleted document or of none; a prompt read as a query language; words
/// of a deleted document left in the file.
@Suite struct PassageTests {
    private let database = TemporaryDatabase()

    private func accept(_ text: String, id: String, space: String = "default", in store: MemoryStore) throws {
        _ = try store.transaction { try $0.accept(DocumentDraft(space: space, id: id, text: text, tokenCount: 1)) }
    }

    private func found(_ prompt: String, space: String = "default", in store: MemoryStore) throws -> [String] {
        try store.read { try $0.passages(space: space, near: prompt, limit: 10).map(\.document) }
    }

    @Test func theNearestPassageComesFirst() throws {
        try database.withStore { store, _ throws in
            try accept("The river ran past the old mill.", id: "mill", in: store)
            try accept("A lighthouse keeper writes down the weather.", id: "lighthouse", in: store)
            try accept("Bread needs flour, water, salt and time.", id: "bread", in: store)
            #expect(try found("Who writes down the weather at the LIGHTHOUSE?", in: store) == ["lighthouse", "mill"])
            #expect(try found("flour", in: store) == ["bread"])
            #expect(try found("nothing of this", in: store).isEmpty)
            let scores = try store.read {
                try $0.passages(space: "default", near: "the weather", limit: 10).map(\.score)
            }
            #expect(scores.count == 2 && scores[0] > scores[1])
        }
    }

    @Test func spacesDoNotSeeEachOther() throws {
        try database.withStore { store, _ throws in
            try store.transaction { _ = try $0.createSpace("other") }
            try accept("The password is zanzibar.", id: "mine", in: store)
            try accept("The password is timbuktu.", id: "theirs", space: "other", in: store)
            #expect(try found("password zanzibar timbuktu", in: store) == ["mine"])
            #expect(try found("password zanzibar timbuktu", space: "other", in: store) == ["theirs"])
            #expect(try found("password", space: "nowhere", in: store).isEmpty)
        }
    }

    /// What another space holds must neither be told by scores nor change which passage is nearest.
    @Test func scoresAreThoseOfASpaceAlone() throws {
        let texts = [
            "A lighthouse keeper writes down the weather.", "The weather is written down by the keeper of the mill.",
            "Bread needs flour, water, salt and time.", "The river ran past the old mill.",
            "The committee met on Tuesday.",
        ]
        func scores(_ store: MemoryStore) throws -> [Passage] {
            try store.read { try $0.passages(space: "default", near: "keeper of the lighthouse weather", limit: 10) }
        }
        try database.withStore { store, _ throws in
            for (index, text) in texts.enumerated() { try accept(text, id: "d\(index)", in: store) }
            let alone = try scores(store)
            // FTS5's own answer to the same question.
            let reference = try store.withDatabase { db in
                try Row.fetchAll(
                    db,
                    sql: """
                        SELECT rowid, -bm25(passage_index) FROM passage_index
                        WHERE passage_index MATCH 'keeper OR of OR the OR lighthouse OR weather' ORDER BY rank, rowid
                        """
                ).map { (id: $0[0] as Int64, score: $0[1] as Double) }
            }
            #expect(alone.map(\.text) == reference.map { texts[Int($0.id) - 1] })
            for (passage, row) in zip(alone, reference) { #expect(abs(passage.score - row.score) < 1e-9) }

            try store.transaction { _ = try $0.createSpace("other") }
            for index in 0..<40 {
                // As long on average as the five there: 37 words.
                let words = (0..<(index % 5 < 2 ? 8 : 7)).map { $0 < index % 7 ? "lighthouse" : "word\(index)" }
                try accept(words.joined(separator: " "), id: "o\(index)", space: "other", in: store)
            }
            let among = try scores(store)
            #expect(among.map(\.document) == alone.map(\.document))
            for (one, other) in zip(alone, among) { #expect(abs(one.score - other.score) < 1e-9) }
        }
    }

    @Test func whatIsDeletedIsNotFoundAndItsWordsLeaveTheFile() throws {
        try database.withStore { store, _ throws in
            try store.transaction { _ = try $0.createSpace("other") }
            try accept("The password is zanzibarquux.", id: "gone", in: store)
            try accept("The password is timbuktuquux.", id: "theirs", space: "other", in: store)
            try accept("The river ran past the old mill.", id: "kept", in: store)
            try store.transaction { transaction throws in
                try transaction.db.execute(sql: "DELETE FROM document WHERE id = 'gone'")
                try transaction.db.execute(sql: "DELETE FROM space WHERE id = 'other'")
            }
            #expect(try found("zanzibarquux password river", in: store) == ["kept"])
            let left = try store.withDatabase { db in
                try (
                    passages: Int.fetchOne(db, sql: "SELECT count(*) FROM passage"),
                    noted: Int.fetchOne(db, sql: "SELECT count(*) FROM passage_deleted")
                )
            }
            #expect(left.passages == 1 && left.noted == 0)
        }
        let file = try Data(contentsOf: URL(fileURLWithPath: database.path))
        #expect(file.range(of: Data("mill".utf8)) != nil)
        #expect(file.range(of: Data("zanzibar".utf8)) == nil)
        #expect(file.range(of: Data("timbuktu".utf8)) == nil)
        try database.expectSound()
        try database.withStore { store, _ throws in
            // FTS5's own verdict: index and content agree.
            try store.withDatabase {
                try $0.execute(sql: "INSERT INTO passage_index (passage_index, rank) VALUES ('integrity-check', 1)")
            }
        }
    }

    @Test func aTransactionThatFailsTakesItsPassagesWithIt() throws {
        struct Failure: Error {}
        try database.withStore { store, _ throws in
            #expect(throws: Failure.self) {
                try store.transaction { transaction throws in
                    _ = try transaction.accept(DocumentDraft(id: "x", text: "zanzibar", tokenCount: 1))
                    throw Failure()
                }
            }
            #expect(try found("zanzibar", in: store).isEmpty)
            try accept("zanzibar", id: "x", in: store)
            #expect(try found("zanzibar", in: store) == ["x"])
        }
    }

    @Test func textsFromBeforeTheIndexAreIndexedAtOpening() throws {
        try database.withStore { store, _ throws in try accept("The river ran past the old mill.", id: "old", in: store)
        }
        try database.withRawConnection { db in
            try db.execute(
                sql: """
                    DELETE FROM passage; DELETE FROM passage_deleted;
                    INSERT INTO passage_index (passage_index) VALUES ('delete-all')
                    """)
        }
        try database.withStore { store, _ throws in
            #expect(try found("river", in: store) == ["old"])
            #expect(try store.withDatabase { try Int.fetchOne($0, sql: "SELECT count(*) FROM passage") } == 1)
        }
        try database.withStore { store, _ throws in #expect(try found("river", in: store) == ["old"]) }
    }

    @Test(arguments: [
        "\" OR text : x*", "NEAR(river mill, 2)", "river AND NOT mill ^(", "{text} : river", "river\u{0}mill", "\"\"\"",
        "river'; DROP TABLE passage; --", "½ ² Ⅷ ৩ river", "é\u{301} 中文 river", "-", "", " \n",
        String(repeating: "word ", count: 10_000) + "river",
    ])
    func aHostilePromptIsOnlyWords(_ prompt: String) throws {
        try database.withStore { store, _ throws in
            try accept("The river ran past the old mill.", id: "mill", in: store)
            let isAsked = prompt.contains("river")
            #expect(try found(prompt, in: store) == (isAsked ? ["mill"] : []))
        }
    }

    @Test func cancelledDocumentsAreNotLookedAt() throws {
        try database.withStore { store, _ throws in
            try accept("The river ran past the old mill.", id: "mill", in: store)
            try store.transaction { _ = try $0.updateDocument(space: "default", id: "mill", status: .cancelled) }
            #expect(try found("river", in: store).isEmpty)
        }
    }

    @Test func aLongTextIsCutWhereItMayBe() {
        let sentence = "The committee met on Tuesday and agreed to meet again. "
        let text = String(repeating: sentence, count: 40)
        let passages = Passages.cut(text)
        #expect(passages.allSatisfy { $0.utf8.count <= Passages.limit && $0.hasSuffix("again.") })
        #expect(passages.joined(separator: " ") + " " == text)
        // No place to cut at: between characters, and nothing is lost.
        let letters = String(repeating: "é", count: 1_000)
        #expect(Passages.cut(letters).joined() == letters)
        #expect(Passages.cut("a\u{0}b") == ["a b"])
        #expect(Passages.cut(" \n") == [""])
        let paragraphs = String(repeating: "x", count: 500) + "\n" + String(repeating: "y", count: 500)
        #expect(Passages.cut(paragraphs).map(\.count) == [500, 500])
    }
}
