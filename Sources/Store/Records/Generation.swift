public import Foundation
import GRDB

/// One level to be persisted with a generation.
public struct LevelDraft: Sendable {
    /// Where the level's bytes come from.
    public enum Content: Sendable {
        /// These tensors.
        case state(ChunkedState)
        /// Exactly what the parent generation has under this name.
        case inherited
    }

    /// `medium`, `slow`.
    public let name: String
    /// Its tensors.
    public let content: Content

    /// A level under its name.
    public init(name: String, content: Content) {
        self.name = name
        self.content = content
    }
}

/// A generation to be persisted: one complete set of a space's levels.
public struct GenerationDraft: Sendable {
    /// The space it belongs to.
    public let space: String
    /// The generation it was made from; nil for the first.
    public let parent: Int64?
    /// The last event of the log that it contains; nil before any.
    public let event: Int64?
    /// All levels, changed or not.
    public let levels: [LevelDraft]
    /// Counters and whatever else must be read back with it.
    public let metadata: JSONText

    /// Collects what ``StoreTransaction/persistGeneration(_:)`` writes.
    public init(space: String, parent: Int64?, event: Int64?, levels: [LevelDraft], metadata: JSONText = .empty) {
        self.space = space
        self.parent = parent
        self.event = event
        self.levels = levels
        self.metadata = metadata
    }
}

/// A generation without its tensors.
public struct GenerationRecord: Sendable, Hashable {
    /// The space it belongs to.
    public let space: String
    /// Rising within the space, never given twice.
    public let number: Int64
    /// The generation it was made from.
    public let parent: Int64?
    /// The last event it contains.
    public let event: Int64?
    /// When it was persisted.
    public let created: Date
    /// The caller's own.
    public let metadata: JSONText
    /// Bytes of its tensors.
    public let byteCount: Int
    /// Bytes that had to be written for it; the rest is shared with older ones.
    public let bytesWritten: Int
    /// The model it is a memory of.
    public let fingerprint: ModelFingerprint
    /// Whether pruning leaves it alone.
    public let isPinned: Bool
    /// Why it cannot be used; nil while nothing is known to be wrong with it.
    public let damage: String?

    let id: Int64
    let checksum: Data

    static let columns = """
        SELECT generation.*, fingerprint.architecture, fingerprint.tokenizer, fingerprint.weights
            FROM generation JOIN fingerprint ON fingerprint.id = generation.fingerprint_id
        """

    init(row: Row) {
        space = row["space_id"]
        number = row["number"]
        parent = row["parent"]
        event = row["event"]
        created = Date(timeIntervalSince1970: row["created"])
        metadata = JSONText(unchecked: row["metadata"])
        byteCount = row["byte_count"]
        bytesWritten = row["bytes_written"]
        fingerprint = ModelFingerprint(row: row)
        isPinned = row["pinned"]
        damage = row["damage"]
        id = row["id"]
        checksum = row["checksum"]
    }

    /// Covers every field that a resumed learner relies on, and the digest of each level's state.
    static func checksum(
        space: String, number: Int64, parent: Int64?, event: Int64?, metadata: JSONText,
        levels: [(name: String, digest: SHA256Digest)]
    ) -> SHA256Digest {
        let head = [space, "\(number)", parent.map(String.init) ?? "-", event.map(String.init) ?? "-", metadata.text]
        return SHA256Digest(of: (head + levels.flatMap { [$0.name, $0.digest.hex] }).joined(separator: "\n"))
    }
}

/// One level of a generation, read back and verified.
public struct LevelState: Sendable, Hashable {
    /// `medium`, `slow`.
    public let name: String
    /// Its tensors, in the order they were persisted.
    public let blobs: [StateBlob]
}

/// A generation with its tensors, every byte verified.
public struct Generation: Sendable, Hashable {
    /// Number, parent, event, metadata.
    public let record: GenerationRecord
    /// All levels, in the order they were persisted.
    public let levels: [LevelState]
}
