import Foundation
import Logging
import NLCore
import Store
import Synchronization

extension HopeEngine {
    /// Loads the model, opens and recovers the database, starts the threads.
    static func load(_ configuration: EngineConfiguration, _ logger: Logger) throws -> Running {
        try configureCompute(configuration, logger)
        let layout = ReadingLayout(configuration.weights)
        let model = try LoadedModel(directory: configuration.modelPath, layout: layout)
        logger.info(
            "model loaded",
            metadata: [
                "model": "\(model.id)", "parameters": "\(model.base.parameterCount)",
                "anchors": "\(model.anchorFile != nil)", "fingerprint": "\(model.fingerprint)",
                "weights": "\(layout.precision.rawValue): \(layout.held.description)",
                "weight_bytes": "\(layout.held.bytes)",
            ])
        let (store, report) = try open(configuration, for: model)
        do {
            let context = makeContext(configuration, model: model, store: store, layout, logger)
            announce(report, context)
            try announceRelearning(context)
            let spaces = try loadSpaces(context)
            return try start(context, spaces: spaces)
        } catch {
            try? store.close()
            throw error
        }
    }

    private static func configureCompute(_ configuration: EngineConfiguration, _ logger: Logger) throws {
        do {
            if configuration.threads > 0 { try ComputeBudget.setThreads(configuration.threads) }
            switch configuration.backend {
            case .auto: try MatrixProduct.select(.auto)
            case .openblas: try MatrixProduct.select(.openblas)
            case .onednn: try MatrixProduct.select(.onednn)
            }
        } catch let error as ComputeBudgetError {
            throw EngineError.invalid(parameter: "threads", message: "\(error)")
        } catch let error as MatrixProductError {
            throw EngineError.invalid(parameter: "backend", message: "\(error)")
        }
        logger.info("compute", metadata: ["matrix_products": "\(MatrixProduct.description)"])
    }

    private static func open(
        _ configuration: EngineConfiguration, for model: LoadedModel
    ) throws -> (MemoryStore, RecoveryReport) {
        let path = configuration.databasePath
        do {
            return try MemoryStore.open(
                at: path, fingerprint: model.fingerprint, formerly: model.formerFingerprints,
                ifOtherModel: configuration.relearns ? .adopt : .refuse)
        } catch StoreError.otherModel(let database, let offered) {
            throw EngineError.databaseOfAnotherModel(
                path: path, expected: offered.description, found: database.description)
        } catch let error as StoreError {
            throw EngineError(error)
        }
    }

    private static func makeContext(
        _ configuration: EngineConfiguration, model: LoadedModel, store: MemoryStore, _ layout: ReadingLayout,
        _ logger: Logger
    ) -> EngineContext {
        let database = DatabaseAccess(store)
        return EngineContext(
            configuration: configuration, model: model, store: store, database: database,
            spaces: SpaceRegistry(layout),
            journal: LearningJournal(configuration, model: model, database: database), priority: ServingPriority(),
            totals: EngineTotals(), reporter: LevelReporter(model), notices: NoticeBoard(), logger: logger)
    }

    /// Publishes the newest generation of every space.
    private static func loadSpaces(_ context: EngineContext) throws -> [SpaceMemory] {
        let ids = try context.store.read { try $0.spaces().map(\.id) }
        return try ids.map { try context.load(space: $0) }
    }

    private static func start(_ context: EngineContext, spaces: [SpaceMemory]) throws -> Running {
        try context.journal.load(from: context.store)
        let serving = try Serving(context)
        context.journal.onForgottenSessions { [weak serving] in serving?.sessionsForgotten($0) }
        let learner = context.configuration.isReadOnly ? nil : Learner(context, spaces: spaces)
        return Running(context: context, serving: serving, learner: learner)
    }

    /// Tells the operator which spaces know a part of what they are said to know.
    private static func announceRelearning(_ context: EngineContext) throws {
        let jobs = try context.store.read { reader in
            try reader.spaces().compactMap { try reader.relearningJob(space: $0.id) }
        }
        let when = context.configuration.isReadOnly ? "; not while the daemon is read-only" : ""
        for job in jobs {
            context.notices.post(
                "space \"\(job.space)\" is to be learned again on this model: job \(job.id)\(when)",
                key: EngineContext.relearningKey(job.space))
        }
    }

    /// Tells the operator what opening the database found.
    private static func announce(_ report: RecoveryReport, _ context: EngineContext) {
        let (logger, notices) = (context.logger, context.notices)
        for space in report.spaces {
            for damaged in space.damaged {
                let used = space.generation.map { "generation \($0)" } ?? "the model file"
                let fact =
                    "generation \(damaged.number) of space \"\(space.space)\" was damaged (\(damaged.reason)); "
                    + "\(used) is used"
                logger.error("damaged generation", metadata: ["fact": "\(fact)"])
                notices.post(fact, key: "damaged/\(space.space)/\(damaged.number)")
            }
        }
        if let former = report.adoptedFrom {
            logger.notice(
                "the database of another model is taken over",
                metadata: [
                    "former": "\(former)", "jobs": "\(report.relearningJobs.joined(separator: ","))",
                    "sessions_ended": "\(report.droppedSessions.count)",
                ])
        }
        // Those of a former model end with it, as was asked for.
        for session in report.droppedSessions where report.adoptedFrom == nil {
            logger.error("session lost", metadata: ["session": "\(session.id)", "reason": "\(session.reason)"])
            notices.post("session \"\(session.id)\" was lost: \(session.reason)", key: "session/\(session.id)")
        }
        if !report.resumedJobs.isEmpty {
            logger.notice("jobs start again", metadata: ["jobs": "\(report.resumedJobs.joined(separator: ","))"])
            notices.post(
                "running when the process ended, and started again: \(report.resumedJobs.joined(separator: ", "))",
                key: "resumed")
        }
        if case .unknown(let reason) = context.model.chat {
            notices.post(
                "the model's chat template is not used: \(reason); chat requests are written as plain paragraphs",
                key: "chat")
        }
        if context.model.anchorFile == nil {
            notices.post(
                "the model has no anchors.txt: consolidations are not held against general language", key: "anchors")
        }
    }
}
