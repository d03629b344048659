/// Lets serving go first: the serving side says when it is at work, the learner asks between two windows.
///
/// This only shapes time. What is learned is the same bits whether and for how long the learner waits.
final class ServingPriority: Sendable {
    private struct State {
        var requests = 0
        var lastRequest = ContinuousClock.now
    }

    private let state = Monitor(State())

    /// A request (a generation or a scoring) has been taken in. Pair with ``requestEnded()``.
    func requestBegan() {
        state.update {
            $0.requests += 1
            $0.lastRequest = .now
        }
    }

    /// A request has ended, however it ended.
    func requestEnded() {
        state.update {
            $0.requests -= 1
            $0.lastRequest = .now
        }
    }

    /// Requests being served or waiting to be.
    var activeRequests: Int { state.withLock { $0.requests } }

    /// When a request began or ended last; the process's start if none has. What "idle" is counted from.
    var lastRequest: ContinuousClock.Instant { state.withLock { $0.requests > 0 ? .now : $0.lastRequest } }

    /// The learner's turn-taking: returns when nobody is being served, or after `patience`, so that learning goes on
    /// under steady load too.
    func waitForServing(atMost patience: Duration) {
        let deadline = ContinuousClock.now + patience
        state.wait(until: deadline) { $0.requests == 0 }
    }
}
