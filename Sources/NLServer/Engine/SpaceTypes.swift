import struct Foundation.Date

// Spaces: each one memory, with its own levels, journal, log, jobs, sessions and snapshots.

/// What a space may use; `nil` is as much as there is.
struct SpaceQuotas: Sendable, Equatable {
    /// Documents, whatever became of them.
    var documents: Int?
    /// Bytes of the documents' texts.
    var bytes: Int?
    /// Seconds the learner works for it. Asked when work is accepted: what was accepted is learned.
    var learningSeconds: Double?
}

struct SpaceCreation: Sendable {
    var id: String
    /// The id unless given.
    var name: String?
    /// `nil`: none, or for a fork those of its parent.
    var quotas: SpaceQuotas?
}

/// What to change of a space. The outer `nil` leaves a value as it is, the inner one takes a quota away.
struct SpaceChange: Sendable {
    var name: String?
    var documents: Int??
    var bytes: Int??
    var learningSeconds: Double??
}

struct SpaceRecord: Sendable {
    /// Where a fork began.
    struct Origin: Sendable, Equatable {
        var space: String
        /// 0: the model file's levels.
        var generation: Int
        /// The last event of that space's log that the fork has in common with it.
        var event: Int
    }

    var id: String
    var name: String
    var created: Date
    /// The newest; 0: nothing learned yet.
    var generation: Int
    /// `nil` for a space that is no fork.
    var parent: Origin?
    var quotas: SpaceQuotas
    var documentCount: Int
    var textBytes: Int
    var learningSeconds: Double
    var sessionCount: Int
}
