import Foundation
import GRDB

/// How the one SQLite connection is made: file permissions, settings, and the proof that they took hold.
///
/// *One connection, exclusively.* Debian 12's SQLite 3.40.1 is in the range of the WAL-reset race, in which a commit
/// can be lost when two connections use one write-ahead log; `locking_mode=EXCLUSIVE` makes a second connection
/// impossible, another program's included. It also keeps the log's index in memory: there is no `-shm` file, and so no mapping
/// that a full disk could turn into a SIGBUS.
///
/// *`synchronous=FULL`* syncs the log at every commit: what was acknowledged survives a power cut, as far as the
/// disk keeps its word. GRDB's own `journalMode = .wal` would set NORMAL, which does not.
enum Connection {
    /// Marks the file as ours, in its header ("NLMS").
    static let applicationID: Int32 = 0x4E4C_4D53

    /// Settings and what `PRAGMA name` must answer once they are made.
    private static let settings: [(pragma: String, value: String, answer: String)] = [
        ("synchronous", "FULL", "2"),
        ("secure_delete", "ON", "1"),
        ("foreign_keys", "ON", "1"),
        ("trusted_schema", "OFF", "0"),
        ("cell_size_check", "ON", "1"),
        // Room for the dirty pages of an ordinary transaction; a larger one spills into the log early, which is
        // correct and costs a second write of some pages.
        ("cache_size", "-32768", "-32768"),
        // The log is copied into the database every 4,096 pages (16 MiB): rarely enough that a commit of a few KiB
        // does not pay for it.
        ("wal_autocheckpoint", "4096", "4096"),
        ("journal_size_limit", "67108864", "67108864"),
    ]

    /// Opens the queue. The caller holds the ``DatabaseLock``.
    static func open(path: String) throws -> DatabaseQueue {
        let row = StoreRow("file", path)
        try requireOurs(path: path)
        var configuration = Configuration()
        configuration.label = "store"
        configuration.busyMode = .timeout(2)
        configuration.prepareDatabase { db in try prepare(db) }
        return try StoreError.naming(row) {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.writeWithoutTransaction { db in try verifySettings(db) }
            return queue
        }
    }

    /// Creates the file, readable by its owner only; SQLite gives `-wal` the permissions of the database.
    /// - Returns: the path with links resolved, so that two names of one file share one lock.
    static func createIfMissing(path: String) throws -> String {
        let url = URL(fileURLWithPath: path)
        let directory = url.deletingLastPathComponent()
        do {
            try FileManager.default.createDirectory(
                at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StoreError.cannotOpen(path: directory.path, reason: "its directory cannot be created: \(error)")
        }
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DatabaseLock.openFailure(path: path, errno: errno) }
        Glibc.close(descriptor)
        guard let resolved = realpath(path, nil) else {
            throw StoreError.cannotOpen(path: path, reason: String(cString: strerror(errno)))
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Refuses a file that is neither empty nor marked as ours, before SQLite could change anything in it.
    private static func requireOurs(path: String) throws {
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? handle.close() }
        let header = try handle.read(upToCount: 72) ?? Data()
        if header.isEmpty { return }
        guard header.count == 72, header.starts(with: Data("SQLite format 3\0".utf8)) else {
            throw StoreError.notAMemoryDatabase(path: path, reason: "it is not an SQLite file")
        }
        let found = header[68..<72].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard found == UInt32(bitPattern: applicationID) else {
            throw StoreError.notAMemoryDatabase(path: path, reason: "it is another program's SQLite file")
        }
    }

    private static func prepare(_ db: Database) throws {
        try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
        // Before WAL, while page 1 is still written straight into the file: the mark is there from the first byte.
        if try Int32.fetchOne(db, sql: "PRAGMA application_id") == 0 {
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
        }
        try db.execute(sql: "PRAGMA journal_mode = WAL")
        for setting in settings {
            try db.execute(sql: "PRAGMA \(setting.pragma) = \(setting.value)")
        }
    }

    /// Reads every setting back.
    ///
    /// - Throws: ``StoreError/settingRefused(pragma:expected:found:)``.
    static func verifySettings(_ db: Database) throws {
        let fixed = [("locking_mode", "exclusive"), ("journal_mode", "wal"), ("application_id", "\(applicationID)")]
        for (pragma, expected) in fixed + settings.map({ ($0.pragma, $0.answer) }) {
            let found = try String.fetchOne(db, sql: "PRAGMA \(pragma)") ?? "nothing"
            guard found.lowercased() == expected else {
                throw StoreError.settingRefused(pragma: pragma, expected: expected, found: found)
            }
        }
    }

    /// SQLite's own check of its pages and rows.
    ///
    /// - Throws: ``StoreError/damaged(_:reason:)`` with its findings.
    static func quickCheck(_ db: Database, path: String) throws {
        let findings = try String.fetchAll(db, sql: "PRAGMA quick_check(8)")
        guard findings == ["ok"] else {
            throw StoreError.damaged(StoreRow("file", path), reason: findings.joined(separator: "; "))
        }
    }
}
