import Foundation
import Glibc
import Synchronization

/// Says how far an evaluation is, on standard error: one line that changes on a terminal, a line now and then elsewhere.
final class EvaluationProgress: Sendable {
    private struct State {
        var lastShown: ContinuousClock.Instant?
        var isLineOpen = false
    }

    private static let width = 24
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let isQuiet: Bool
    private let state = Mutex(State())

    init(isQuiet: Bool = false) { self.isQuiet = isQuiet }

    /// A message on a line of its own.
    func note(_ message: String) {
        state.withLock { state in
            write((state.isLineOpen ? "\r\u{1B}[K" : "") + message + "\n")
            state.isLineOpen = false
        }
    }

    /// `done` of `total` parts of some work.
    func step(_ work: String, _ done: Int, of total: Int) {
        state.withLock { state in
            let now = ContinuousClock.now
            let interval: Duration = isTerminal ? .milliseconds(200) : .seconds(15)
            if let last = state.lastShown, last.duration(to: now) < interval, done < total || !isTerminal { return }
            state.lastShown = now
            guard isTerminal else { return write("\(work) \(done)/\(total)\n") }
            let bar = ProgressReporter.bar(Double(done) / Double(max(total, 1)), Self.width)
            write("\r\u{1B}[K\(bar) \(work) \(done)/\(total)")
            state.isLineOpen = true
        }
    }

    private func write(_ text: String) {
        if !isQuiet { FileHandle.standardError.write(Data(text.utf8)) }
    }
}
