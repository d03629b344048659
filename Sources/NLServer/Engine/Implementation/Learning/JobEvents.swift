import Synchronization

/// Brings what happens to a job to those who follow it.
///
/// Bounded: a follower that does not take its events misses progress, never the final event. The learner never waits
/// for one.
final class JobEvents: Sendable {
    private struct State {
        var nextID = 0
        var followers: [String: [Int: Follower]] = [:]
    }

    private let state = Mutex(State())

    /// Begins to follow a job: whatever happens from now on is kept for the follower until it is told how the job
    /// stood, with ``Follower/begin(_:final:)``.
    func follow(job: String) -> Follower {
        state.withLock { state in
            // Those who left are forgotten when the next one comes, so there are never more than come at once.
            state.followers[job] = state.followers[job]?.filter { !$0.value.hasLeft }
            state.nextID += 1
            let id = state.nextID
            let follower = Follower(id: id) { [weak self] in self?.forget(id, of: job) }
            state.followers[job, default: [:]][id] = follower
            return follower
        }
    }

    /// Tells the followers of a job how far it is.
    func publish(_ progress: LearningProgress, of job: String) {
        publish(.progress(progress), of: job)
    }

    /// Tells the followers of a job something that is not its end.
    func publish(_ event: LearningEvent, of job: String) {
        for follower in followers(of: job) { follower.progress(event) }
    }

    /// Tells the followers of a job how it ended.
    func finish(_ job: String, with event: LearningEvent) {
        let ended = state.withLock { $0.followers.removeValue(forKey: job) }
        for follower in ended?.values.sorted(by: { $0.id < $1.id }) ?? [] { follower.finish(event) }
    }

    private func followers(of job: String) -> [Follower] {
        state.withLock { $0.followers[job].map { Array($0.values) } ?? [] }
    }

    private func forget(_ id: Int, of job: String) {
        state.withLock { state in
            state.followers[job]?[id] = nil
            if state.followers[job]?.isEmpty == true { state.followers[job] = nil }
        }
    }
}

/// One who follows a job.
final class Follower: Sendable {
    private struct State {
        var hasBegun = false
        var final: LearningEvent?
        var hasEnded = false
    }

    /// Events held for a follower that is behind.
    private static let capacity = 32

    fileprivate let id: Int
    private let channel: EventChannel<LearningEvent>
    private let forget: @Sendable () -> Void
    private let state = Mutex(State())

    fileprivate init(id: Int, forget: @escaping @Sendable () -> Void) {
        self.id = id
        self.forget = forget
        channel = EventChannel(capacity: Self.capacity)
    }

    /// What the follower reads. Call once.
    func makeStream() -> EventStream<LearningEvent> { channel.makeStream() }

    fileprivate var hasLeft: Bool { channel.isAbandoned }

    /// The job will not be followed after all.
    func leave() { forget() }

    /// The first event, and whatever came while nobody knew how the job stood.
    ///
    /// - Parameter final: how the job had ended before it was followed; nil if it had not.
    func begin(_ job: JobRecord, final: LearningEvent?) {
        _ = channel.offer(.accepted(job))
        let end = state.withLock { state in
            state.hasBegun = true
            return state.final ?? final
        }
        if let end { finish(end) }
    }

    fileprivate func progress(_ event: LearningEvent) {
        guard state.withLock({ $0.hasBegun && !$0.hasEnded }) else { return }
        if channel.offer(event) == .closed { forget() }
    }

    fileprivate func finish(_ event: LearningEvent) {
        let isDue = state.withLock { state in
            guard state.hasBegun, !state.hasEnded else {
                state.final = state.final ?? event
                return false
            }
            state.hasEnded = true
            return true
        }
        guard isDue else { return }
        forget()
        // A full channel must not cost the follower the end of the story, nor the learner its time.
        Task { [channel] in
            try? await channel.send(event)
            channel.finish()
        }
    }
}
