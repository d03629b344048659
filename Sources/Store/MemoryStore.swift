package import Foundation
import GRDB
import Synchronization

/// What survives a restart: spaces, their levels by generation, sessions, documents, the event log, jobs, histories.
///
/// One SQLite connection that takes one caller at a time; call from any thread that may wait, not from an event
/// loop. Two ways in: ``read(_:)`` and ``transaction(_:)``. When a transaction has returned, what it wrote survives
/// the end of the process and, as far as the disk keeps its word, of the machine.
///
/// ```swift
/// let (store, report) = try MemoryStore.open(at: path, fingerprint: fingerprint)
/// let accepted = try store.transaction { try $0.accept(DocumentDraft(text: text, tokenCount: 12)) }
/// let generation = try store.read { try $0.newestGeneration(space: "default") }
/// ```
///
/// Do not call the store from inside one of its closures: GRDB stops the program, since it would wait for itself.
public final class MemoryStore: Sendable {
    /// The database file, links resolved.
    public let path: String

    private let queue: DatabaseQueue
    private let lock: DatabaseLock
    private let ledger = ChunkLedger()
    private let hooks: FaultHooks
    private let clock: @Sendable () -> Date
    private let isClosed = Mutex(false)

    /// Opens a database, or makes one that only its owner can read.
    ///
    /// Opening verifies: SQLite's quick check, the schema's version, the model's fingerprint, every byte of the
    /// newest generation of every space. Damaged generations are skipped and reported; jobs that were running are
    /// queued again with their state.
    ///
    /// - Parameters:
    ///   - path: a file; missing directories are made.
    ///   - fingerprint: the model that is about to be served.
    ///   - formerly: fingerprints by which earlier versions knew the same model; a database of one takes over the new.
    ///   - policy: what to do with a database that another model wrote.
    /// - Throws: ``StoreError/alreadyOpen(path:pid:)``, ``StoreError/otherModel(database:offered:)``,
    ///   ``StoreError/newerSchema(found:supported:)``, ``StoreError/notAMemoryDatabase(path:reason:)``,
    ///   ``StoreError/damaged(_:reason:)``, ``StoreError/readOnly(_:)``, ``StoreError/cannotOpen(path:reason:)``,
    ///   ``StoreError/busy(_:)``, ``StoreError/diskFull(_:)``.
    public static func open(
        at path: String, fingerprint: ModelFingerprint, formerly: [ModelFingerprint] = [],
        ifOtherModel policy: OtherModelPolicy = .refuse
    ) throws -> (store: MemoryStore, report: RecoveryReport) {
        try open(
            at: path, fingerprint: fingerprint, formerly: formerly, ifOtherModel: policy, hooks: FaultHooks(),
            clock: { Date() })
    }

    package static func open(
        at path: String, fingerprint: ModelFingerprint, formerly: [ModelFingerprint] = [],
        ifOtherModel policy: OtherModelPolicy = .refuse, hooks: FaultHooks, clock: @escaping @Sendable () -> Date
    ) throws -> (store: MemoryStore, report: RecoveryReport) {
        do {
            try SHA256Hasher.requireAvailable()
        } catch {
            throw StoreError.cannotOpen(path: path, reason: "\(error)")
        }
        let resolved = try Connection.createIfMissing(path: path)
        let lock = try DatabaseLock(databasePath: resolved)
        let store = try MemoryStore(path: resolved, lock: lock, hooks: hooks, clock: clock)
        do {
            return (store, try store.recover(fingerprint: fingerprint, formerly: formerly, policy: policy))
        } catch {
            try? store.close()
            throw error
        }
    }

    private init(
        path: String, lock: DatabaseLock, hooks: FaultHooks, clock: @escaping @Sendable () -> Date
    ) throws {
        self.path = path
        self.lock = lock
        self.hooks = hooks
        self.clock = clock
        queue = try Connection.open(path: path)
        if hooks.reach != nil {
            queue.add(transactionObserver: CommitObserver(hooks: hooks), extent: .databaseLifetime)
        }
    }

