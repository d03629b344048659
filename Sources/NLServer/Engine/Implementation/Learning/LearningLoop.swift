import Logging
import NLCore
import Store

/// What the learner's thread does, one job after the other.
///
/// Learning is a pure function of the space's ordered log of events: of the text, the settings and the seed of each,
/// and of the texts learned before it. No clock, thread count or preemption enters. So a job that was interrupted,
/// by a crash or a shutdown, goes on where it was saved, or starts again from the last generation: it ends with the
/// same bits.
final class LearningLoop {
    /// How long a window waits for requests being served; under steady load learning goes on, at about half its pace.
    static let patience = Duration.milliseconds(40)

    let context: EngineContext
    let signals: LearningSignals
    let reader: JournalReader
    var spaces: [String: SpaceMemory]
    private let schedule: ConsolidationSchedule
    private var hasUncheckpointedWrites = false
    /// See ``measureNext()``.
    var measuring: Remeasurement
    /// The space whose job ran last: the others come first. Not kept over a restart, and nothing depends on it but who
    /// waits: the order within a space, and so what it learns, is that of its own log.
    private var lastTurn: String?
    /// When the job that runs was taken up.
    private(set) var jobBegan: ContinuousClock.Instant?
    var snapshotStandings: [String: SnapshotStanding] = [:]

    init(_ context: EngineContext, spaces: [SpaceMemory]) {
        self.context = context
        signals = context.journal.signals
        reader = JournalReader(model: context.model, store: context.store, notices: context.notices)
        schedule = context.journal.schedule
        measuring = Remeasurement(tokensPerMinute: context.configuration.remeasureTokens)
        self.spaces = Dictionary(uniqueKeysWithValues: spaces.map { ($0.name, $0) })
    }

    func run() {
        for space in spaces.keys.sorted() { attempt { try replay(space) } }
        while !signals.isStopping {
            attempt {
                synchronizeSpaces()
                try takeDueSnapshots()
                if try runNextJob() { return }
                if try queueDueConsolidation() { return }
                if try measureNext() { return }
                try refreshRetention()
                checkpointWhileIdle()
                // The clock on the wall may be set: it is looked at again.
                let nextLook = schedule.at.map { _ in ContinuousClock.now + .seconds(60) }
                let moments = [nextDue?.moment, nextSnapshot, measuring.nextMoment, nextLook]
                signals.waitForWork(until: moments.compactMap(\.self).min())
            }
        }
        context.logger.debug("learner stopped")
    }

    /// Runs `body`; what goes wrong outside a job is reported, and tried again a little later.
    private func attempt(_ body: () throws -> Void) {
        do {
            try body()
            context.notices.clear(key: "learner")
        } catch is LearningInterruption {
            // Stopped: the loop looks at that itself.
        } catch {
            context.logger.critical("learning stands still", metadata: ["error": "\(error)"])
            context.notices.post("learning stands still: \(error)", key: "learner")
            try? signals.pause(for: .seconds(30))
        }
    }

    // MARK: - Jobs

    /// Runs the job that has waited longest in the space whose turn it is; false if none waits.
    private func runNextJob() throws -> Bool {
        guard let job = try write({ try $0.startNextJob(after: lastTurn) }) else { return false }
        lastTurn = job.space
        signals.began(job.id)
        jobBegan = .now
        defer {
            jobBegan = nil
            signals.ended()
        }
        if job.kind == .consolidate {
            signals.setQueuedConsolidation(nil, of: job.space)
            signals.setConsolidating(job.space)
        }
        defer { signals.setConsolidating(nil) }
        do {
            switch job.kind {
            case .learn: try learn(job)
            case .consolidate: try consolidate(job)
            case .forget: try forget(job)
            case .restore: try restore(job)
            case .relearn: try relearn(job)
            default: throw UnknownJobKind(kind: job.kind.rawValue)
            }
        } catch LearningInterruption.stopped {
            throw LearningInterruption.stopped
        } catch let error where job.kind == .relearn {
            try putBack(job)
            if case LearningInterruption.cancelled = error { return true }
            throw error
        } catch LearningInterruption.cancelled {
            try end(job, as: .cancelled, because: nil)
        } catch {
            context.logger.error("job failed", metadata: ["job": "\(job.id)", "error": "\(error)"])
            try end(job, as: .failed, because: JobFailure(error))
        }
        return true
    }

