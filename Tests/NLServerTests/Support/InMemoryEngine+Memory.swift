import Foundation

@testable import NLServer

extension InMemoryEngine {
    // MARK: - Memory

    func levelRecords(of space: String) -> [LevelRecord] {
        let generation = generation(of: space)
        func level(_ name: String, _ owner: LevelRecord.Owner, chunk: Int) -> LevelRecord {
            LevelRecord(
                name: name, kind: name == "working" ? .selfModifyingTitans : .cms, owner: owner, adapts: ["cms"],
                chunkSize: chunk, parameterCount: 10, tokensRead: 100, pendingTokens: 3, updates: generation,
                lastUpdate: nil, deltaNorm: 0.5, relativeDrift: 0.01, lastSurprise: nil, meanSurprise: 2,
                optimizer: name == "working" ? nil : "sgd", learningRate: name == "working" ? nil : 0.1,
                nextDue: "after 13 tokens", byteCount: 40)
        }
        return [
            level("working", .session, chunk: 16), level("fast", .session, chunk: 64),
            level("medium", .space, chunk: 512), level("slow", .space, chunk: 8192),
        ]
    }

    func levels(space: String, session: String?) async throws -> LevelsReport {
        try requireSpace(space)
        if let session { try requireSession(session, in: space) }
        return LevelsReport(
            space: space, session: session, generation: generation(of: space), age: .seconds(1),
            levels: levelRecords(of: space))
    }

    func history(level name: String, space: String, page request: PageRequest) async throws -> Page<LevelHistoryEntry> {
        try requireSpace(space)
        guard let level = levelRecords(of: space).first(where: { $0.name == name }) else {
            throw EngineError.notFound(.level, id: name)
        }
        guard level.owner == .space else {
            throw EngineError.invalid(parameter: "name", message: "Level '\(name)' belongs to sessions.")
        }
        let entries = (0...generation(of: space)).reversed().map {
            LevelHistoryEntry(
                generation: $0, created: Date(), updates: $0, tokensRead: 10 * $0, deltaNorm: 0.1, relativeDrift: 0.01,
                byteCount: 40)
        }
        return try page(entries, request) { String($0.generation) }
    }

    func retention(space: String, page request: PageRequest) async throws -> RetentionReport {
        try requireSpace(space)
        let generation = generation(of: space)
        let documents = documentOrder.compactMap { documentsByID[$0] }
        let records = documents.filter { $0.space == space && $0.status == .learned }.map { document in
            RetentionRecord(
                id: document.id, tokenCount: document.tokenCount, learned: document.learned,
                losses: .init(base: 4, learned: 1, best: 1, now: document.losses.now ?? 1), measured: document.learned,
                generation: document.generations.last, isCurrent: document.generations.last == generation)
        }
        var summary = RetentionSummary()
        summary.documents = records.count
        summary.measuredNow = records.count(where: \.isCurrent)
        if let first = records.first {
            summary.averageAccuracy = RetentionRecord.score(1)
            summary.netGain = first.netGain
            summary.losses = first.losses
            summary.oldestMeasurement = records.compactMap(\.measured).min()
        }
        if records.count > 1 { (summary.backwardTransfer, summary.forgetting) = (0, 0) }
        return RetentionReport(
            space: space, generation: generation, summary: summary, documents: try page(records, request, id: \.id))
    }

    func consolidate(space: String) async throws -> JobRecord {
        try requireRunning()
        try requireWritable("consolidate")
        try requireSpace(space)
        let generation = generation(of: space)
        guard generation > 0 else {
            throw EngineError.conflict(code: "nothing_to_consolidate", message: "Nothing has been learned yet.")
        }
        let record = ConsolidationRecord(
            id: newID("con"), jobID: newID("job"), space: space, trigger: .manual, started: Date(), finished: Date(),
            verdict: .adopted, reason: "anchors 0.1 % worse, bound is 2 %", anchorLossBefore: 3, anchorLossAfter: 3.003,
            documentLossBefore: 1, documentLossAfter: 0.9, anchorBound: 0.02, documentCount: 1, tokens: 100,
            generationBefore: generation, generationAfter: generation + 1)
        spacesByID[space]?.generation += 1
        let job = JobRecord(
            id: record.jobID, kind: .consolidate, status: .adopted, space: space, consolidationID: record.id,
            progress: 1,
            created: Date(), started: Date(), finished: Date(), generation: generation + 1)
        consolidationRecords.insert(record, at: 0)
        jobsByID[job.id] = job
        jobOrder.append(job.id)
        return job
    }

    func consolidations(space: String, page request: PageRequest) async throws -> Page<ConsolidationRecord> {
        try requireSpace(space)
        return try page(consolidationRecords.filter { $0.space == space }, request, id: \.id)
    }

    /// Knows two schedules, an hour and three documents.
    func consolidationForecast(space: String) async throws -> ConsolidationForecast {
        try requireSpace(space)
        let last = consolidationRecords.first { $0.space == space }?.finished ?? .distantPast
        let waiting = documentsByID.values.count { $0.space == space && $0.learned ?? .distantPast > last }
        return ConsolidationForecast(
            documentsWaiting: waiting, documentsUntried: waiting,
            schedules: [
                .init(trigger: .schedule, setting: "3600s", due: waiting > 0 ? Date() + 3600 : nil),
                .init(trigger: .mediumFull, setting: "3 documents", due: waiting >= 3 ? Date() : nil),
            ])
    }

    func consolidation(_ id: String) async throws -> ConsolidationRecord {
        guard let record = consolidationRecords.first(where: { $0.id == id }) else {
            throw EngineError.notFound(.consolidation, id: id)
        }
        return record
    }

    // MARK: - Sessions

    func createSession(_ creation: SessionCreation) async throws -> SessionRecord {
        try requireRunning()
        try requireWritable("create a session")
        try requireSpace(creation.space)
        return try add(
            SessionRecord(
                id: creation.id ?? newID("ses"), space: creation.space, created: Date(), lastUsed: Date(),
                tokenCount: 0,
                fastUpdates: 0, generation: generation(of: creation.space), isInUse: false, byteCount: 0))
    }

    func add(_ session: SessionRecord) throws -> SessionRecord {
        guard sessionsByID[session.id] == nil else {
            throw EngineError.conflict(code: "session_exists", message: "Session '\(session.id)' exists already.")
        }
        guard sessionsByID.count < behaviour.maxSessions else {
            throw EngineError.overloaded(queue: "session table", retryAfter: .seconds(60))
        }
        sessionsByID[session.id] = session
        sessionOrder.append(session.id)
        return session
    }

    func sessions(space: String, page request: PageRequest) async throws -> Page<SessionRecord> {
        try requireSpace(space)
        return try page(
            sessionOrder.compactMap { sessionsByID[$0] }.filter { $0.space == space }, request, id: \.id)
    }

    func session(_ id: String) async throws -> SessionRecord { try find(sessionsByID, id, .session) }

    func forkSession(_ id: String, as newID: String?) async throws -> SessionRecord {
        try requireWritable("fork a session")
        var session = try find(sessionsByID, id, .session)
        guard !session.isInUse else { throw EngineError.sessionInUse(id: id) }
        (session.id, session.parent) = (newID ?? self.newID("ses"), id)
        return try add(session)
    }

    func deleteSession(_ id: String) async throws {
        try requireWritable("delete a session")
        guard try !find(sessionsByID, id, .session).isInUse else { throw EngineError.sessionInUse(id: id) }
        sessionsByID[id] = nil
        sessionOrder.removeAll { $0 == id }
    }
}
