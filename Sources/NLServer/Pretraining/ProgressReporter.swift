import Foundation
import Glibc

/// Shows how a run is doing: one line that updates itself on a terminal, a line every few seconds elsewhere.
final class ProgressReporter {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let totalSteps: Int
    private let tokensPerStep: Int
    private let interval: Duration
    private let log: FileHandle?
    private let begin = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?
    private var firstStep: Int?
    private var isLineOpen = false
    /// Recent steps, for a speed that follows what the machine does now.
    private var recent: [(step: Int, time: ContinuousClock.Instant)] = []

    /// - Parameters:
    ///   - interval: seconds between two lines where there is no terminal.
    ///   - log: a file that gets one JSON object a step, appended.
    init(totalSteps: Int, tokensPerStep: Int, interval: Int, log: String?) throws {
        self.totalSteps = totalSteps
        self.tokensPerStep = tokensPerStep
        self.interval = isTerminal ? .milliseconds(200) : .seconds(interval)
        guard let log else {
            self.log = nil
            return
        }
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        guard let handle = FileHandle(forWritingAtPath: log) else { throw PretrainingError("\(log): can't be written") }
        try handle.seekToEnd()
        self.log = handle
    }

    /// A message on a line of its own.
    func note(_ message: String) {
        write((isLineOpen ? "\r\u{1B}[K" : "") + message + "\n")
        isLineOpen = false
    }

    /// One step is done.
    func step(_ progress: TrainingProgress, loss: Double, learningRate: Double, gradientNorm: Double?) throws {
        let now = ContinuousClock.now
        recent.append((progress.step, now))
        if recent.count > 50 { recent.removeFirst() }
        let line = LogLine(
            step: progress.step, tokens: progress.step * tokensPerStep, loss: loss.isFinite ? loss : nil,
            learning_rate: learningRate, gradient_norm: gradientNorm, tokens_per_second: speed.map { $0.rounded() },
            held_out_bits_per_byte: progress.heldOutStep == progress.step ? progress.heldOut : nil,
            skipped: progress.skipped, seconds: seconds(begin.duration(to: now)))
        if let log {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            try log.write(contentsOf: encoder.encode(line) + Data("\n".utf8))
        }
        if let lastShown, lastShown.duration(to: now) < interval, progress.step < totalSteps { return }
        lastShown = now
        show(progress)
    }

    private struct LogLine: Encodable {
        let step: Int
        let tokens: Int
        let loss: Double?
        let learning_rate: Double
        let gradient_norm: Double?
        let tokens_per_second: Double?
        let held_out_bits_per_byte: Double?
        let skipped: Int
        let seconds: Double
    }

    private var speed: Double? {
        guard let first = recent.first, let last = recent.last, last.step > first.step else { return nil }
        return Double((last.step - first.step) * tokensPerStep) / seconds(first.time.duration(to: last.time))
    }

    private func show(_ progress: TrainingProgress) {
        var parts = [
            "step \(progress.step)/\(totalSteps)", "\(Self.short(Double(progress.step * tokensPerStep))) tokens",
            "loss \(progress.loss.map { Self.fixed($0, 3) } ?? "-")",
        ]
        if let heldOut = progress.heldOut { parts.append("held-out \(Self.fixed(heldOut, 3)) bits/byte") }
        if let speed {
            let left = Double((totalSteps - progress.step) * tokensPerStep) / speed
            parts += ["\(Self.short(speed)) tokens/s", "\(Self.time(left)) left"]
        }
        if progress.skipped > 0 { parts.append("\(progress.skipped) skipped") }
        let text = parts.joined(separator: "  ")
        guard isTerminal else { return write(text + "\n") }
        let room = Self.terminalWidth - text.count - 4
        let bar = room >= 8 ? Self.bar(Double(progress.step) / Double(max(totalSteps, 1)), min(room, 40)) + " " : ""
        write("\r\u{1B}[K" + String((bar + text).prefix(Self.terminalWidth - 1)))
        isLineOpen = true
    }

    /// Ends an open line.
    func finish() {
        if isLineOpen { write("\n") }
        isLineOpen = false
        try? log?.close()
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

    private static var terminalWidth: Int {
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 80
    }

    static func bar(_ share: Double, _ width: Int) -> String {
        let full = Int((share * Double(width)).rounded(.down))
        return "[" + String(repeating: "#", count: full) + String(repeating: "-", count: width - full) + "]"
    }

    /// 1234567 as `1.23M`.
    static func short(_ value: Double) -> String {
        if value >= 1e9 { return fixed(value / 1e9, 2) + "B" }
        if value >= 1e6 { return fixed(value / 1e6, 2) + "M" }
        if value >= 1e3 { return fixed(value / 1e3, 1) + "k" }
        return fixed(value, 0)
    }

    /// Seconds as `1:02:03` or `2:03`.
    static func time(_ seconds: Double) -> String {
        let all = Int(seconds.rounded())
        let (hours, minutes, rest) = (all / 3600, all / 60 % 60, all % 60)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
    }

    private static func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}

private func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}