    /// Ends a job that changed nothing.
    private func end(
        _ job: Store.JobRecord, as status: JobStatus, because failure: JobFailure?
    ) throws {
        let finished = try write(isCancellable: false) { transaction in
            try chargeLearningTime(to: job.space, in: transaction)
            if job.kind == .forget {
                return try fail(job, because: failure, in: transaction)
            }
            if let document = job.document {
                try transaction.updateDocument(
                    space: job.space, id: document, status: status == .failed ? .failed : .cancelled)
            }
            return try transaction.finishJob(job.id, as: status, error: failure.map { try JSONText(encoding: $0) })
        }
        let record = JobRecord(finished)
        // What was cancelled or failed is not tried again at once.
        if job.kind == .consolidate { signals.updateStanding(of: job.space) { $0.noteTried(isAdopted: false) } }
        if status == .failed, job.kind == .learn { context.totals.add { $0.documentsFailed += 1 } }
        context.journal.events.finish(job.id, with: status == .failed ? .failed(record) : .cancelled(record))
    }

    // MARK: - Consolidation by schedule

    private var nextDue: ConsolidationSchedule.Due? {
        spaces.keys.compactMap { space in
            schedule.next(signals.standing(of: space), lastRequest: context.priority.lastRequest)
        }.min { $0.moment < $1.moment }
    }

    private func queueDueConsolidation() throws -> Bool {
        for space in spaces.keys.sorted() {
            let due = schedule.next(signals.standing(of: space), lastRequest: context.priority.lastRequest)
            guard let due, due.moment <= .now else { continue }
            let journal = context.journal
            let queued = try write { transaction -> (job: Store.JobRecord, isNew: Bool)? in
                guard try transaction.space(space) != nil else { return nil }
                return try journal.queueConsolidation(of: space, trigger: due.trigger, in: transaction)
            }
            // Deleted meanwhile: the next round lets go of it.
            guard let queued else { continue }
            if queued.isNew { signals.queued(1) }
            return true
        }
        return false
    }

    // MARK: - Between windows

    /// Lets serving go first, then says whether the job may go on.
    func yield() throws(LearningInterruption) {
        context.priority.waitForServing(atMost: Self.patience)
        try signals.checkpoint()
    }

    // MARK: - Writing

    /// Writes, again and again while the disk does not take it: what was learned is kept in memory meanwhile, nothing
    /// is published that is not on disk, and serving goes on with the last generation.
    ///
    /// - Parameter isCancellable: whether cancelling the running job ends the waiting.
    /// - Throws: ``LearningInterruption`` while waiting; what waiting does not mend.
    func write<Value>(isCancellable: Bool = true, _ body: (StoreTransaction) throws -> Value) throws -> Value {
        try writing(isCancellable: isCancellable) { try context.store.transaction(body) }
    }

    /// The same for whatever writes.
    func writing<Value>(isCancellable: Bool = true, _ body: () throws -> Value) throws -> Value {
        var delay = Duration.milliseconds(250)
        while true {
            do {
                let value = try body()
                if context.notices.clear(key: "storage") { context.logger.notice("the database takes writes again") }
                hasUncheckpointedWrites = true
                return value
            } catch let error as StoreError where error.isPassing {
                context.logger.error("the database does not take writes", metadata: ["error": "\(error)"])
                context.notices.post("learning waits for the database: \(error)", key: "storage")
            }
            do {
                try signals.pause(for: delay)
            } catch {
                // A cancelled job whose end is all that is left to write has nothing to be cancelled any more.
                if isCancellable || error == .stopped { throw error }
            }
            delay = min(delay * 2, .seconds(30))
        }
    }

    private func checkpointWhileIdle() {
        guard hasUncheckpointedWrites else { return }
        do {
            try context.store.checkpoint()
            hasUncheckpointedWrites = false
        } catch {
            // Tried again when the learner has nothing to do next time.
        }
    }
}

/// A job or event that a newer program put into the database.
struct UnknownJobKind: Error, CustomStringConvertible {
    let kind: String
    var description: String { "this program does not know work of the kind \"\(kind)\"" }
}

/// A job whose space or document is not there.
struct UnknownWork: Error, CustomStringConvertible {
    let job: String
    var description: String { "the space or the document of job \(job) is gone" }
}
