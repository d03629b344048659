import GRDB

/// Which events of a space's log are in force at a place in it: those that its state there is made of.
///
/// A restore goes back to the state at an earlier place, and takes back what came between. The state after event n is
/// that of its `target` if n is a restore, else the state after n − 1 with event n done to it; a restore from a file
/// owes nothing to any event before it. So the events in force are ranges of the log, and still rise.
public struct EffectiveLog: Sendable, Hashable {
    /// Rising, apart from each other; restores themselves lie in none.
    public let ranges: [ClosedRange<Int64>]
    /// The imported generation that they were done to; nil: the model file's levels.
    public let origin: Int64?

    /// Whether an event is in force.
    public func contains(_ event: Int64) -> Bool { ranges.contains { $0.contains(event) } }

    /// The ranges as rows of a query.
    var sql: String {
        if ranges.isEmpty { return "VALUES (1, 0)" }
        return "VALUES " + ranges.map { "(\($0.lowerBound), \($0.upperBound))" }.joined(separator: ", ")
    }

    /// - Parameter restores: all up to `last`, in the order of the log.
    init(through last: Int64, restores: [(sequence: Int64, target: Int64?, source: Int64?)]) {
        var found: [ClosedRange<Int64>] = []
        var place: Int64? = last
        var origin: Int64?
        var rest = restores[...]
        while let end = place {
            // Targets lie before their restores, so those behind are never looked at again.
            while let restore = rest.last, restore.sequence > end { rest.removeLast() }
            let start = (rest.last?.sequence ?? 0) + 1
            if start <= end { found.append(start...end) }
            place = rest.last?.target
            origin = rest.last?.source
            rest = rest.dropLast()
        }
        ranges = found.reversed()
        self.origin = origin
    }
}

extension StoreReader {
    /// The events in force after a place in the log; nil for its end.
    public func effectiveLog(space: String, through last: Int64? = nil) throws -> EffectiveLog {
        let end = try min(last ?? .max, nextEventSequence(space: space) - 1)
        let restores = try on(StoreRow("event", space)) { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT sequence, target, source FROM event WHERE space_id = ? AND kind = 'restore' AND sequence <= ?
                    ORDER BY sequence
                    """, arguments: [space, end]
            ).map {
                (sequence: $0["sequence"] as Int64, target: $0["target"] as Int64?, source: $0["source"] as Int64?)
            }
        }
        return EffectiveLog(through: end, restores: restores)
    }
}

extension StoreTransaction {
    /// Brings the status of a space's documents in line with its log: what no event in force learned is `unlearned`,
    /// what one did is `learned`. Those with work to come keep their status.
    public func refreshKnownDocuments(space: String) throws {
        let log = try effectiveLog(space: space)
        let known = """
            SELECT document_id FROM (\(log.sql)) JOIN event ON event.sequence BETWEEN column1 AND column2
                WHERE event.space_id = ?1 AND event.kind = 'learn' AND document_id IS NOT NULL
            """
        try on(StoreRow("document", space)) { db in
            try db.execute(
                sql: """
                    UPDATE document SET status = 'unlearned', loss_now = NULL
                        WHERE space_id = ?1 AND status = 'learned' AND id NOT IN (\(known))
                    """, arguments: [space])
            try db.execute(
                sql: """
                    UPDATE document SET status = 'learned'
                        WHERE space_id = ?1 AND status IN ('unlearned', 'failed', 'cancelled') AND id IN (\(known))
                    """, arguments: [space])
        }
    }
}
