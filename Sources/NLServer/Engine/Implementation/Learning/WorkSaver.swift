import Logging
import NLCore
import Store

/// Saves how far a running job is, so that a crash costs at most what was done since.
///
/// The clock decides when, and nothing else: what is computed is the same whether and when it is saved.
struct WorkSaver {
    /// Saving waits for this many times as long as it took the last time: it costs a twentieth at most.
    static let restraint = 20

    private let job: String
    private let inputs: String
    private let loop: LearningLoop
    private let interval: Duration
    private var due: ContinuousClock.Instant

    /// - Parameter inputs: a digest of what the work began with.
    init(_ job: Store.JobRecord, inputs: String, loop: LearningLoop) {
        self.job = job.id
        self.inputs = inputs
        self.loop = loop
        interval = loop.context.configuration.saveProgressEvery
        due = .now + interval
    }

    /// Saves if it is time to.
    ///
    /// - Parameter isLast: the process is about to end; it is always time then.
    mutating func save<Position>(isLast: Bool = false, _ work: () -> SavedWork<Position>?) {
        let began = ContinuousClock.now
        guard interval > .zero, isLast || began >= due, let work = work() else { return }
        do {
            let state = try WorkCodec.state(work, inputs: inputs)
            try loop.context.store.transaction { transaction in
                guard let record = try transaction.job(job) else { return }
                try transaction.updateJob(job, progress: record.progress, state: state)
            }
        } catch {
            // A full disk: the job goes on without, and ends with the same result.
            loop.context.logger.warning("progress is not saved", metadata: ["job": "\(job)", "error": "\(error)"])
        }
        due = .now + max(interval, began.duration(to: .now) * Self.restraint)
    }
}

extension LearningLoop {
    /// How documents are learned: another name with each change of it, or what was begun in one way would go on in another.
    private static let manner = "values 2"

    /// A digest of everything that a job's outcome depends on.
    func inputs(
        of job: Store.JobRecord, event: Int64, seed: UInt64, settings: some Encodable, in space: SpaceMemory
    ) throws -> String {
        let journal = try context.store.read { try $0.journal(space: space.name, before: event) }
        let parts = [
            ServerVersion.current, Self.manner, job.id, "\(space.generation ?? 0)", "\(event)", "\(seed)",
            try JSONText(encoding: settings).text, context.model.anchors.digest,
        ]
        // A text does not change while the event that learned it stands.
        return SHA256Digest(of: (parts + journal.map { "\($0.event) \($0.document)" }).joined(separator: "\n")).hex
    }

    /// What was saved of a job when the process ended; nil where it has to begin at its beginning.
    func savedWork<Position>(
        of job: Store.JobRecord, inputs: String, as position: Position.Type
    ) -> SavedWork<Position>? {
        guard job.hasState else { return nil }
        do {
            guard let blobs = try context.store.read({ try $0.jobState(job.id) }) else { return nil }
            if let work = try WorkCodec.work(blobs, inputs: inputs, model: context.model, as: position) { return work }
            context.logger.notice("saved progress is of other inputs", metadata: ["job": "\(job.id)"])
        } catch {
            noteUnusable(job, error)
        }
        // It may hold something of a document that was deleted.
        try? context.store.transaction { try $0.discardJobState(job.id) }
        return nil
    }

    /// Tells that a job goes on.
    func noteResumed(_ job: Store.JobRecord) {
        context.logger.notice("a job goes on where it was", metadata: ["job": "\(job.id)"])
        context.notices.post("job \(job.id) went on where it was when the process ended", key: "resumed/\(job.id)")
    }

    /// Tells that a job has to begin at its beginning.
    func noteUnusable(_ job: Store.JobRecord, _ error: any Error) {
        context.logger.error("saved progress is not used", metadata: ["job": "\(job.id)", "error": "\(error)"])
        context.notices.post(
            "job \(job.id) began again at its beginning: \(error)", key: "resumed/\(job.id)")
    }
}
