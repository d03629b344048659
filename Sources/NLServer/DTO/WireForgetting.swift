import Foundation

/// What deleting a document has come to.
struct WireForgetReceipt: Encodable, Sendable {
    struct Holders: Encodable, Sendable {
        var snapshots: [String]
        var forks: [String]
        var sessions: [String]

        init(_ holders: ForgetReceipt.Holders) {
            (snapshots, forks, sessions) = (holders.snapshots, holders.forks, holders.sessions)
        }
    }

    struct ForkJob: Encodable, Sendable {
        var space: String
        @Nullable var jobId: String?
    }

    var document: String
    var space: String
    var state: String
    @Nullable var exact: Bool?
    @Nullable var reason: String?
    var requested: Date
    @Nullable var completed: Date?
    @Nullable var jobId: String?
    @Nullable var rebuiltFrom: Int?
    var eventsReplayed: Int
    @Nullable var generation: Int?
    var forkJobs: [ForkJob]
    var removed: Holders
    var kept: Holders

    init(_ receipt: ForgetReceipt) {
        document = receipt.document
        space = receipt.space
        state = receipt.state.rawValue
        exact = receipt.exact
        reason = receipt.reason
        requested = receipt.requested
        completed = receipt.completed
        jobId = receipt.jobID
        rebuiltFrom = receipt.rebuiltFrom
        eventsReplayed = receipt.eventsReplayed
        generation = receipt.generation
        forkJobs = receipt.forkJobs.map { ForkJob(space: $0.space, jobId: $0.jobID) }
        removed = Holders(receipt.removed)
        kept = Holders(receipt.kept)
    }
}

/// The answer to `DELETE /v1/documents/{id}`.
struct WireForgetting: Encodable, Sendable {
    /// All that is left of it.
    struct Document: Encodable, Sendable {
        var id: String
        var space: String
        var status: String
    }

    var document: Document
    @Nullable var job: WireJob?
    var receipt: WireForgetReceipt

    init(_ receipt: ForgetReceipt, job: JobRecord?) {
        document = Document(id: receipt.document, space: receipt.space, status: receipt.state.rawValue)
        self.job = job.map(WireJob.init)
        self.receipt = WireForgetReceipt(receipt)
    }
}

/// One `progress` event of a rebuild.
struct WireReplayProgress: Encodable, Sendable {
    var eventsReplayed: Int
    var events: Int
    var progress: Double

    init(_ progress: ReplayProgress) {
        eventsReplayed = progress.replayed
        events = progress.events
        self.progress = progress.progress
    }
}
