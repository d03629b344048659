import Foundation
import Store

extension RetentionRecord {
    /// - Returns: nil for a document that has not all its losses.
    init?(_ record: Store.DocumentRecord, newest: Int64?) {
        guard let base = record.losses.base, let learned = record.losses.learned, let now = record.losses.now else {
            return nil
        }
        let measurement = record.measurement
        self.init(
            id: record.id, tokenCount: record.tokenCount, learned: record.learned,
            losses: Losses(base: base, learned: learned, best: measurement.bestLoss ?? learned, now: now),
            measured: measurement.at, generation: measurement.generation.map(Int.init),
            isCurrent: measurement.generation != nil && measurement.generation == newest)
    }
}

extension StoreReader {
    /// Retention over all documents of a space.
    func retention(space: String) throws -> RetentionSummary {
        let newest = try newestGenerationRecord(space: space)?.number
        let last = try lastLearnedDocument(space: space)
        var summary = RetentionSummary()
        var sums = RetentionSums()
        try forEachLearnedDocument(space: space) { document in
            guard let record = RetentionRecord(document, newest: newest) else { return }
            sums.add(record, isLast: record.id == last)
            summary.documents += 1
            if record.isCurrent { summary.measuredNow += 1 }
            summary.oldestMeasurement = [summary.oldestMeasurement, record.measured].compactMap(\.self).min()
        }
        sums.average(into: &summary)
        return summary
    }

    /// Retention of a space, with a page of its documents.
    func retentionReport(space: String, page: PageRequest) throws -> RetentionReport {
        guard try self.space(space) != nil else { throw EngineError.notFound(.space, id: space) }
        let cursor = try page.after.map { id in
            guard let last = try document(space: space, id: id) else { throw EngineError.unknownCursor(id) }
            return last.sequence
        }
        let newest = try newestGenerationRecord(space: space)?.number
        let found = try documents(
            space: space, status: .learned, .init(after: cursor, limit: page.limit, order: .oldestFirst))
        return RetentionReport(
            space: space, generation: Int(newest ?? 0), summary: try retention(space: space),
            documents: Page(
                items: found.items.compactMap { RetentionRecord($0, newest: newest) }, hasMore: found.next != nil))
    }
}

/// What the averages are made of.
private struct RetentionSums {
    private var documents = 0.0
    private var earlier = 0.0
    private var accuracy = 0.0
    private var backwardTransfer = 0.0
    private var forgetting = 0.0
    private var netGain = 0.0
    private var losses = RetentionRecord.Losses(base: 0, learned: 0, best: 0, now: 0)

    mutating func add(_ record: RetentionRecord, isLast: Bool) {
        documents += 1
        accuracy += RetentionRecord.score(record.losses.now)
        netGain += record.netGain
        losses.base += record.losses.base
        losses.learned += record.losses.learned
        losses.best += record.losses.best
        losses.now += record.losses.now
        guard !isLast else { return }
        earlier += 1
        backwardTransfer += record.backwardTransfer
        forgetting += record.forgetting
    }

    func average(into summary: inout RetentionSummary) {
        guard documents > 0 else { return }
        summary.averageAccuracy = accuracy / documents
        summary.netGain = netGain / documents
        summary.losses = .init(
            base: losses.base / documents, learned: losses.learned / documents, best: losses.best / documents,
            now: losses.now / documents)
        guard earlier > 0 else { return }
        summary.backwardTransfer = backwardTransfer / earlier
        summary.forgetting = forgetting / earlier
    }
}
