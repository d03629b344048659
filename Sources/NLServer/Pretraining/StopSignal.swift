import Glibc
import Synchronization

/// Whether SIGINT or SIGTERM has asked the process to stop. The first one asks; a second one ends the process.
///
/// Listening begins with the first question, so a signal before there is anything to finish just ends the process.
enum StopSignal {
    private static let raised = Atomic(false)

    static var isRaised: Bool {
        _ = isListening
        return raised.load(ordering: .relaxed)
    }

    private static let isListening: Bool = {
        // A handler may only touch what exists already: this makes the flag.
        raised.store(false, ordering: .relaxed)
        for signal in [SIGINT, SIGTERM] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in StopSignal.raise() }
            action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_RESTART
            sigaction(signal, &action, nil)
        }
        return true
    }()

    private static func raise() { raised.store(true, ordering: .relaxed) }
}
