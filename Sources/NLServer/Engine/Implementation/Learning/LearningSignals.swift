/// What the learner and those who ask something of it tell each other: work has come, stop, cancel this job.
final class LearningSignals: Sendable {
    private struct State: Sendable {
        var hasWork = true
        var isStopping = false
        var queued = 0
        /// Consolidations that wait, by space: one each.
        var consolidations: [String: String] = [:]
        /// The space whose consolidation runs.
        var consolidating: String?
        var running: (job: String, lastStep: ContinuousClock.Instant)?
        /// Jobs to be ended; asked for when their rows said `running`, which may be before the learner says so here.
        var cancelled: Set<String> = []

        var isCancelled: Bool { running.map { cancelled.contains($0.job) } ?? false }
        var standings: [String: ConsolidationSchedule.Standing] = [:]
    }

    private let state = Monitor(State())

    // MARK: - From outside

    /// Jobs have been put into the queue.
    func queued(_ count: Int) {
        state.update {
            $0.queued += count
            $0.hasWork = true
        }
    }

    /// A waiting job has been taken out of the queue.
    func unqueued() { state.withLock { $0.queued = max($0.queued - 1, 0) } }

    /// Ends the learner at its next window.
    func stop() { state.update { $0.isStopping = true } }

    /// Ends a running job at its next window.
    func cancel(job id: String) { state.update { _ = $0.cancelled.insert(id) } }

    /// The job has ended, whether because of that or not.
    func forgetCancelling(_ id: String) { state.withLock { _ = $0.cancelled.remove(id) } }

    /// Jobs waiting, and jobs running.
    var counts: (queued: Int, running: Int) { state.withLock { ($0.queued, $0.running == nil ? 0 : 1) } }

    /// How long the running job has not come to the end of a window; nil if none runs.
    var timeSinceLastStep: Duration? {
        state.withLock { $0.running.map { $0.lastStep.duration(to: .now) } }
    }

    /// The consolidation that waits in a space.
    func queuedConsolidation(of space: String) -> String? { state.withLock { $0.consolidations[space] } }

    func setQueuedConsolidation(_ job: String?, of space: String) {
        state.withLock { $0.consolidations[space] = job }
    }

    /// What a space's next consolidation depends on.
    func standing(of space: String) -> ConsolidationSchedule.Standing {
        state.withLock { $0.standings[space] ?? ConsolidationSchedule.Standing() }
    }

    func setStanding(_ standing: ConsolidationSchedule.Standing, of space: String) {
        state.withLock { $0.standings[space] = standing }
    }

    /// Changes what the learner and those who cancel both may change.
    func updateStanding(of space: String, _ change: (inout ConsolidationSchedule.Standing) -> Void) {
        state.withLock { change(&$0.standings[space, default: ConsolidationSchedule.Standing()]) }
    }

    /// Whether a consolidation of a space waits or runs.
    func isConsolidating(_ space: String) -> Bool {
        state.withLock { $0.consolidations[space] != nil || $0.consolidating == space }
    }

    /// Notes the space whose consolidation runs; nil when it has ended.
    func setConsolidating(_ space: String?) { state.withLock { $0.consolidating = space } }

    /// A space has been deleted.
    func forget(space: String) {
        state.withLock {
            $0.consolidations[space] = nil
            $0.standings[space] = nil
        }
    }

    // MARK: - The learner's own

    /// The learner has taken a job.
    func began(_ job: String) {
        state.withLock {
            $0.queued = max($0.queued - 1, 0)
            $0.running = (job, .now)
        }
    }

    /// The learner has let go of its job.
    func ended() {
        state.withLock { state in
            if let job = state.running?.job { state.cancelled.remove(job) }
            state.running = nil
        }
    }

    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Notes a window, and throws if the job must not go on.
    func checkpoint() throws(LearningInterruption) {
        let interruption: LearningInterruption? = state.withLock { state in
            state.running?.lastStep = .now
            if state.isStopping { return .stopped }
            return state.isCancelled ? .cancelled : nil
        }
        if let interruption { throw interruption }
    }

    /// Sleeps until there is work, the learner is to stop, or the deadline has passed.
    func waitForWork(until deadline: ContinuousClock.Instant?) {
        state.wait(until: deadline) { $0.hasWork || $0.isStopping }
        state.withLock { $0.hasWork = false }
    }

    /// Sleeps, but not through being stopped or cancelled.
    func pause(for duration: Duration) throws(LearningInterruption) {
        state.wait(until: .now + duration) { $0.isStopping || $0.isCancelled }
        try checkpoint()
    }
}

/// Why a job ended although nothing was wrong with it.
enum LearningInterruption: Error {
    /// The process is shutting down; the job goes on at the next start.
    case stopped
    /// Somebody cancelled it.
    case cancelled
}
