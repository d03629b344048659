import NLCore
import Store

/// Tells the world how far a running job is: its followers at every window, its row at most twice a second and at the
/// end of each pass.
struct JobProgress {
    static let interval = Duration.milliseconds(500)

    private let job: Store.JobRecord
    private let detail: JobDetail
    private let loop: LearningLoop
    private var lastWrite = ContinuousClock.now
    private var lastPass = 0
    /// A job that starts again after a crash has said more already; its progress never falls.
    private var floor: Double
    /// The newest figures.
    private(set) var current: LearningProgress?

    init(_ job: Store.JobRecord, loop: LearningLoop) {
        self.job = job
        self.loop = loop
        detail = (try? job.detail.decoded(as: JobDetail.self)) ?? JobDetail()
        floor = job.progress
    }

    /// - Parameter tokens: trained on so far, rehearsal included.
    mutating func report(pass: Int, tokens: Int, loss: Double, fraction: Double) {
        floor = max(floor, fraction)
        let progress = LearningProgress(pass: pass, tokens: tokens, loss: loss, progress: floor)
        current = progress
        loop.context.journal.events.publish(progress, of: job.id)
        guard pass > lastPass || lastWrite.duration(to: .now) >= Self.interval else { return }
        (lastPass, lastWrite) = (pass, .now)
        // Only for those who look: a row that could not be written costs nothing, the next one may be.
        try? loop.context.store.transaction { transaction in
            try transaction.updateJob(
                job.id, progress: progress.progress, detail: try JSONText(encoding: with(progress)))
        }
    }

    /// The job's detail as it is when it has ended.
    func final(targetReached: Bool? = nil, generation: Int64?) -> JobDetail {
        var detail = current.map(with) ?? detail
        detail.learning?.progress = 1
        detail.targetReached = targetReached
        detail.generation = generation
        return detail
    }

    private func with(_ progress: LearningProgress) -> JobDetail {
        var detail = detail
        detail.learning = JobDetail.Progress(progress)
        return detail
    }
}
