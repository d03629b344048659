import Store

// Lists as the engine's callers page through them, by the id of the last item seen, over the store's cursors.

extension StoreReader {
    /// Documents of a space, oldest first.
    func documentList(space: String, page: PageRequest) throws -> Page<DocumentRecord> {
        try requireKnown(space)
        let cursor = try page.after.map { id in
            guard let last = try document(space: space, id: id) else { throw EngineError.unknownCursor(id) }
            return last.sequence
        }
        let found = try documents(space: space, .init(after: cursor, limit: page.limit, order: .oldestFirst))
        return Page(items: try found.items.map { try withJob($0) }, hasMore: found.next != nil)
    }

    /// A document with the job that learns it.
    func withJob(_ record: Store.DocumentRecord) throws -> DocumentRecord {
        DocumentRecord(record, jobID: try newestJob(space: record.space, document: record.id)?.id ?? "")
    }

    /// Jobs of a space, newest first.
    func jobList(space: String, status: JobRecord.Status?, page: PageRequest) throws -> Page<JobRecord> {
        try requireKnown(space)
        let cursor = try page.after.map { id in
            guard let last = try job(id), last.space == space else { throw EngineError.unknownCursor(id) }
            return last.sequence
        }
        let found = try jobs(
            space: space, status: status.map(JobStatus.init), .init(after: cursor, limit: page.limit))
        return Page(items: found.items.map { JobRecord($0) }, hasMore: found.next != nil)
    }

    /// Consolidations of a space, newest first: the one that runs, then the log.
    func consolidationList(space: String, page: PageRequest) throws -> Page<ConsolidationRecord> {
        try requireKnown(space)
        let all = try runningConsolidations(space: space) + consolidationLog(space: space)
        var start = 0
        if let after = page.after {
            guard let last = all.firstIndex(where: { $0.id == after }) else { throw EngineError.unknownCursor(after) }
            start = last + 1
        }
        let items = all[start...].prefix(page.limit)
        return Page(items: Array(items), hasMore: start + items.count < all.count)
    }

    /// The consolidation that a job did.
    func consolidation(job id: String, space: String) throws -> ConsolidationRecord? {
        try consolidationLog(space: space).first { $0.id == id }
    }

    /// What a level was at each generation, newest first.
    func levelHistoryList(level: String, space: String, page: PageRequest) throws -> Page<LevelHistoryEntry> {
        try requireKnown(space)
        let after = try page.after.map { text in
            guard let generation = Int64(text) else { throw EngineError.unknownCursor(text) }
            return generation
        }
        var jobs: [Int64: String] = [:]
        for record in try generations(space: space) {
            jobs[record.number] = try? record.metadata.decoded(as: GenerationCodec.Metadata.self).job
        }
        // The store keeps a bounded number of points for each level.
        let older = try levelHistory(space: space, level: level, limit: .max).reversed()
            .filter { $0.generation < after ?? .max }
        let items = older.prefix(page.limit).map { entry in
            LevelHistoryEntry(
                generation: Int(entry.generation), created: entry.at, jobID: jobs[entry.generation],
                updates: entry.updates, tokensRead: entry.tokens, deltaNorm: entry.deltaNorm,
                relativeDrift: entry.relativeDrift, meanSurprise: entry.surprise, byteCount: entry.byteCount)
        }
        return Page(items: items, hasMore: items.count < older.count)
    }

    /// - Throws: ``EngineError/notFound(_:id:)``.
    func requireKnown(_ space: String) throws {
        guard try self.space(space) != nil else { throw EngineError.notFound(.space, id: space) }
    }

    private func consolidationLog(space: String) throws -> [ConsolidationRecord] {
        var records: [ConsolidationRecord] = []
        var cursor: Int64?
        repeat {
            let page = try consolidations(space: space, .init(after: cursor, limit: 1_000))
            records += page.items.map { ConsolidationRecord($0) }
            cursor = page.next
        } while cursor != nil
        return records
    }

    private func runningConsolidations(space: String) throws -> [ConsolidationRecord] {
        try jobs(space: space, status: .running, .init(limit: 10)).items
            .filter { $0.kind == .consolidate }.map { ConsolidationRecord(unfinished: $0) }
    }
}

extension ConsolidationRecord {
    /// A consolidation without a verdict: it waits, runs, was cancelled or failed.
    init(unfinished job: Store.JobRecord) {
        let detail = try? job.detail.decoded(as: JobDetail.self)
        self.init(
            id: job.id, jobID: job.id, space: job.space,
            trigger: detail?.trigger.flatMap(Trigger.init) ?? .manual, started: job.started ?? job.created,
            finished: job.finished, verdict: nil, reason: nil, anchorLossBefore: nil, anchorLossAfter: nil,
            documentLossBefore: nil, documentLossAfter: nil, anchorBound: 0, documentCount: 0,
            tokens: detail?.learning?.tokens ?? 0, generationBefore: 0, generationAfter: nil)
    }
}

extension EngineError {
    static func unknownCursor(_ id: String) -> EngineError {
        .invalid(parameter: "after", message: "'\(id)' is not in this list.")
    }
}
