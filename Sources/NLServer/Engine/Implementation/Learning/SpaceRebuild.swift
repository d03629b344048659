import Foundation
import NLCore
import Store

/// A space that is done again from an older generation, without documents that were deleted: in memory, until it
/// replaces the one that is served.
///
/// Events keep their order and their settings. Their seeds derive from their content and from their place among the
/// events that are left, as they would have if the deleted documents had never been there.
struct SpaceRebuild {
    /// A document that was learned or measured again.
    struct Document {
        /// Set where it was learned again.
        var learned: (baseLoss: Double, loss: Double, targetReached: Bool)?
        /// Losses in the order they were measured.
        var measured: [Double] = []
        /// Whether the last of them is by the levels as they are now.
        var isCurrent = false
        /// Whether it is part of a consolidation that was adopted.
        var isConsolidated = false
    }

    /// A consolidation that was done again.
    struct Consolidated {
        let job: String
        let outcome: Consolidation.Outcome
        let detail: ConsolidationDetail

        /// What the log of consolidations says of it from now on.
        ///
        /// - Parameter generation: the one it is part of.
        func record(space: String, generation: Int64) throws -> Store.ConsolidationRecord {
            Store.ConsolidationRecord(
                space: space, job: job, trigger: "", started: .now, finished: .now,
                verdict: outcome.isAdopted ? .adopted : .rejected, reason: outcome.reason, tokens: outcome.tokens,
                generation: outcome.isAdopted ? generation : nil, losses: try JSONText(encoding: detail))
        }
    }

    /// What it began from.
    let start: SpaceMemory
    /// Events to be done again.
    let events: [EventRecord]
    /// The space as far as it is done.
    var space: SpaceMemory
    var replayed = 0
    /// Events as they must stand in the log from now on.
    var rewritten: [(sequence: Int64, payload: JSONText, seed: UInt64)] = []
    var documents: [String: Document] = [:]
    var consolidated: [Consolidated] = []
    /// Why the result is not exact.
    var faults: [String] = []

    init(from start: SpaceMemory, events: [EventRecord]) {
        self.start = start
        self.events = events
        space = start
    }

    /// Takes the levels after an event.
    mutating func advance(to levels: SpaceLevels, after event: EventRecord) {
        space.levels = levels
        space.event = event.sequence
        for id in documents.keys { documents[id]?.isCurrent = false }
    }

    /// Notes a loss by the levels as they are now.
    mutating func measured(_ loss: Double, of document: String) {
        documents[document, default: Document()].measured.append(loss)
        documents[document]?.isCurrent = true
    }
}

extension SpaceRebuild {
    /// Writes what was found out about documents, events and consolidations.
    ///
    /// - Parameter generation: the one these levels have become.
    func write(to transaction: StoreTransaction, as generation: Store.GenerationRecord) throws {
        let name = space.name
        for event in rewritten {
            try transaction.rewriteEvent(
                space: name, sequence: event.sequence, payload: event.payload, seed: event.seed)
        }
        for (id, document) in documents {
            if let learned = document.learned {
                try transaction.relearnDocument(
                    space: name, id: id, losses: DocumentLosses(base: learned.baseLoss, learned: learned.loss),
                    isTargetReached: learned.targetReached, generation: generation.number)
            }
            for (index, loss) in document.measured.enumerated() {
                let isLast = index == document.measured.count - 1
                try transaction.recordMeasurement(
                    space: name, document: id, loss: loss,
                    generation: isLast && document.isCurrent ? generation.number : nil,
                    isFirst: index == 0 && document.learned != nil)
            }
            // One that was deleted meanwhile has made its own rebuild due.
            if document.isConsolidated, try transaction.document(space: name, id: id) != nil {
                try transaction.updateDocument(space: name, id: id, generation: generation.number)
            }
        }
        for done in consolidated {
            try transaction.rewriteConsolidation(try done.record(space: name, generation: generation.number))
        }
    }
}

/// Tells the world how far a rebuild is: its followers at every window, its row at most twice a second and at each
/// event.
struct RebuildProgress {
    private let job: Store.JobRecord
    private let loop: LearningLoop
    private var lastWrite = ContinuousClock.now
    private var lastReplayed = -1
    /// A job that starts again has said more already; its progress never falls.
    private var floor: Double

    init(_ job: Store.JobRecord, loop: LearningLoop) {
        self.job = job
        self.loop = loop
        floor = job.progress
    }

    /// - Parameter fraction: how far the event after those done is.
    mutating func report(replayed: Int, of events: Int, fraction: Double) {
        floor = max(floor, (Double(replayed) + fraction) / Double(max(events, 1)))
        let progress = ReplayProgress(replayed: replayed, events: events, progress: floor)
        loop.context.journal.events.publish(.replaying(progress), of: job.id)
        guard replayed != lastReplayed || lastWrite.duration(to: .now) >= JobProgress.interval else { return }
        (lastWrite, lastReplayed) = (.now, replayed)
        // Only for those who look: a row that could not be written costs nothing, the next one may be.
        try? loop.context.store.transaction { transaction in
            var detail = try job.detail.decoded(as: JobDetail.self)
            (detail.replayed, detail.events) = (replayed, events)
            try transaction.updateJob(job.id, progress: floor, detail: try JSONText(encoding: detail))
        }
    }
}