    /// Answers questions, all as of one moment.
    public func read<Value>(_ body: (StoreReader) throws -> Value) throws -> Value {
        try requireOpen()
        return try StoreError.naming(StoreRow("transaction")) {
            try queue.read { db in try body(StoreReader(db: db, ledger: ledger)) }
        }
    }

    /// Does everything in `body`, or nothing: when it throws, nothing has changed on disk.
    ///
    /// - Throws: what `body` throws, and ``StoreError`` where the disk does not take it.
    public func transaction<Value>(_ body: (StoreTransaction) throws -> Value) throws -> Value {
        try requireOpen()
        return try StoreError.naming(StoreRow("transaction")) {
            try queue.writeWithoutTransaction { db in
                let transaction = StoreTransaction(db: db, ledger: ledger, now: clock(), hooks: hooks)
                var value: Value?
                try db.inTransaction(.immediate) {
                    hooks(.transactionBegun)
                    value = try body(transaction)
                    try transaction.settlePassages()
                    hooks(.beforeCommit)
                    return .commit
                }
                hooks(.afterCommit)
                transaction.committed()
                guard let value else { preconditionFailure("a committed transaction has a value") }
                return value
            }
        }
    }

    /// The bare connection, outside any transaction: for tests that set limits on it.
    func withDatabase<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try queue.writeWithoutTransaction(body)
    }

    /// Copies the write-ahead log into the database file and empties it. Happens by itself every 16 MiB and at
    /// ``close()``; worth calling after a large generation, when nobody waits.
    public func checkpoint() throws {
        try requireOpen()
        hooks(.beforeCheckpoint)
        try StoreError.naming(StoreRow("file", path)) {
            try queue.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
        }
        hooks(.afterCheckpoint)
    }

    /// Empties the write-ahead log, closes the database and lets the next opener in. Idempotent; calls after it
    /// throw ``StoreError/closed``.
    public func close() throws {
        let wasClosed = isClosed.withLock { isClosed in
            defer { isClosed = true }
            return isClosed
        }
        if wasClosed { return }
        defer { lock.release() }
        try StoreError.naming(StoreRow("file", path)) {
            // A full disk must not keep us from closing: the log is then read at the next opening.
            _ = try? queue.writeWithoutTransaction { db in try db.checkpoint(.truncate) }
            try queue.close()
        }
    }

    private func requireOpen() throws(StoreError) {
        if isClosed.withLock({ $0 }) { throw .closed }
    }

    private func recover(
        fingerprint: ModelFingerprint, formerly: [ModelFingerprint], policy: OtherModelPolicy
    ) throws -> RecoveryReport {
        try StoreError.naming(StoreRow("file", path)) {
            try queue.writeWithoutTransaction { db in
                try Connection.quickCheck(db, path: path)
                try Migrations.run(db)
            }
        }
        return try transaction { tx in
            var report = RecoveryReport()
            switch try tx.currentFingerprint()?.fingerprint {
            case nil:
                report.isNewDatabase = true
                try tx.recordFingerprint(fingerprint)
                try tx.createSpace(SpaceRecord.defaultID)
            case fingerprint:
                break
            case .some(let other) where formerly.contains(other):
                try tx.renameFingerprint(to: fingerprint)
            case .some(let other):
                guard policy == .adopt else {
                    throw StoreError.otherModel(database: other, offered: fingerprint)
                }
                report.adoptedFrom = other
                try tx.recordFingerprint(fingerprint)
                try tx.discardJobStates()
            }
            report.resumedJobs = try tx.recoverJobs()
            if report.adoptedFrom != nil { report.relearningJobs = try tx.queueRelearning() }
            report.droppedSessions = try tx.recoverSessions()
            try tx.indexMissingPassages()
            report.spaces = try tx.recoverSpaces()
            return report
        }
    }
}

/// Lets a fault point lie inside COMMIT.
private final class CommitObserver: TransactionObserver {
    private let hooks: FaultHooks

    init(hooks: FaultHooks) { self.hooks = hooks }

    func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { false }
    func databaseDidChange(with event: DatabaseEvent) {}
    func databaseWillCommit() throws { hooks(.duringCommit) }
    func databaseDidCommit(_ db: Database) {}
    func databaseDidRollback(_ db: Database) {}
}
