internal import GRDB

/// The row an operation was about: what a person looks up when an error names it.
public struct StoreRow: Sendable, Hashable, CustomStringConvertible {
    /// The table, `document` for example.
    public let table: String
    /// The key within the table, `default/alice` for example; empty for the table as a whole.
    public let key: String

    init(_ table: String, _ key: String = "") {
        self.table = table
        self.key = key
    }

    /// `document default/alice`.
    public var description: String { key.isEmpty ? table : "\(table) \(key)" }
}

/// Every way the store fails. After a throw from ``MemoryStore/transaction(_:)`` nothing on disk has changed.
public enum StoreError: Error, Sendable, Equatable {
    /// The database was written by another model. `--relearn` (``OtherModelPolicy/adopt``) is the way on.
    case otherModel(database: ModelFingerprint, offered: ModelFingerprint)
    /// The database was written by a newer program.
    case newerSchema(found: Int, supported: Int)
    /// The file is something else: not SQLite, or another program's database.
    case notAMemoryDatabase(path: String, reason: String)
    /// Another process (`pid`, where it could be read) has the database open.
    case alreadyOpen(path: String, pid: Int32?)
    /// The file or its directory cannot be created, opened or locked.
    case cannotOpen(path: String, reason: String)
    /// SQLite did not accept a setting that durability rests on.
    case settingRefused(pragma: String, expected: String, found: String)
    /// Bytes on disk are not what was written.
    case damaged(StoreRow, reason: String)
    /// The disk (or the database's page limit) is full.
    case diskFull(StoreRow)
    /// The file, directory or transaction does not permit writing.
    case readOnly(StoreRow)
    /// Another program holds a lock on the database.
    case busy(StoreRow)
    /// The operating system failed to read or write.
    case inputOutput(StoreRow, reason: String)
    /// There is no such row.
    case notFound(StoreRow)
    /// The row exists, and says something else: other text under the same id, a job that has ended.
    case conflict(StoreRow, reason: String)
    /// The value cannot be stored: a shape that does not fit its bytes, an id with a NUL in it.
    case invalid(StoreRow, reason: String)
    /// The store was closed.
    case closed
    /// Any other answer of SQLite.
    case failed(StoreRow, code: Int32, reason: String)
}

extension StoreError: CustomStringConvertible {
    /// One sentence: what was wrong, and what to do where there is something to do.
    public var description: String {
        switch self {
        case .otherModel(let database, let offered):
            "the database belongs to the model \(database), and this one is \(offered); start with that model, "
                + "with another database file, or with --relearn to learn the journal again on this model"
        case .newerSchema(let found, let supported):
            "the database has schema version \(found), and this program knows versions up to \(supported); "
                + "use the newer program"
        case .notAMemoryDatabase(let path, let reason): "\(path) is not a memory database: \(reason)"
        case .alreadyOpen(let path, let pid):
            "\(path) is already open in " + (pid.map { "process \($0)" } ?? "another process")
        case .cannotOpen(let path, let reason): "cannot open \(path): \(reason)"
        case .settingRefused(let pragma, let expected, let found):
            "SQLite has \(pragma) = \(found) where \(expected) is needed"
        case .damaged(let row, let reason): "\(row) is damaged: \(reason)"
        case .diskFull(let row): "no space left on the disk while writing \(row); nothing was changed"
        case .readOnly(let row): "cannot write \(row): the database is read-only"
        case .busy(let row): "\(row): another program holds a lock on the database"
        case .inputOutput(let row, let reason): "\(row): input/output error: \(reason)"
        case .notFound(let row): "there is no \(row)"
        case .conflict(let row, let reason): "\(row): \(reason)"
        case .invalid(let row, let reason): "\(row) cannot be stored: \(reason)"
        case .closed: "the store is closed"
        case .failed(let row, let code, let reason): "\(row): SQLite error \(code): \(reason)"
        }
    }
}

extension StoreError {
    /// SQLite's answer as ours; `row` says what was being read or written.
    init(_ error: DatabaseError, on row: StoreRow) {
        let reason = error.message ?? "no message"
        switch error.resultCode {
        case .SQLITE_FULL: self = .diskFull(row)
        case .SQLITE_READONLY: self = .readOnly(row)
        case .SQLITE_CANTOPEN: self = .cannotOpen(path: row.key, reason: reason)
        case .SQLITE_BUSY, .SQLITE_LOCKED: self = .busy(row)
        case .SQLITE_CORRUPT: self = .damaged(row, reason: reason)
        case .SQLITE_NOTADB: self = .notAMemoryDatabase(path: row.key, reason: reason)
        case .SQLITE_IOERR: self = .inputOutput(row, reason: "\(reason) (\(error.extendedResultCode.rawValue))")
        case .SQLITE_MISUSE where reason.contains("closed"): self = .closed
        default: self = .failed(row, code: error.extendedResultCode.rawValue, reason: reason)
        }
    }

    /// Runs `body`; what SQLite throws comes out as a ``StoreError`` about `row`, anything else unchanged.
    static func naming<Value>(_ row: @autoclosure () -> StoreRow, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as DatabaseError {
            throw StoreError(error, on: row())
        }
    }
}
