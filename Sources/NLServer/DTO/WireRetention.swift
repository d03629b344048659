import Foundation

/// Mean losses in nats a token.
struct WireRetentionLosses: Encodable, Sendable {
    var base: Double
    var learned: Double
    var best: Double
    var now: Double

    init(_ losses: RetentionRecord.Losses) {
        (base, learned, best, now) = (losses.base, losses.learned, losses.best, losses.now)
    }
}

/// `GET /v1/memory/retention`.
struct WireRetention: Encodable, Sendable {
    var space: String
    var generation: Int
    var documents: Int
    var measuredNow: Int
    @Nullable var accuracy: Double?
    @Nullable var backwardTransfer: Double?
    @Nullable var forgetting: Double?
    @Nullable var netGain: Double?
    @Nullable var losses: WireRetentionLosses?
    @Nullable var oldestMeasurement: Date?
    let object = "list"
    var data: [WireRetentionDocument]
    var hasMore: Bool
    @Nullable var next: String?

    init(_ report: RetentionReport) {
        space = report.space
        generation = report.generation
        documents = report.summary.documents
        measuredNow = report.summary.measuredNow
        accuracy = report.summary.averageAccuracy
        backwardTransfer = report.summary.backwardTransfer
        forgetting = report.summary.forgetting
        netGain = report.summary.netGain
        losses = report.summary.losses.map(WireRetentionLosses.init)
        oldestMeasurement = report.summary.oldestMeasurement
        let list = WireList(report.documents, cursor: \.id, WireRetentionDocument.init)
        (data, hasMore, next) = (list.data, list.hasMore, list.next)
    }
}

struct WireRetentionDocument: Encodable, Sendable {
    struct Measurement: Encodable, Sendable {
        @Nullable var at: Date?
        @Nullable var generation: Int?
        /// Whether that is the newest generation.
        var current: Bool
    }

    var id: String
    var tokens: Int
    @Nullable var learned: Date?
    /// exp(−loss) now.
    var score: Double
    var backwardTransfer: Double
    var forgetting: Double
    var netGain: Double
    var losses: WireRetentionLosses
    var measurement: Measurement

    init(_ record: RetentionRecord) {
        id = record.id
        tokens = record.tokenCount
        learned = record.learned
        score = RetentionRecord.score(record.losses.now)
        backwardTransfer = record.backwardTransfer
        forgetting = record.forgetting
        netGain = record.netGain
        losses = WireRetentionLosses(record.losses)
        measurement = Measurement(at: record.measured, generation: record.generation, current: record.isCurrent)
    }
}
