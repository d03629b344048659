public import Foundation
import GRDB

/// What a job does.
public struct JobKind: RawRepresentable, Sendable, Hashable {
    /// The name clients see.
    public let rawValue: String

    /// A kind under the name clients see.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// Learns one document.
    public static let learn = JobKind(rawValue: "learn")
    /// Consolidates a space's slow level.
    public static let consolidate = JobKind(rawValue: "consolidate")
    /// Rebuilds a space without a document that was deleted.
    public static let forget = JobKind(rawValue: "forget")
    /// Learns a space's log again on the model that took the database over (``OtherModelPolicy/adopt``).
    public static let relearn = JobKind(rawValue: "relearn")
    /// Goes back to a snapshot.
    public static let restore = JobKind(rawValue: "restore")
}

/// Where a job stands. A job goes from `queued` to `running` to one of the others; `queued` may also be `cancelled`.
public enum JobStatus: String, Sendable, Hashable, CaseIterable {
    /// Waits its turn.
    case queued
    /// At work.
    case running
    /// Learned its document, or its space again.
    case learned
    /// Its candidate was adopted.
    case adopted
    /// Its candidate was rejected.
    case rejected
    /// Rebuilt its space without a document.
    case forgotten
    /// Went back to its snapshot.
    case restored
    /// Ended with an error.
    case failed
    /// Ended by a client.
    case cancelled

    /// Whether the job has ended.
    public var isFinal: Bool { self != .queued && self != .running }
}

/// A job without its state.
public struct JobRecord: Sendable, Hashable {
    /// What routes call it.
    public let id: String
    /// Place in the queue: a space's jobs run in this order. Spaces take turns.
    public let sequence: Int64
    /// What it does.
    public let kind: JobKind
    /// The space it works on.
    public let space: String
    /// The document it learns.
    public let document: String?
    /// Where it stands.
    public let status: JobStatus
    /// 0 to 1.
    public let progress: Double
    /// When it was queued.
    public let created: Date
    /// When it first ran.
    public let started: Date?
    /// When it ended.
    public let finished: Date?
    /// How often the process ended while it ran.
    public let resumedCount: Int
    /// What went wrong.
    public let error: JSONText?
    /// Progress in the caller's terms: pass, tokens, loss.
    public let detail: JSONText
    /// Whether it has a state to resume from.
    public var hasState: Bool { stateID != nil }

    let stateID: Int64?

    /// - Throws: ``StoreError/damaged(_:reason:)``.
    init(row: Row) throws {
        id = row["id"]
        guard let status = JobStatus(rawValue: row["status"]) else {
            throw StoreError.damaged(
                StoreRow("job", id), reason: "it has the unknown status \(row["status"] as String)")
        }
        self.status = status
        sequence = row["sequence"]
        kind = JobKind(rawValue: row["kind"])
        space = row["space_id"]
        document = row["document_id"]
        progress = row["progress"]
        created = Date(timeIntervalSince1970: row["created"])
        started = (row["started"] as Double?).map(Date.init(timeIntervalSince1970:))
        finished = (row["finished"] as Double?).map(Date.init(timeIntervalSince1970:))
        resumedCount = row["resumed"]
        error = (row["error"] as String?).map(JSONText.init(unchecked:))
        detail = JSONText(unchecked: row["detail"])
        stateID = row["state_id"]
    }
}
