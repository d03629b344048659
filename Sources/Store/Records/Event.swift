public import Foundation
import GRDB

/// What changes a space's levels.
public enum EventKind: String, Sendable, Hashable, CaseIterable {
    /// A document was learned.
    case learn
    /// The slow level was consolidated.
    case consolidate
    /// A snapshot was restored.
    case restore
    /// A document was forgotten.
    case forget
}

/// One entry of a space's event log. Learning is a pure function of the log: replaying it gives the same levels.
public struct EventRecord: Sendable, Hashable {
    /// The space whose log it is in.
    public let space: String
    /// Its place: rising from 1; what is missing learned documents that were forgotten.
    public let sequence: Int64
    /// What happened.
    public let kind: EventKind
    /// The document it happened to.
    public let document: String?
    /// What the learner needs to do it again.
    public let payload: JSONText
    /// Seeds every random choice it makes.
    public let seed: UInt64
    /// When it was recorded; plays no part in learning.
    public let created: Date
    /// Of a restore: the place in the log whose state it went back to; nil where that came from a file.
    public let target: Int64?
    /// Of a restore of an imported snapshot: the generation that holds its tensors.
    public let source: Int64?

    /// - Throws: ``StoreError/damaged(_:reason:)``.
    init(row: Row) throws {
        space = row["space_id"]
        sequence = row["sequence"]
        guard let kind = EventKind(rawValue: row["kind"]) else {
            throw StoreError.damaged(
                StoreRow("event", "\(space)/\(sequence)"), reason: "it has the unknown kind \(row["kind"] as String)")
        }
        self.kind = kind
        document = row["document_id"]
        payload = JSONText(unchecked: row["payload"])
        seed = UInt64(bitPattern: row["seed"])
        created = Date(timeIntervalSince1970: row["created"])
        target = row["target"]
        source = row["source"]
    }
}

/// A document as rehearsal sees it.
public struct JournalEntry: Sendable, Hashable {
    /// The event that learned it first: the order to sample by.
    public let event: Int64
    /// Its id.
    public let document: String
    /// Its length in tokens.
    public let tokenCount: Int
}

extension StoreReader {
    /// The place the next event of a space will have; known before it is learned, so that its seed can depend on it.
    ///
    /// - Throws: ``StoreError/notFound(_:)``.
    public func nextEventSequence(space: String) throws -> Int64 {
        let row = StoreRow("space", space)
        let next = try on(row) { db in
            try Int64.fetchOne(db, sql: "SELECT next_event FROM space WHERE id = ?", arguments: [space])
        }
        guard let next else { throw StoreError.notFound(row) }
        return next
    }

    /// Events after a place in the log, oldest first.
    public func events(space: String, after sequence: Int64 = 0, limit: Int = 1_000) throws -> [EventRecord] {
        try on(StoreRow("event", "\(space)/\(sequence)")) { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM event WHERE space_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
                arguments: [space, sequence, limit]
            ).map(EventRecord.init)
        }
    }

    /// Documents learned by events before `event`, in the order of the log; nil for all of them. Events that a
    /// restore took back do not count.
    ///
    /// A pure function of the log up to that place: what a rehearsal draws from it with the event's seed is the same
    /// at every replay.
    public func journal(space: String, before event: Int64? = nil) throws -> [JournalEntry] {
        let log = try effectiveLog(space: space, through: event.map { $0 - 1 })
        return try on(StoreRow("event", space)) { db in
            try Row.fetchAll(
                db,
                sql: """
                    WITH effective(first, last) AS (\(log.sql))
                    SELECT min(event.sequence) AS event, document.id AS id, document.token_count AS token_count
                    FROM effective JOIN event ON event.sequence BETWEEN first AND last
                        JOIN document ON document.space_id = event.space_id AND document.id = event.document_id
                    WHERE event.space_id = ? AND event.kind = 'learn'
                    GROUP BY document.id ORDER BY 1
                    """, arguments: [space]
            ).map { JournalEntry(event: $0["event"], document: $0["id"], tokenCount: $0["token_count"]) }
        }
    }

    /// Places of the events that learned a document, whether they are in force or not.
    func learningEvents(space: String, document: String) throws -> [Int64] {
        try on(StoreRow("document", "\(space)/\(document)")) { db in
            try Int64.fetchAll(
                db, sql: "SELECT sequence FROM event WHERE space_id = ? AND document_id = ? AND kind = 'learn'",
                arguments: [space, document])
        }
    }

    /// Whether an event is still in the log: deleting a document takes those that learned it out.
    public func hasEvent(_ event: EventRecord) throws -> Bool {
        try events(space: event.space, after: event.sequence - 1, limit: 1).first?.sequence == event.sequence
    }

    func eventCount(space: String, after sequence: Int64) throws -> Int {
        try on(StoreRow("event", space)) { db in
            try Int.fetchOne(
                db, sql: "SELECT count(*) FROM event WHERE space_id = ? AND sequence > ?", arguments: [space, sequence]
            ) ?? 0
        }
    }
}

extension StoreTransaction {
    /// Appends to a space's log.
    ///
    /// - Parameters:
    ///   - sequence: the place the seed was derived for, from ``StoreReader/nextEventSequence(space:)``.
    ///   - target: of a restore, the place in the log it goes back to.
    ///   - source: of a restore from a file, the generation that holds it.
    /// - Throws: ``StoreError/conflict(_:reason:)`` when another event has taken that place;
    ///   ``StoreError/notFound(_:)`` for the space.
    @discardableResult
    public func appendEvent(
        space: String, sequence: Int64, kind: EventKind, document: String? = nil, payload: JSONText = .empty,
        seed: UInt64, target: Int64? = nil, source: Int64? = nil
    ) throws -> EventRecord {
        let row = StoreRow("event", "\(space)/\(sequence)")
        let next = try takeNumber("next_event", space: space)
        guard next == sequence else {
            throw StoreError.conflict(row, reason: "the log continues at \(next)")
        }
        return try on(row) { db in
            try run(
                """
                INSERT INTO event (space_id, sequence, kind, document_id, payload, seed, created, target, source)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    space, sequence, kind.rawValue, document, payload.text, Int64(bitPattern: seed),
                    now.timeIntervalSince1970, target, source,
                ])
            let stored = try Row.fetchOne(
                db, sql: "SELECT * FROM event WHERE space_id = ? AND sequence = ?", arguments: [space, sequence])
            guard let stored else { throw StoreError.notFound(row) }
            return try EventRecord(row: stored)
        }
    }
}
