import Foundation

/// What an evaluation does: the options of `nlserver eval`, checked.
struct EvaluationSettings: Sendable {
    enum Suite: String, Sendable, CaseIterable {
        case counterfact, zsre, tofu, articles
        case squad = "squad-closed-book"
        case squadArticles = "squad-articles"
        case clinc150, banking77
    }

    var suite: Suite
    var rows: [EvaluationRow] = [.base, .ours]
    var files = EvaluationFiles()
    var selection = CaseSelection()
    /// How many documents are learned before scoring, each on a memory of its own.
    var counts = [1, 10, 100, 1000]
    var sizes = TaskSizes(perTask: 400, sample: 20)
    /// Articles learned, and others watched: places in the set.
    var learned = 0..<20
    var others = 20..<40
    var characters = 4000
    var consolidation = ConsolidationPlan.end
    /// General text whose loss is watched, in pieces.
    var anchors: [String] = []
    /// Requests at the same time.
    var parallel = 4
    /// Step size of the row `full`; nil: that of the model's medium level.
    var fullLearningRate: Double?
    /// Further options of `serve`, for every row.
    var daemonOptions: [String] = []

    /// Rows that learn, grouped by the memory that answers them, in order.
    var learners: [(learner: LearningMethod, rows: [EvaluationRow])] {
        LearningMethod.allCases.compactMap { learner in
            let own = rows.filter { $0.learner == learner }
            return own.isEmpty ? nil : (learner, own)
        }
    }
}

/// `0-19`, both ends included.
func placeRange(_ text: String) -> Range<Int>? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    guard ends.count == 2, let first = ends[0], let last = ends[1], first >= 0, last >= first else { return nil }
    return first..<last + 1
}
