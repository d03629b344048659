public import Foundation
import GRDB

/// One consolidation, as its log keeps it.
public struct ConsolidationRecord: Sendable, Hashable {
    /// What the gate said.
    public enum Verdict: String, Sendable, CaseIterable {
        /// The candidate became the slow level.
        case adopted
        /// The slow level stayed as it was.
        case rejected
    }

    /// The space it was about.
    public var space: String
    /// The job that did it.
    public var job: String
    /// What asked for it: `request`, `interval`, `idle`, `fill`.
    public var trigger: String
    /// When it began.
    public var started: Date
    /// When it ended.
    public var finished: Date
    /// What the gate said.
    public var verdict: Verdict
    /// Why.
    public var reason: String
    /// Tokens it trained on.
    public var tokens: Int
    /// The generation it made; nil when rejected.
    public var generation: Int64?
    /// Losses of anchors and documents before and after.
    public var losses: JSONText

    /// One entry of the log.
    public init(
        space: String, job: String, trigger: String, started: Date, finished: Date, verdict: Verdict, reason: String,
        tokens: Int, generation: Int64?, losses: JSONText
    ) {
        self.space = space
        self.job = job
        self.trigger = trigger
        self.started = started
        self.finished = finished
        self.verdict = verdict
        self.reason = reason
        self.tokens = tokens
        self.generation = generation
        self.losses = losses
    }

    /// - Throws: ``StoreError/damaged(_:reason:)``.
    init(row: Row) throws {
        guard let verdict = Verdict(rawValue: row["verdict"]) else {
            throw StoreError.damaged(
                StoreRow("consolidation", "\(row["sequence"] as Int64)"),
                reason: "it has the unknown verdict \(row["verdict"] as String)")
        }
        self.init(
            space: row["space_id"], job: row["job_id"], trigger: row["trigger_name"],
            started: Date(timeIntervalSince1970: row["started"]),
            finished: Date(timeIntervalSince1970: row["finished"]), verdict: verdict, reason: row["reason"],
            tokens: row["tokens"], generation: row["generation"], losses: JSONText(unchecked: row["losses"]))
    }
}

extension StoreReader {
    /// A space's consolidations.
    public func consolidations(
        space: String, _ request: PageRequest = PageRequest()
    ) throws -> Page<ConsolidationRecord> {
        try page(
            of: "consolidation", where: ["space_id = ?"], arguments: [space], request: request,
            decode: ConsolidationRecord.init)
    }
}

extension StoreTransaction {
    /// Appends to the log of consolidations.
    public func appendConsolidation(_ record: ConsolidationRecord) throws {
        try on(StoreRow("consolidation", record.job)) { _ in
            try run(
                """
                INSERT INTO consolidation (space_id, job_id, trigger_name, started, finished, verdict, reason, tokens,
                    generation, losses) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    record.space, record.job, record.trigger, record.started.timeIntervalSince1970,
                    record.finished.timeIntervalSince1970, record.verdict.rawValue, record.reason, record.tokens,
                    record.generation, record.losses.text,
                ])
        }
    }
}
