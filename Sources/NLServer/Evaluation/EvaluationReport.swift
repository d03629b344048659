import Foundation
import NIOCore
import Synchronization

/// What an evaluation found, and everything needed to find it again.
struct EvaluationReport: Encodable, Sendable {
    /// One line of the table.
    struct Row: Encodable, Sendable {
        /// When it was scored.
        enum Stage: String, Encodable, Sendable {
            /// Before anything was learned.
            case untouched
            /// After learning and a restart.
            case learned
            /// After a consolidation and another restart.
            case consolidated
        }

        var row: String
        var stage: Stage
        /// Documents learned.
        var documents: Int
        var tasks: Int?
        /// Of the suite; shares are of 1, losses in nats a token.
        var figures: [String: Double]
        /// Cases behind the shares among the figures.
        var cases: Int
        /// Lower triangular: row i after task i.
        var retention: [[Double]]?
        var standing: Standing
        var learning: Learning?
        /// The last consolidation before this was scored.
        var consolidation: Consolidation?
        /// Whether the daemon was killed and started again before scoring.
        var restarted: Bool
    }

    /// What the memory is, beside what it knows.
    struct Standing: Encodable, Sendable {
        var fingerprint: String
        /// Mean loss on the anchors, nats a token.
        var anchorsLoss: Double?
        /// Of each level the space owns: ‖Δθ‖ and ‖Δθ‖ ÷ ‖θ‖ over the same tensors.
        var deltaNorm: [String: Double]
        var relativeDrift: [String: Double]
    }

    struct Learning: Encodable, Sendable {
        var secondsPerDocument: Double
        /// Jobs that ended as learned, and of those that reached their target.
        var learned: Int
        var targetsReached: Int
        var consolidationSeconds: Double
    }

    struct Consolidation: Encodable, Sendable {
        var verdict: String
        var reason: String?
        /// How many there were.
        var count: Int
    }

    var suite: String
    var version = ServerVersion.current
    var command: String
    var seed: UInt64
    var half: String?
    var created = Date()
    var machine = Machine.line
    var model = ""
    var parameters = 0
    /// False if the evaluation was stopped before its end.
    var isComplete = false
    var rows: [Row] = []

    func json() throws -> Data {
        var data = Data(try WireJSON.encode(self).readableBytesView)
        // Read by people, and compared by machines.
        if let value = try? JSONSerialization.jsonObject(with: data) {
            data = try JSONSerialization.data(
                withJSONObject: value, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
        }
        return data + Data("\n".utf8)
    }
}

/// The machine an evaluation ran on, in one line.
enum Machine {
    static var line: String {
        let processor = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
            .split(separator: "\n").first { $0.hasPrefix("model name") }?
            .split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
        let memory = Double(ProcessInfo.processInfo.physicalMemory) / Double(1 << 30)
        #if DEBUG
            let build = "debug build"
        #else
            let build = "release build"
        #endif
        return "\(processor ?? "unknown processor"), \(ProcessInfo.processInfo.activeProcessorCount) processors, "
            + String(format: "%.0f GiB, ", memory) + build
    }
}

/// Takes rows as they come, and keeps the result file whole after each: a long evaluation that is stopped has not been
/// for nothing.
final class ReportWriter: Sendable {
    private let report: Mutex<EvaluationReport>
    private let path: String?

    init(_ report: EvaluationReport, path: String?) {
        self.report = Mutex(report)
        self.path = path
    }

    var current: EvaluationReport { report.withLock { $0 } }

    func add(_ row: EvaluationReport.Row) throws { try update { $0.rows.append(row) } }

    func update(_ body: (inout EvaluationReport) -> Void) throws {
        let report = report.withLock { report in
            body(&report)
            return report
        }
        guard let path else { return }
        do {
            try report.json().write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw EvaluationError("\(path): the result can't be written: \(error)")
        }
    }
}
