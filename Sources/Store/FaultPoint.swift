/// A place where a test may end the process, to see what opening the database afterwards finds.
package enum FaultPoint: String, CaseIterable, Sendable, Codable {
    /// The transaction has begun, nothing is written.
    case transactionBegun
    /// One chunk of a state is written.
    case chunkWritten
    /// Everything is written; COMMIT has not been said.
    case beforeCommit
    /// Inside COMMIT, before SQLite writes the commit frame (its commit hook).
    case duringCommit
    /// The commit is on disk; the caller does not know yet.
    case afterCommit
    /// The write-ahead log is about to be copied into the database file.
    case beforeCheckpoint
    /// The write-ahead log has been copied and truncated.
    case afterCheckpoint
}

/// What to do at fault points; production passes nothing.
package struct FaultHooks: Sendable {
    package var reach: (@Sendable (FaultPoint) -> Void)?

    package init(reach: (@Sendable (FaultPoint) -> Void)? = nil) {
        self.reach = reach
    }

    func callAsFunction(_ point: FaultPoint) { reach?(point) }
}
