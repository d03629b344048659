import GRDB

/// What a space may use; nil: as much as there is.
public struct SpaceQuotas: Sendable, Hashable {
    /// Documents, whatever became of them.
    public var documents: Int?
    /// Bytes of the documents' texts.
    public var bytes: Int?
    /// Seconds of the learner.
    public var learningSeconds: Double?

    /// Limits; none unless given.
    public init(documents: Int? = nil, bytes: Int? = nil, learningSeconds: Double? = nil) {
        self.documents = documents
        self.bytes = bytes
        self.learningSeconds = learningSeconds
    }
}

/// What a space uses, in the terms of ``SpaceQuotas``.
public struct SpaceUsage: Sendable, Hashable {
    /// Documents, whatever became of them.
    public let documents: Int
    /// Bytes of the documents' texts.
    public let bytes: Int
    /// Seconds of the learner.
    public let learningSeconds: Double
    /// Sessions of the space; no quota limits them.
    public let sessions: Int
}

extension StoreReader {
    /// What a space uses.
    ///
    /// - Throws: ``StoreError/notFound(_:)``.
    public func usage(space id: String) throws -> SpaceUsage {
        let space = try requireSpace(id)
        return try on(StoreRow("space", id)) { db in
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT count(*) AS documents, coalesce(sum(byte_count), 0) AS bytes,
                        (SELECT count(*) FROM session WHERE space_id = ?1) AS sessions
                    FROM document WHERE space_id = ?1
                    """, arguments: [id])
            return SpaceUsage(
                documents: row?["documents"] ?? 0, bytes: row?["bytes"] ?? 0, learningSeconds: space.learningSeconds,
                sessions: row?["sessions"] ?? 0)
        }
    }
}

extension StoreTransaction {
    /// Replaces a space's quotas. One that is below what is used already only keeps more from coming.
    ///
    /// - Throws: ``StoreError/notFound(_:)``.
    public func setQuotas(_ quotas: SpaceQuotas, space id: String) throws {
        try requireSpace(id)
        try on(StoreRow("space", id)) { _ in
            try run(
                "UPDATE space SET quota_documents = ?, quota_bytes = ?, quota_seconds = ? WHERE id = ?",
                [quotas.documents, quotas.bytes, quotas.learningSeconds, id])
        }
    }

    /// Renames a space.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/invalid(_:reason:)``.
    public func setName(_ name: String, space id: String) throws {
        let row = StoreRow("space", id)
        try requireSpace(id)
        try Identifier.checkText(name, named: "name", row: row)
        try on(row) { _ in try run("UPDATE space SET name = ? WHERE id = ?", [name, id]) }
    }

    /// Adds to the time the learner has worked for a space.
    public func addLearningTime(_ seconds: Double, space id: String) throws {
        try on(StoreRow("space", id)) { _ in
            try run("UPDATE space SET learning_seconds = learning_seconds + ? WHERE id = ?", [max(seconds, 0), id])
        }
    }
}
