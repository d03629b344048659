public import Foundation
import GRDB

/// One point of a level's history.
public struct LevelHistoryEntry: Sendable, Hashable {
    /// When it was measured.
    public var at: Date
    /// The generation it describes.
    public var generation: Int64
    /// Parameter updates of the level since it was new.
    public var updates: Int
    /// Tokens the level has read since it was new.
    public var tokens: Int
    /// Euclidean norm of the level's learned part.
    public var deltaNorm: Double
    /// That norm relative to the norm of what it is added to.
    public var relativeDrift: Double
    /// Mean next-token loss, in nats, of what was read since the point before; nil where nothing was.
    public var surprise: Double?
    /// Step size in force.
    public var learningRate: Double
    /// Size of the level's state as persisted; nil where it was not noted yet.
    public var byteCount: Int?

    /// One measurement.
    public init(
        at: Date, generation: Int64, updates: Int, tokens: Int, deltaNorm: Double, relativeDrift: Double,
        surprise: Double?, learningRate: Double, byteCount: Int? = nil
    ) {
        self.at = at
        self.generation = generation
        self.updates = updates
        self.tokens = tokens
        self.deltaNorm = deltaNorm
        self.relativeDrift = relativeDrift
        self.surprise = surprise
        self.learningRate = learningRate
        self.byteCount = byteCount
    }

    init(row: Row) {
        self.init(
            at: Date(timeIntervalSince1970: row["at"]), generation: row["generation"], updates: row["updates"],
            tokens: row["tokens"], deltaNorm: row["delta_norm"], relativeDrift: row["relative_drift"],
            surprise: row["surprise"], learningRate: row["learning_rate"], byteCount: row["bytes"])
    }
}

/// How much history a level keeps.
enum LevelHistory {
    /// When a level has more points than this, every second one of the older half goes: the recent past stays
    /// dense, the distant past thins out, and the whole stays bounded.
    static let capacity = 4_096
}

extension StoreReader {
    /// A level's history in a time range, oldest first; the newest `limit` points of it.
    public func levelHistory(
        space: String, level: String, since: Date? = nil, until: Date? = nil, limit: Int = 1_000
    ) throws -> [LevelHistoryEntry] {
        try on(StoreRow("level_history", "\(space)/\(level)")) { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM level_history WHERE space_id = ? AND level = ? AND at >= ? AND at <= ?
                    ORDER BY id DESC LIMIT ?
                    """,
                arguments: [
                    space, level, since?.timeIntervalSince1970 ?? -.infinity,
                    until?.timeIntervalSince1970 ?? .infinity, limit,
                ]
            ).reversed().map(LevelHistoryEntry.init)
        }
    }
}

extension StoreTransaction {
    /// Appends a point to a level's history. At most 4,096 are kept for a level: beyond that, every second one of
    /// the older half is deleted.
    public func appendLevelHistory(space: String, level: String, _ entry: LevelHistoryEntry) throws {
        try on(StoreRow("level_history", "\(space)/\(level)")) { db in
            try run(
                """
                INSERT INTO level_history (space_id, level, at, generation, updates, tokens, delta_norm,
                    relative_drift, surprise, learning_rate, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    space, level, entry.at.timeIntervalSince1970, entry.generation, entry.updates, entry.tokens,
                    entry.deltaNorm, entry.relativeDrift, entry.surprise, entry.learningRate, entry.byteCount,
                ])
            let count = try Int.fetchOne(
                db, sql: "SELECT count(*) FROM level_history WHERE space_id = ? AND level = ?",
                arguments: [space, level])
            guard let count, count > LevelHistory.capacity else { return }
            try run(
                """
                DELETE FROM level_history WHERE id IN (
                    SELECT id FROM (
                        SELECT id, row_number() OVER (ORDER BY id) AS rank FROM level_history
                        WHERE space_id = ? AND level = ?)
                    WHERE rank <= ? AND rank % 2 = 0)
                """, [space, level, LevelHistory.capacity / 2])
        }
    }
}
