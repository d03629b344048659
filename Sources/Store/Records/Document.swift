public import Foundation
import GRDB

/// Where a document stands.
public enum DocumentStatus: String, Sendable, Hashable, CaseIterable {
    /// Accepted; its job waits.
    case queued
    /// Its job runs.
    case learning
    /// In the weights.
    case learned
    /// Its job ended with an error.
    case failed
    /// Its job was cancelled.
    case cancelled
    /// It was in the weights, and a restore went back to before that; it can be learned again.
    case unlearned
}

/// A document as a client sent it.
public struct DocumentDraft: Sendable {
    /// The space that is to learn it.
    public let space: String
    /// The client's id; nil: one is made up, unless the same text is already there.
    public let id: String?
    /// The client's title.
    public let title: String?
    /// The client's own.
    public let metadata: JSONText
    /// What is to be learned.
    public let text: String
    /// Length of `text` in tokens of the current model.
    public let tokenCount: Int

    /// Collects what ``StoreTransaction/accept(_:idempotency:)`` writes.
    public init(
        space: String = SpaceRecord.defaultID, id: String? = nil, title: String? = nil, metadata: JSONText = .empty,
        text: String, tokenCount: Int
    ) {
        self.space = space
        self.id = id
        self.title = title
        self.metadata = metadata
        self.text = text
        self.tokenCount = tokenCount
    }
}

/// Mean next-token losses of a document, in nats a token.
public struct DocumentLosses: Sendable, Hashable {
    /// By the untouched base model.
    public var base: Double?
    /// When it was just learned.
    public var learned: Double?
    /// When it was measured last.
    public var now: Double?

    /// Losses known so far.
    public init(base: Double? = nil, learned: Double? = nil, now: Double? = nil) {
        self.base = base
        self.learned = learned
        self.now = now
    }
}

/// A document without its text.
public struct DocumentRecord: Sendable, Hashable {
    /// The space it belongs to.
    public let space: String
    /// Unique within the space.
    public let id: String
    /// Place in the order of acceptance, over all spaces.
    public let sequence: Int64
    /// Digest of the text.
    public let sha256: SHA256Digest
    /// The client's title.
    public let title: String?
    /// The client's own.
    public let metadata: JSONText
    /// Length of the text in bytes of UTF-8.
    public let byteCount: Int
    /// Length of the text in tokens of the model that accepted it.
    public let tokenCount: Int
    /// Where it stands.
    public let status: DocumentStatus
    /// Whether learning ended at its loss target (true) or at its budget (false); nil before it ended.
    public let isTargetReached: Bool?
    /// Mean losses.
    public let losses: DocumentLosses
    /// When and by which generation ``losses`` said `now`, and the best before that.
    public let measurement: DocumentMeasurement
    /// When it was accepted.
    public let created: Date
    /// When it was learned.
    public let learned: Date?
    /// The first generation that contains something of it.
    public let firstGeneration: Int64?
    /// The last generation that it was trained into.
    public let lastGeneration: Int64?

    /// - Throws: ``StoreError/damaged(_:reason:)``.
    init(row: Row) throws {
        space = row["space_id"]
        id = row["id"]
        let name = StoreRow("document", "\(space)/\(id)")
        guard let sha256 = SHA256Digest(bytes: row["sha256"]) else {
            throw StoreError.damaged(name, reason: "its digest does not have 32 bytes")
        }
        guard let status = DocumentStatus(rawValue: row["status"]) else {
            throw StoreError.damaged(name, reason: "it has the unknown status \(row["status"] as String)")
        }
        self.sha256 = sha256
        self.status = status
        sequence = row["sequence"]
        title = row["title"]
        metadata = JSONText(unchecked: row["metadata"])
        byteCount = row["byte_count"]
        tokenCount = row["token_count"]
        isTargetReached = row["target_reached"]
        losses = DocumentLosses(base: row["loss_base"], learned: row["loss_learned"], now: row["loss_now"])
        measurement = DocumentMeasurement(row: row)
        created = Date(timeIntervalSince1970: row["created"])
        learned = (row["learned"] as Double?).map(Date.init(timeIntervalSince1970:))
        firstGeneration = row["first_generation"]
        lastGeneration = row["last_generation"]
    }
}

/// What accepting a document came to.
public struct Acceptance: Sendable, Hashable {
    /// Whether anything was written.
    public enum Outcome: String, Sendable {
        /// A new document with a new job.
        case accepted
        /// It had failed, been cancelled or been unlearned, and has a new job.
        case requeued
        /// It was there already, with its job.
        case duplicate
    }

    /// The document.
    public let document: DocumentRecord
    /// Its newest job.
    public let job: JobRecord
    /// Whether anything was written.
    public let outcome: Outcome
}
