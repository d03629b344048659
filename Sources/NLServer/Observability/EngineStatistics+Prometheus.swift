import Foundation

extension EngineStatistics {
    /// Pulled at scrape time rather than pushed: always current, and nothing to forget.
    func render(health: EngineHealth, into text: inout PrometheusText) {
        text.family("nlserver_build_info", .gauge, help: "Always 1; its labels say what runs.")
        text.series("nlserver_build_info", [("version", ServerVersion.current)], 1)
        text.family("nlserver_ready", .gauge, help: "Whether /health/ready answers 200.")
        text.series("nlserver_ready", [], health.isReady ? 1 : 0)

        func single(_ name: String, _ kind: PrometheusText.Kind, _ help: String, _ value: Int) {
            text.family(name, kind, help: help)
            text.series(name, [], Double(value))
        }
        func split(
            _ name: String, _ kind: PrometheusText.Kind, _ help: String, by label: String, _ values: [(String, Int)]
        ) {
            text.family(name, kind, help: help)
            for (name_, value) in values { text.series(name, [(label, name_)], Double(value)) }
        }
        split(
            "nlserver_engine_generations", .gauge, "Generations waiting for a place in the batch, or in it.",
            by: "state",
            [("queued", generationsQueued), ("running", generationsRunning)])
        split(
            "nlserver_engine_jobs", .gauge, "Learning jobs, by state.", by: "state",
            [("queued", learningJobsQueued), ("running", learningJobsRunning)])
        single("nlserver_sessions", .gauge, "Sessions stored.", sessionsStored)
        single("nlserver_sessions_in_use", .gauge, "Sessions being read by a request.", sessionsInUse)
        single("nlserver_spaces", .gauge, "Spaces, 'default' included.", spacesStored)
        single("nlserver_documents", .gauge, "Documents in the journal.", documentsStored)
        split(
            "nlserver_tokens_total", .counter, "Tokens processed, by what for.", by: "kind",
            [("prompt", promptTokensTotal), ("completion", completionTokensTotal), ("learned", learnedTokensTotal)])
        split(
            "nlserver_learning_jobs_total", .counter, "Learning jobs ended, by outcome.", by: "outcome",
            [("learned", documentsLearnedTotal), ("failed", documentsFailedTotal)])
        split(
            "nlserver_consolidations_total", .counter, "Consolidations ended, by the gate's verdict.", by: "verdict",
            [("adopted", consolidationsAdoptedTotal), ("rejected", consolidationsRejectedTotal)])
        single("nlserver_database_bytes", .gauge, "Size of the database on disk.", databaseBytes)
        single("nlserver_generation", .gauge, "Newest published generation of the space 'default'.", generation)
        renderRetention(into: &text)
        renderLevels(into: &text)
    }

    private func renderRetention(into text: inout PrometheusText) {
        func figure(_ name: String, _ help: String, _ value: Double?) {
            text.family(name, .gauge, help: help + " Space 'default'.")
            if let value { text.series(name, [], value) }
        }
        let r = retention
        figure("nlserver_retention_documents", "Learned documents.", Double(r.documents))
        figure(
            "nlserver_retention_measured_documents", "Those measured by the newest generation.", Double(r.measuredNow))
        figure("nlserver_retention_accuracy_ratio", "Mean score exp(-loss) of learned documents.", r.averageAccuracy)
        figure("nlserver_retention_backward_transfer_ratio", "Mean score now less when learned.", r.backwardTransfer)
        figure("nlserver_retention_forgetting_ratio", "Mean best score before less now.", r.forgetting)
        figure("nlserver_retention_net_gain_ratio", "Mean score now less by the base.", r.netGain)
        let name = "nlserver_retention_loss_nats"
        text.family(name, .gauge, help: "Mean loss of learned documents a token, by when. Space 'default'.")
        guard let losses = r.losses else { return }
        for (when, loss) in [
            ("base", losses.base), ("learned", losses.learned), ("best", losses.best), ("now", losses.now),
        ] {
            text.series(name, [("when", when)], loss)
        }
    }

    private func renderLevels(into text: inout PrometheusText) {
        func perLevel(
            _ name: String, _ kind: PrometheusText.Kind, _ help: String, _ value: (LevelRecord) -> Double?
        ) {
            text.family(name, kind, help: help)
            for level in levels {
                guard let value = value(level) else { continue }
                text.series(name, [("level", level.name)], value)
            }
        }
        perLevel("nlserver_level_parameters", .gauge, "Scalars the level adapts.") { Double($0.parameterCount) }
        perLevel("nlserver_level_tokens_read", .gauge, "Tokens the level has read.") { Double($0.tokensRead) }
        perLevel("nlserver_level_pending_tokens", .gauge, "Tokens in the open chunk.") { Double($0.pendingTokens) }
        perLevel("nlserver_level_updates", .gauge, "Updates of the level's parameters.") { Double($0.updates) }
        perLevel("nlserver_level_delta_norm", .gauge, "L2 norm of the level's additive change.", \.deltaNorm)
        perLevel(
            "nlserver_level_relative_drift_ratio", .gauge, "That norm over the base parameters' norm.", \.relativeDrift)
        perLevel("nlserver_level_surprise_nats", .gauge, "Next-token loss over the last chunk.", \.lastSurprise)
        perLevel("nlserver_level_bytes", .gauge, "Size of the level's persisted state.") { Double($0.byteCount) }
        perLevel("nlserver_level_last_update_timestamp_seconds", .gauge, "When the level last changed.") {
            $0.lastUpdate?.timeIntervalSince1970
        }
    }
}
