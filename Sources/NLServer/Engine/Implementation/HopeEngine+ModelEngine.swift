import Foundation
import NLCore
import Store

/// Reading and sessions are the serving side's, learning is the journal's; lists come from the database.
extension HopeEngine: ModelEngine {
    func models() async throws -> [ModelDescription] { [try running().context.modelDescription] }

    // MARK: - Serving

    func generate(_ request: GenerationRequest) async throws -> EventStream<GenerationEvent> {
        try await running().serving.generate(request)
    }

    func score(_ request: ScoreRequest) async throws -> ScoreResult { try await running().serving.score(request) }

    func createSession(_ creation: SessionCreation) async throws -> SessionRecord {
        try await running().serving.createSession(creation)
    }

    func sessions(space: String, page: PageRequest) async throws -> Page<SessionRecord> {
        try await running().serving.sessions(space: space, page: page)
    }

    func session(_ id: String) async throws -> SessionRecord { try await running().serving.session(id) }

    func forkSession(_ id: String, as newID: String?) async throws -> SessionRecord {
        try await running().serving.forkSession(id, as: newID)
    }

    func deleteSession(_ id: String) async throws { try await running().serving.deleteSession(id) }

    // MARK: - Learning

    func acceptDocument(_ submission: DocumentSubmission) async throws -> DocumentAcceptance {
        try await running().context.journal.accept(submission)
    }

    func documents(space: String, page: PageRequest) async throws -> Page<DocumentRecord> {
        try await read { try $0.documentList(space: space, page: page) }
    }

    func document(_ id: String, space: String) async throws -> DocumentRecord {
        try await read { reader in
            try reader.requireKnown(space)
            guard let record = try reader.document(space: space, id: id) else {
                throw EngineError.notFound(.document, id: id)
            }
            return try reader.withJob(record)
        }
    }

    func forgetDocument(
        _ id: String, space: String, keeping: Set<DocumentHolder>
    ) async throws -> ForgetReceipt {
        try await running().context.journal.forget(id, space: space, keeping: keeping)
    }

    func forgetReceipt(_ document: String, space: String) async throws -> ForgetReceipt? {
        try await running().context.journal.forgetReceipt(document, space: space)
    }

    func follow(job id: String) async throws -> EventStream<LearningEvent> {
        try await running().context.journal.follow(id)
    }

    func jobs(space: String, status: JobRecord.Status?, page: PageRequest) async throws -> Page<JobRecord> {
        try await read { try $0.jobList(space: space, status: status, page: page) }
    }

    func job(_ id: String) async throws -> JobRecord { try await running().context.journal.job(id) }

    func cancelJob(_ id: String) async throws -> JobRecord { try await running().context.journal.cancel(id) }

    // MARK: - Memory

    func levels(space name: String, session: String?) async throws -> LevelsReport {
        let running = try running()
        let context = running.context
        let space = try context.spaces.current(name)
        let own =
            if let session {
                try await running.serving.sessionLevels(session, in: space)
            } else {
                context.reporter.freshSession()
            }
        return LevelsReport(
            space: name, session: session, generation: space.generation,
            age: .seconds(max(-space.published.timeIntervalSinceNow, 0)), levels: own + context.levels(of: space))
    }

    func history(level: String, space: String, page: PageRequest) async throws -> Page<LevelHistoryEntry> {
        let context = try running().context
        guard let definition = context.model.levels.first(where: { $0.name == level }) else {
            if level == "working" { throw EngineError.ownedBySessions(level) }
            throw EngineError.notFound(.level, id: level)
        }
        if definition.role == .reading { throw EngineError.ownedBySessions(level) }
        return try await read { try $0.levelHistoryList(level: level, space: space, page: page) }
    }

    func retention(space: String, page: PageRequest) async throws -> RetentionReport {
        try await read { try $0.retentionReport(space: space, page: page) }
    }

    func consolidate(space: String) async throws -> JobRecord {
        try await running().context.journal.consolidate(space: space)
    }

    func consolidations(space: String, page: PageRequest) async throws -> Page<ConsolidationRecord> {
        try await read { try $0.consolidationList(space: space, page: page) }
    }

    func consolidationForecast(space: String) async throws -> ConsolidationForecast {
        let context = try running().context
        _ = try context.spaces.current(space)
        return context.journal.forecast(of: space, priority: context.priority)
    }

    func consolidation(_ id: String) async throws -> ConsolidationRecord {
        try await read { reader in
            guard let job = try reader.job(id), job.kind == .consolidate else {
                throw EngineError.notFound(.consolidation, id: id)
            }
            return try reader.consolidation(job: id, space: job.space) ?? ConsolidationRecord(unfinished: job)
        }
    }

    private func read<Value: Sendable>(
        _ body: @escaping @Sendable (StoreReader) throws -> Value
    ) async throws -> Value {
        try await running().context.database { try $0.read(body) }
    }
}

extension EngineContext {
    /// The levels a space owns, and the base, as they stand.
    func levels(of space: PublishedSpace) -> [LevelRecord] {
        reporter.space(space, consolidation: journal.nextConsolidation(of: space.name, priority: priority))
    }
}

extension EngineError {
    fileprivate static func ownedBySessions(_ level: String) -> EngineError {
        .invalid(
            parameter: "name", message: "Level '\(level)' belongs to sessions; it has no history of generations.")
    }
}
