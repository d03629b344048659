public import Foundation
import GRDB

/// A document that was deleted, and how far its forgetting is.
public struct ForgottenRecord: Sendable, Hashable {
    /// How far it is.
    public enum State: String, Sendable, CaseIterable {
        /// The text is gone; levels that learned it are still served.
        case rebuilding
        /// Nothing of it is left but what the receipt names.
        case forgotten
        /// The rebuild ended with an error; asked for again, it is tried again.
        case failed
    }

    /// The space it was in.
    public let space: String
    /// What it was called.
    public let document: String
    /// The job that rebuilds; nil where nothing was learned.
    public let job: String?
    /// How far it is.
    public let state: State
    /// When it was deleted.
    public let requested: Date
    /// The event that had learned it first; nil where none had.
    public let firstEvent: Int64?
    /// The first generation that held something of it.
    public let firstGeneration: Int64?
    /// Whether sessions that read such a generation stay.
    public let keepsSessions: Bool
    /// The caller's own.
    public let receipt: JSONText

    /// - Throws: ``StoreError/damaged(_:reason:)``.
    init(row: Row) throws {
        space = row["space_id"]
        document = row["document_id"]
        guard let state = State(rawValue: row["state"]) else {
            throw StoreError.damaged(
                StoreRow("forgotten", "\(space)/\(document)"),
                reason: "it has the unknown state \(row["state"] as String)")
        }
        self.state = state
        job = row["job_id"]
        requested = Date(timeIntervalSince1970: row["requested"])
        firstEvent = row["first_event"]
        firstGeneration = row["first_generation"]
        keepsSessions = row["keeps_sessions"]
        receipt = JSONText(unchecked: row["receipt"])
    }
}

/// What was removed with a document.
public struct RemovedDocument: Sendable, Hashable {
    /// As it was, without its text.
    public let document: DocumentRecord
    /// The event that had learned it first; nil where none had.
    public let firstEvent: Int64?
    /// The first generation that holds something of it; nil where none does.
    public let firstGeneration: Int64?
}

extension StoreReader {
    /// The newest forgetting of a document of this name; nil if there was none.
    public func forgotten(space: String, document: String) throws -> ForgottenRecord? {
        try forgotten(
            "space_id = ? AND document_id = ? ORDER BY sequence DESC LIMIT 1", [space, document], space: space
        ).first
    }

    /// Forgettings of a space whose rebuild has not succeeded, oldest first: it waits, runs or has failed, and the
    /// levels hold the document.
    public func pendingForgettings(space: String) throws -> [ForgottenRecord] {
        try forgotten("space_id = ? AND state <> 'forgotten' ORDER BY sequence", [space], space: space)
    }

    private func forgotten(
        _ condition: String, _ arguments: StatementArguments, space: String
    ) throws -> [ForgottenRecord] {
        try on(StoreRow("forgotten", space)) { db in
            try Row.fetchAll(db, sql: "SELECT * FROM forgotten WHERE \(condition)", arguments: arguments)
                .map(ForgottenRecord.init)
        }
    }

    /// Which place an event has, or would have, among those that learning depends on: 1 + the number of events before
    /// it, forgettings not counted. A log without a forgotten document has the places of one that never had it.
    public func place(of sequence: Int64, space: String) throws -> Int64 {
        try on(StoreRow("event", "\(space)/\(sequence)")) { db in
            let before = try Int64.fetchOne(
                db, sql: "SELECT count(*) FROM event WHERE space_id = ? AND sequence < ? AND kind <> 'forget'",
                arguments: [space, sequence])
            return 1 + (before ?? 0)
        }
    }

    /// Sessions whose last request read this generation or a newer one.
    public func sessionsHolding(space: String, since generation: Int64) throws -> [String] {
        try on(StoreRow("session", space)) { db in
            try String.fetchAll(
                db, sql: "SELECT id FROM session WHERE space_id = ? AND generation >= ? ORDER BY sequence",
                arguments: [space, generation])
        }
    }

    /// The newest whole generation of the current model whose last event is in force in `log`, and before `event`.
    public func newestGeneration(space: String, in log: EffectiveLog, before event: Int64) throws -> Generation? {
        let older = try generations(space: space).filter { record in
            record.event.map { $0 < event && log.contains($0) } == true
        }
        return try Recovery.newestWhole(of: older) { try generation(space: space, number: $0.number) }.used
    }
}
