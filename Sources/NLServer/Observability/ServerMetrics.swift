import Metrics

/// The daemon's own instruments, on a registry of its own so that two servers in one process do not mix.
struct ServerMetrics: Sendable {
    let registry: PrometheusRegistry
    let requestsActive: Meter

    init(registry: PrometheusRegistry = PrometheusRegistry()) {
        self.registry = registry
        requestsActive = Meter(label: MetricFamily.httpRequestsActive.rawValue, factory: registry)
    }

    func recordRequest(method: String, route: String, status: Int, duration: Duration) {
        // An unrouted request can carry any method word; it must not make a series.
        let method = route == "NotFound" ? "other" : method
        Counter(
            label: MetricFamily.httpRequests.rawValue,
            dimensions: [("method", method), ("route", route), ("status", String(status))], factory: registry
        ).increment()
        Timer(
            label: MetricFamily.httpRequestDuration.rawValue, dimensions: [("method", method), ("route", route)],
            factory: registry
        ).recordSeconds(duration.seconds)
    }

    func recordFirstToken(after duration: Duration) {
        Timer(label: MetricFamily.timeToFirstToken.rawValue, factory: registry).recordSeconds(duration.seconds)
    }

    func recordGeneration(_ summary: GenerationSummary) {
        countGeneration(reason: summary.reason.rawValue)
        if summary.usage.completionTokens > 1 {
            Timer(label: MetricFamily.timePerToken.rawValue, factory: registry)
                .recordSeconds(summary.timings.writing.seconds / Double(summary.usage.completionTokens))
        }
    }

    /// - Parameter reason: a finish reason, `abandoned` (the client left) or `failed`.
    func countGeneration(reason: String) {
        Counter(label: MetricFamily.generations.rawValue, dimensions: [("reason", reason)], factory: registry)
            .increment()
    }

    /// - Parameter outcome: `accepted`, `existing` or `refused`.
    func countDocumentLine(outcome: String) {
        Counter(label: MetricFamily.documentLines.rawValue, dimensions: [("outcome", outcome)], factory: registry)
            .increment()
    }

    /// Everything pushed so far, then what the engine says of itself.
    func render(_ engine: EngineStatistics, health: EngineHealth) -> String {
        var text = PrometheusText()
        registry.render(into: &text)
        engine.render(health: health, into: &text)
        return text.text
    }
}
