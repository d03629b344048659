import Foundation
import GRDB

/// How much room the database takes.
public struct StoreStatistics: Sendable, Hashable {
    /// Bytes of the database file, once the log is copied into it.
    public let databaseBytes: Int
    /// Bytes of the write-ahead log.
    public let logBytes: Int
    /// Bytes within `databaseBytes` that hold nothing and will be used again.
    public let freeBytes: Int
    /// Chunks of states.
    public let chunkCount: Int
    /// Bytes that all states would take if they shared nothing.
    public let stateBytes: Int
}

extension MemoryStore {
    /// Measures the database. Walks over the chunks' index: ask every few seconds, not every request.
    public func statistics() throws -> StoreStatistics {
        let logBytes = try? FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int
        return try read { reader in
            try reader.on(StoreRow("file", path)) { db in
                let pageSize = try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 0
                return StoreStatistics(
                    databaseBytes: try pageSize * (Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0),
                    logBytes: logBytes ?? 0,
                    freeBytes: try pageSize * (Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0),
                    chunkCount: try Int.fetchOne(db, sql: "SELECT count(*) FROM chunk") ?? 0,
                    stateBytes: try Int.fetchOne(db, sql: "SELECT coalesce(sum(byte_count), 0) FROM state") ?? 0)
            }
        }
    }
}
