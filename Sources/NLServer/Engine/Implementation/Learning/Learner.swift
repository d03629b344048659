import Foundation
import NLCore

/// The thread that learns: the only writer of the spaces' levels.
final class Learner: Sendable {
    private let signals: LearningSignals
    private let ended = Monitor(false)

    /// Starts the thread, at a priority that lets serving go first.
    init(_ context: EngineContext, spaces: [SpaceMemory]) {
        signals = context.journal.signals
        let thread = Thread { [ended] in
            lowerPriorityOfThisThread()
            withComputeLane(.learning) {
                LearningLoop(context, spaces: spaces).run()
            }
            ended.update { $0 = true }
        }
        thread.name = "nl-learner"
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Stops at the next window and waits for the thread to end; a running job stays `running` in the journal.
    func stop() async {
        signals.stop()
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { [ended] in
                ended.wait { $0 }
                continuation.resume()
            }
        }
    }

    /// Why learning does not go on although a job runs; nil while all is well.
    var stall: String? {
        guard let time = signals.timeSinceLastStep, time > .seconds(120) else { return nil }
        return "the learner has not finished a window for \(time.components.seconds) s"
    }
}
