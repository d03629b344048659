/// One line of a result: who answers, and from what.
enum EvaluationRow: String, Sendable, CaseIterable {
    /// The model as it is in its file.
    case base
    /// What the daemon learned, as it learns by default.
    case ours
    /// The same, with passages of the journal before each prompt.
    case oursRecall = "ours_recall"
    /// The base with passages of the journal: retrieval and nothing learned.
    case recall
    /// The links of the same level fine-tuned: no slots, no rehearsal, no settling, no consolidation.
    case naive
    /// All tensors but slots fine-tuned in the same way.
    case full

    /// Which memory answers.
    var learner: LearningMethod? {
        switch self {
        case .base: nil
        case .ours, .oursRecall, .recall: .ours
        case .naive: .naive
        case .full: .full
        }
    }

    /// Whether a consolidation can change what the row answers: what was read again is as it was.
    func isScored(_ stage: EvaluationReport.Row.Stage) -> Bool { self != .recall || stage != .consolidated }

    var recallMode: RecallMode {
        switch self {
        case .oursRecall: .both
        case .recall: .journal
        case .base, .ours, .naive, .full: .weights
        }
    }
}

/// How a memory is made.
enum LearningMethod: String, Sendable, CaseIterable {
    case ours, naive, full

    /// Options of `serve` that make it so.
    var options: [String] {
        self == .ours ? [] : ["--rehearsal-share", "0", "--settling", "false"]
    }

    /// Patterns of the tensors that are stepped; nil leaves the model as it is. Slots are ours.
    var adapts: [String]? {
        switch self {
        case .ours: nil
        case .naive: ["cms"]
        case .full: ["embedding", "*gain", "*.mixer.*", "*.gate", "*.up", "*.down"]
        }
    }

    /// Consolidation, with its gate, is ours.
    var consolidates: Bool { self == .ours }
}

/// When an evaluation consolidates.
enum ConsolidationPlan: Sendable, Equatable {
    /// When everything was learned; scored before and after.
    case end
    case none
    /// After each so many documents, and at the end.
    case every(Int)

    /// `end`, `none`, `every 10`, `10`.
    init?(_ text: String) {
        let number = text.hasPrefix("every") ? text.dropFirst(5).drop { " :=".contains($0) } : text[...]
        switch text {
        case "end": self = .end
        case "none": self = .none
        default:
            guard let count = Int(number), count > 0 else { return nil }
            self = .every(count)
        }
    }
}
