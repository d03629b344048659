import ArgumentParser

/// How often a checkpoint is due: every so many steps (`500`) or minutes (`10m`).
enum CheckpointInterval: ExpressibleByArgument, Equatable, CustomStringConvertible {
    case steps(Int)
    case minutes(Double)

    init?(argument: String) {
        if let steps = Int(argument), steps > 0 {
            self = .steps(steps)
        } else if argument.hasSuffix("m"), let minutes = Double(argument.dropLast()), minutes > 0, minutes.isFinite {
            self = .minutes(minutes)
        } else {
            return nil
        }
    }

    var description: String {
        switch self {
        case .steps(let steps): "\(steps)"
        case .minutes(let minutes): "\(minutes)m"
        }
    }

    var defaultValueDescription: String { description }
}

/// When the next checkpoint is due.
struct CheckpointClock {
    private let interval: CheckpointInterval
    private var last = ContinuousClock.now

    init(_ interval: CheckpointInterval) { self.interval = interval }

    /// Whether one is due after this step; asking begins the next interval if so.
    mutating func isDue(after step: Int) -> Bool {
        switch interval {
        case .steps(let steps): return step % steps == 0
        case .minutes(let minutes):
            guard last.duration(to: .now) >= .seconds(minutes * 60) else { return false }
            last = .now
            return true
        }
    }
}
