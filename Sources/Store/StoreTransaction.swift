import Foundation
import GRDB

/// What can be asked of the database, at one moment: all answers within one ``MemoryStore/read(_:)`` or
/// ``MemoryStore/transaction(_:)`` fit together.
///
/// Valid only inside the closure it was given to, and not to be handed to another thread.
public class StoreReader {
    let db: Database
    let ledger: ChunkLedger

    init(db: Database, ledger: ChunkLedger) {
        self.db = db
        self.ledger = ledger
    }

    /// `body` with SQLite's errors naming `row`.
    func on<Value>(_ row: @autoclosure () -> StoreRow, _ body: (Database) throws -> Value) throws -> Value {
        try StoreError.naming(row()) { try body(db) }
    }
}

/// Everything that writes. What is done inside one ``MemoryStore/transaction(_:)`` happens together or not at all.
public final class StoreTransaction: StoreReader {
    /// The time of the transaction; rows written together carry the same one.
    let now: Date
    let hooks: FaultHooks
    private var afterCommit: [() -> Void] = []

    init(db: Database, ledger: ChunkLedger, now: Date, hooks: FaultHooks) {
        self.now = now
        self.hooks = hooks
        super.init(db: db, ledger: ledger)
    }

    /// Has `body` run when the transaction is on disk and before anybody else reads the database, so that nobody can
    /// read there what is not yet true elsewhere. It never runs if the transaction fails. It must not call the store,
    /// nor wait for somebody who does.
    public func afterCommit(_ body: @escaping () -> Void) { afterCommit.append(body) }

    /// The transaction is on disk; the database is still held.
    func committed() {
        for body in afterCommit { body() }
    }

    /// Runs one statement, compiled once per connection.
    func run(_ sql: String, _ arguments: StatementArguments) throws {
        try db.cachedStatement(sql: sql).execute(arguments: arguments)
    }
}

/// Which part of a list to return. `cursor` is the previous page's ``Page/next``.
public struct PageRequest: Sendable, Hashable {
    /// Which end a list starts from.
    public enum Order: Sendable { case oldestFirst, newestFirst }

    /// Where the previous page ended; nil starts at the beginning.
    public var cursor: Int64?
    /// At most this many items.
    public var limit: Int
    /// By acceptance.
    public var order: Order

    /// - Precondition: `limit` is at least 1.
    public init(after cursor: Int64? = nil, limit: Int = 100, order: Order = .newestFirst) {
        precondition(limit >= 1, "a page holds at least one item, got limit \(limit)")
        self.cursor = cursor
        self.limit = limit
        self.order = order
    }
}

/// One part of a list.
public struct Page<Item: Sendable>: Sendable {
    /// The items, in the order asked for.
    public let items: [Item]
    /// Pass as the next request's cursor; nil at the end of the list.
    public let next: Int64?
}

extension StoreReader {
    /// Reads one page of `table`, which has a rising `sequence` column.
    func page<Item>(
        of table: String, where conditions: [String], arguments: StatementArguments, request: PageRequest,
        decode: (Row) throws -> Item
    ) throws -> Page<Item> {
        var conditions = conditions
        var arguments = arguments
        if let cursor = request.cursor {
            conditions.append("sequence \(request.order == .oldestFirst ? ">" : "<") ?")
            arguments += [cursor]
        }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        // One row more than asked for tells whether there is a next page.
        let sql = """
            SELECT * FROM \(table) \(filter)
            ORDER BY sequence \(request.order == .oldestFirst ? "ASC" : "DESC") LIMIT \(request.limit + 1)
            """
        return try on(StoreRow(table)) { db in
            let rows = try Row.fetchAll(db, sql: sql, arguments: arguments)
            let kept = rows.prefix(request.limit)
            return Page(items: try kept.map(decode), next: rows.count > request.limit ? kept.last?["sequence"] : nil)
        }
    }
}
