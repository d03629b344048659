import Foundation

/// The rows of a report as a Markdown table; columns that no row fills are left out.
struct EvaluationTable {
    let report: EvaluationReport

    /// Figures in the order of their columns, and how they are written.
    static let figures: [(key: String, title: String)] = [
        ("reliability", "reliability"), ("generalization", "generalization"),
        ("generalization_said", "answer said"), ("locality", "locality"),
        ("exact", "exact"), ("containment", "containment"), ("rouge_l", "ROUGE-L"), ("accuracy", "accuracy"),
        ("learned_loss", "loss learned"), ("learned_change", "change"),
        ("others_loss", "loss others"), ("others_change", "change others"),
        ("acc", "ACC"), ("bwt", "BWT"), ("forgetting", "forgetting"), ("net_gain", "net gain"),
    ]

    var markdown: String {
        let columns = columns.filter { column in report.rows.contains { column.value($0) != nil } }
        let lines =
            [columns.map(\.title), columns.map { $0.isText ? "---" : "---:" }]
            + report.rows.map { row in columns.map { $0.value(row) ?? "–" } }
        let table = lines.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
        let half = report.half.map { ", half \($0)" } ?? ""
        return """
            **\(report.suite)**\(report.isComplete ? "" : " (stopped before its end)"), nlserver \(report.version), \
            seed \(report.seed)\(half); model \(report.model), fingerprint \
            \(report.rows.first?.standing.fingerprint.prefix(12) ?? "–"); \(report.machine)

                \(report.command)

            \(table)

            """
    }

    private struct Column {
        var title: String
        var isText = false
        var value: (EvaluationReport.Row) -> String?
    }

    private var columns: [Column] {
        let levels = report.rows.flatMap { $0.standing.deltaNorm.keys }.uniqued().sorted()
        let base = report.rows.first { $0.stage == .untouched }?.standing.anchorsLoss
        var columns: [Column] = [
            Column(title: "row", isText: true) { $0.row },
            Column(title: "stage", isText: true) { $0.stage.rawValue },
            Column(title: "T") { "\($0.documents)" },
            Column(title: "tasks") { $0.tasks.map(String.init) },
        ]
        columns += Self.figures.map { key, title in Column(title: title) { $0.figures[key].map { Self.number($0) } } }
        columns += [
            Column(title: "anchors' loss") { $0.standing.anchorsLoss.map { Self.number($0) } },
            Column(title: "change") { row in
                guard let base, let now = row.standing.anchorsLoss, row.stage != .untouched else { return nil }
                return String(format: "%+.1f %%", (now / base - 1) * 100)
            },
            Column(title: "s/document") { $0.learning.map { Self.number($0.secondsPerDocument) } },
            Column(title: "targets reached") { $0.learning.map { "\($0.targetsReached)/\($0.learned)" } },
        ]
        columns += levels.map { level in
            Column(title: "‖Δθ‖ \(level)") { $0.standing.deltaNorm[level].map { Self.number($0) } }
        }
        columns.append(
            Column(title: "consolidation", isText: true) { row in
                row.consolidation.map { $0.count > 1 ? "\($0.verdict) (last of \($0.count))" : $0.verdict }
            })
        return columns
    }

    private static func number(_ value: Double) -> String { value.isFinite ? String(format: "%.3f", value) : "–" }
}
