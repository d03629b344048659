import struct Foundation.Date

/// What can hold a document beside its own space.
enum DocumentHolder: String, Sendable, CaseIterable, Codable { case snapshots, forks, sessions }

/// What deleting a document has come to.
struct ForgetReceipt: Sendable, Equatable, Codable {
    enum State: String, Sendable, CaseIterable, Codable {
        /// The text is gone; requests still read the generation from before, until the one without it is published.
        case rebuilding
        /// Nothing is left of it but what ``kept`` names.
        case forgotten
        /// The rebuild failed. Deleting the document again tries again.
        case failed
    }

    /// Ids of what held the document.
    struct Holders: Sendable, Equatable, Codable {
        var snapshots: [String] = []
        /// Spaces forked from this one that have taken the document over.
        var forks: [String] = []
        var sessions: [String] = []
    }

    /// The rebuild of a fork, which has a receipt of its own.
    struct ForkJob: Sendable, Equatable, Codable {
        var space: String
        var jobID: String?
    }

    var document: String
    var space: String
    var state: State
    /// Whether the space is now, bit for bit, what it would be if the document had never been there; `nil` until
    /// rebuilt.
    var exact: Bool?
    /// Why not.
    var reason: String?
    var requested: Date
    var completed: Date?
    /// The job that rebuilds; `nil` where nothing had been learned.
    var jobID: String?
    /// The generation the rebuild began from, 0 for the model file; `nil` until rebuilt, or where there was nothing to.
    var rebuiltFrom: Int?
    /// Events of the log that were done again.
    var eventsReplayed = 0
    /// The first generation without the document.
    var generation: Int?
    /// The rebuilds of forks that held it.
    var forkJobs: [ForkJob] = []
    /// What held it and went too, or will when the rebuild ends.
    var removed = Holders()
    /// What still holds it because the caller keeps it, and snapshots from files, of which nobody knows.
    var kept = Holders()
}

/// How far the rebuild of a space is.
struct ReplayProgress: Sendable, Equatable {
    /// Events done again so far.
    var replayed: Int
    /// Events to do again.
    var events: Int
    /// 0…1, as in the job.
    var progress: Double
}
