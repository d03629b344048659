/// What opening a database found and did.
public struct RecoveryReport: Sendable, Hashable {
    /// A generation that could not be used.
    public struct DamagedGeneration: Sendable, Hashable {
        /// Its number.
        public let number: Int64
        /// What is wrong with it.
        public let reason: String
    }

    /// One space after opening.
    public struct Space: Sendable, Hashable {
        /// The space's id.
        public let space: String
        /// The newest whole generation; nil: the levels are the model file's.
        public let generation: Int64?
        /// Newer ones that were skipped, newest first.
        public let damaged: [DamagedGeneration]
        /// Events of the log that the generation does not contain: they must be replayed.
        public let eventsToReplay: Int
    }

    /// A session that had to be deleted.
    public struct DroppedSession: Sendable, Hashable {
        /// Its id.
        public let id: String
        /// Why.
        public let reason: String
    }

    /// Whether the file was made just now.
    public internal(set) var isNewDatabase = false
    /// The model whose database was taken over (``OtherModelPolicy/adopt``).
    public internal(set) var adoptedFrom: ModelFingerprint?
    /// Ids of jobs that wait because of that: each learns its space's log again.
    public internal(set) var relearningJobs: [String] = []
    /// By id.
    public internal(set) var spaces: [Space] = []
    /// Ids of jobs that were running when the process ended and are queued again, oldest first.
    public internal(set) var resumedJobs: [String] = []
    /// Sessions whose state is gone or belongs to another model.
    public internal(set) var droppedSessions: [DroppedSession] = []
}

/// The decisions that follow a crash, as functions over records.
enum Recovery {
    /// Walks from the newest generation to the oldest and stops at the first that `read` accepts.
    ///
    /// - Parameter read: throws ``StoreError/damaged(_:reason:)`` for a generation to be skipped; anything else it
    ///   throws (a failing disk) ends the search, because older is not better then.
    static func newestWhole<Value>(
        of newestFirst: [GenerationRecord], read: (GenerationRecord) throws -> Value
    ) throws -> (used: Value?, skipped: [(record: GenerationRecord, reason: String)]) {
        var skipped: [(record: GenerationRecord, reason: String)] = []
        for record in newestFirst {
            if let reason = record.damage {
                skipped.append((record, reason))
                continue
            }
            do {
                return (try read(record), skipped)
            } catch StoreError.damaged(_, let reason) {
                skipped.append((record, reason))
            }
        }
        return (nil, skipped)
    }

    /// Generations that pruning may delete: neither pinned nor among the newest `keep` whole ones. A damaged one
    /// newer than every whole one stays, so that it is reported for as long as it costs events.
    static func prunable(_ newestFirst: [GenerationRecord], keep: Int) -> [GenerationRecord] {
        var wholeSeen = 0
        return newestFirst.filter { record in
            if record.damage == nil { wholeSeen += 1 }
            if record.isPinned { return false }
            return record.damage == nil ? wholeSeen > keep : wholeSeen > 0
        }
    }
}

extension StoreTransaction {
    /// Verifies the newest generations of every space, and marks the damaged ones.
    func recoverSpaces() throws -> [RecoveryReport.Space] {
        try spaces().map { space in
            let (used, skipped) = try Recovery.newestWhole(of: generations(space: space.id)) { record in
                try verify(record)
                return record
            }
            for (record, reason) in skipped where record.damage == nil {
                try markDamaged(record, reason: reason)
            }
            return RecoveryReport.Space(
                space: space.id, generation: used?.number,
                damaged: skipped.map { .init(number: $0.record.number, reason: $0.reason) },
                eventsToReplay: try eventCount(space: space.id, after: used?.event ?? 0))
        }
    }
}
