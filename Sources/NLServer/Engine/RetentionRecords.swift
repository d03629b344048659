import struct Foundation.Date
import func Foundation.exp

/// How well one document is known, beside how well it was (design §3).
///
/// A document's **score** is a = exp(−loss), the geometric mean of its tokens' probabilities: 1 is word for word, and
/// unlike a loss it can't be dominated by one document that is lost. It stands where Lopez-Paz & Ranzato 2017 and
/// Chaudhry et al. 2018 have a task's accuracy.
struct RetentionRecord: Sendable, Equatable {
    /// Mean losses in nats a token.
    struct Losses: Sendable, Equatable {
        /// By the untouched base.
        var base: Double
        /// When just learned.
        var learned: Double
        /// The lowest of all measurements before the newest, from when it was learned on.
        var best: Double
        /// Measured last.
        var now: Double
    }

    var id: String
    var tokenCount: Int
    var learned: Date?
    var losses: Losses
    /// When `now` was measured.
    var measured: Date?
    /// By which generation; `nil` where that was not kept.
    var generation: Int?
    /// Whether that is the newest generation: if not, `now` is older than the levels.
    var isCurrent: Bool

    /// a now − a when just learned.
    var backwardTransfer: Double { Self.score(losses.now) - Self.score(losses.learned) }
    /// Best a before − a now; negative where it is known better than ever before.
    var forgetting: Double { Self.score(losses.best) - Self.score(losses.now) }
    /// a now − a by the base.
    var netGain: Double { Self.score(losses.now) - Self.score(losses.base) }

    /// exp(−loss).
    static func score(_ loss: Double) -> Double { exp(-loss) }
}

/// The same over all learned documents of a space; nil where there is none to average over.
struct RetentionSummary: Sendable, Equatable {
    /// Documents that are learned and have their losses.
    var documents = 0
    /// Of those, documents measured by the newest generation.
    var measuredNow = 0
    /// ACC: mean score now over all documents.
    var averageAccuracy: Double?
    /// BWT: mean of ``RetentionRecord/backwardTransfer`` over all but the document learned last, as in Lopez-Paz & Ranzato, since
    /// nothing has come after that one.
    var backwardTransfer: Double?
    /// Mean of ``RetentionRecord/forgetting`` over all but the document learned last, as in Chaudhry et al.
    var forgetting: Double?
    /// Mean of ``RetentionRecord/netGain`` over all documents.
    var netGain: Double?
    /// Mean losses over all documents.
    var losses: RetentionRecord.Losses?
    /// The oldest of the measurements.
    var oldestMeasurement: Date?
}

/// Figures of a space, with a page of its documents.
struct RetentionReport: Sendable {
    var space: String
    var generation: Int
    var summary: RetentionSummary
    /// Oldest first.
    var documents: Page<RetentionRecord>
}
