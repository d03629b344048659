import Foundation
import Logging
import NLCore
import Store
import Synchronization

/// The engine of the daemon: a Hope model that is served and keeps learning.
///
/// A facade. Three parts work behind it, each with its own thread or queue, and share an ``EngineContext``: the
/// serving side (``Serving``) reads published generations, the learner (``Learner``) makes them, the journal
/// (``LearningJournal``) takes documents in.
final class HopeEngine: Sendable {
    /// What exists while the engine runs.
    struct Running: Sendable {
        let context: EngineContext
        let serving: Serving
        /// None in read-only mode.
        let learner: Learner?
    }

    private struct State {
        var phase = EngineHealth.Phase.starting
        var running: Running?
        var failure: String?
    }

    private let configuration: EngineConfiguration
    private let logger: Logger
    private let state = Mutex(State())

    /// Does nothing yet: ``start()`` loads.
    init(configuration: EngineConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// The running parts.
    ///
    /// - Throws: ``EngineError/unavailable(reason:retryAfter:)`` before and after.
    func running() throws(EngineError) -> Running {
        let (phase, running) = state.withLock { ($0.phase, $0.running) }
        if let running, phase == .running || phase == .draining { return running }
        let reason =
            switch phase {
            case .starting: "the daemon is loading its model"
            case .failed: "the daemon could not start"
            case .running, .draining, .stopped: "the daemon is shutting down"
            }
        throw .unavailable(reason: reason, retryAfter: .seconds(5))
    }

    // MARK: - Life

    func start() async throws {
        do {
            // Loading takes seconds of disk and processor: on a thread of its own.
            let running = try await withCheckedThrowingContinuation { continuation in
                DispatchQueue.global().async { [configuration, logger] in
                    continuation.resume(with: Result { try Self.load(configuration, logger) })
                }
            }
            let isWanted = state.withLock { state in
                guard state.phase == .starting else { return false }
                state.running = running
                state.phase = .running
                return true
            }
            // Told to stop while loading.
            if !isWanted {
                await Self.stop(running, logger)
                throw CancellationError()
            }
        } catch {
            state.withLock {
                if $0.phase == .starting { $0.phase = .failed }
                $0.failure = "\(error)"
            }
            throw error
        }
    }

    func beginDraining() {
        let running = state.withLock { state in
            if state.phase == .running { state.phase = .draining }
            return state.running
        }
        running?.serving.beginDraining()
        running?.context.journal.beginDraining()
    }

    func shutdown() async {
        beginDraining()
        let running = state.withLock { state in
            defer { (state.running, state.phase) = (nil, state.phase == .failed ? .failed : .stopped) }
            return state.running
        }
        if let running { await Self.stop(running, logger) }
    }

    private static func stop(_ running: Running, _ logger: Logger) async {
        await running.serving.shutdown()
        await running.learner?.stop()
        do {
            try await running.context.database { try $0.close() }
        } catch {
            // Every commit was synced when it was made; what is missing is tidying up.
            logger.error("the database was not closed in order", metadata: ["error": "\(error)"])
        }
    }

    // MARK: - Standing

    func health() -> EngineHealth {
        let (phase, running, failure) = state.withLock { ($0.phase, $0.running, $0.failure) }
        var health = EngineHealth(phase: phase)
        health.notices = (running?.context.notices.texts ?? []) + [failure].compactMap(\.self)
        health.stalls = (running?.serving.stalls() ?? []) + [running?.learner?.stall].compactMap(\.self)
        return health
    }

    func statistics() async -> EngineStatistics {
        guard let running = state.withLock({ $0.running }) else { return EngineStatistics() }
        let context = running.context
        let serving = running.serving.statistics()
        let learning = context.journal.signals.counts
        let totals = context.totals.now
        var statistics = EngineStatistics()
        statistics.generationsQueued = serving.queued
        statistics.generationsRunning = serving.running
        statistics.sessionsStored = serving.sessionsStored
        statistics.sessionsInUse = serving.sessionsInUse
        statistics.learningJobsQueued = learning.queued
        statistics.learningJobsRunning = learning.running
        statistics.spacesStored = context.spaces.names.count
        statistics.documentsStored = context.journal.documentsStored
        statistics.promptTokensTotal = totals.promptTokens
        statistics.completionTokensTotal = totals.completionTokens
        statistics.learnedTokensTotal = totals.learnedTokens
        statistics.documentsLearnedTotal = totals.documentsLearned
        statistics.documentsFailedTotal = totals.documentsFailed
        statistics.consolidationsAdoptedTotal = totals.consolidationsAdopted
        statistics.consolidationsRejectedTotal = totals.consolidationsRejected
        statistics.databaseBytes = Self.size(of: context.store.path) + Self.size(of: context.store.path + "-wal")
        if let space = try? context.spaces.current(Space.default) {
            statistics.generation = space.generation
            statistics.retention = context.journal.retention.withLock { $0[space.name] } ?? RetentionSummary()
            statistics.levels = context.reporter.freshSession() + context.levels(of: space)
        }
        return statistics
    }

    private static func size(of path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
