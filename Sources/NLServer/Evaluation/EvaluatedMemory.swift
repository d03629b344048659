import Foundation
import Synchronization

/// A memory under evaluation: a daemon, what it was given to learn, and when it was restarted.
final class EvaluatedMemory: Sendable {
    private struct State {
        var learned = 0
        var targetsReached = 0
        var documents = 0
        var sinceConsolidation = 0
        var learning = Duration.zero
        var consolidating = Duration.zero
        var consolidation: EvaluationReport.Consolidation?
        var isRestarted = false
    }

    let client: DaemonClient
    private let learner: LearningMethod
    private let settings: EvaluationSettings
    private let progress: EvaluationProgress
    /// Nil for a daemon that was there before.
    private let daemon: SpawnedDaemon?
    private let state = Mutex(State())

    init(
        client: DaemonClient, daemon: SpawnedDaemon?, learner: LearningMethod, settings: EvaluationSettings,
        progress: EvaluationProgress
    ) {
        self.client = client
        self.daemon = daemon
        self.learner = learner
        self.settings = settings
        self.progress = progress
    }

    /// Documents learned so far.
    var documents: Int { state.withLock { $0.documents } }

    /// Whether a consolidation at the end is due.
    var consolidatesAtEnd: Bool { learner.consolidates && settings.consolidation != .none }

    /// Has documents learned, in order, consolidating between them where that is the plan.
    func learn(_ documents: [EvaluationDocument]) async throws {
        var rest = documents[...]
        let total = self.documents + documents.count
        while !rest.isEmpty {
            var size = rest.count
            if case .every(let interval) = settings.consolidation, learner.consolidates {
                size = min(size, max(interval - state.withLock { $0.sinceConsolidation }, 1))
            }
            let batch = Array(rest.prefix(size))
            rest = rest.dropFirst(size)
            let began = ContinuousClock.now
            let before = self.documents
            let jobs = try await client.learn(batch) { [learner, progress] done in
                progress.step("\(learner.rawValue): learned", before + done, of: total)
            }
            for job in jobs where job.status != "learned" {
                progress.note("job \(job.id) ended as \(job.status): \(job.error?.message ?? "")")
            }
            state.withLock { state in
                state.learning += .now - began
                state.documents += batch.count
                state.sinceConsolidation += batch.count
                state.learned += jobs.count { $0.status == "learned" }
                state.targetsReached += jobs.count { $0.targetReached == true }
            }
            if case .every(let interval) = settings.consolidation, learner.consolidates,
                state.withLock({ $0.sinceConsolidation }) >= interval
            {
                _ = try await consolidate()
            }
        }
    }

    /// Consolidates now.
    ///
    /// - Returns: whether there was anything to consolidate.
    @discardableResult
    func consolidate() async throws -> Bool {
        guard state.withLock({ $0.sinceConsolidation }) > 0 else { return false }
        progress.note("\(learner.rawValue): consolidating")
        let began = ContinuousClock.now
        guard let result = try await client.consolidate() else { return false }
        state.withLock { state in
            state.consolidating += .now - began
            state.sinceConsolidation = 0
            state.consolidation = EvaluationReport.Consolidation(
                verdict: result.verdict, reason: result.reason, count: (state.consolidation?.count ?? 0) + 1)
        }
        return true
    }

    /// Kills the daemon and starts it again; a daemon that was there before goes on.
    func restart() async throws {
        guard let daemon else { return }
        await daemon.kill()
        try await daemon.start()
        state.withLock { $0.isRestarted = true }
    }

    /// The memory as it stands, for a row of the report.
    func standing() async throws -> EvaluationReport.Standing {
        var loss: Double?
        if !settings.anchors.isEmpty {
            let scores = try await client.map(
                settings.anchors, parallel: settings.parallel, report: { _ in }, { try await $0.score($1) })
            let tokens = scores.reduce(0) { $0 + $1.tokenCount }
            loss = scores.reduce(0) { $0 + $1.loss * Double($1.tokenCount) } / Double(tokens)
        }
        let levels = try await client.levels()
        return EvaluationReport.Standing(
            fingerprint: try await client.model().fingerprint, anchorsLoss: loss,
            deltaNorm: Dictionary(uniqueKeysWithValues: levels.map { ($0.name, $0.deltaNorm) }),
            relativeDrift: Dictionary(uniqueKeysWithValues: levels.map { ($0.name, $0.relativeDrift) }))
    }

    /// A row of the report for what was scored now.
    func row(
        _ row: EvaluationRow, _ stage: EvaluationReport.Row.Stage, figures: [String: Double], cases: Int,
        standing: EvaluationReport.Standing
    ) -> EvaluationReport.Row {
        state.withLock { state in
            let learning = EvaluationReport.Learning(
                secondsPerDocument: state.learning / .seconds(max(state.documents, 1)), learned: state.learned,
                targetsReached: state.targetsReached, consolidationSeconds: state.consolidating / .seconds(1))
            var result = EvaluationReport.Row(
                row: row.rawValue, stage: stage, documents: state.documents,
                figures: figures.filter { $0.value.isFinite }, cases: cases, standing: standing,
                learning: state.documents == 0 ? nil : learning,
                consolidation: state.consolidation, restarted: state.isRestarted)
            // The base answers it: what the memory beside it learned says nothing about it.
            if row == .recall {
                (result.learning, result.consolidation) = (nil, nil)
                result.standing = EvaluationReport.Standing(
                    fingerprint: standing.fingerprint, anchorsLoss: nil, deltaNorm: [:], relativeDrift: [:])
            }
            return result
        }
    }
}
