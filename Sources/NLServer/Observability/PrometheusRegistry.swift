import Metrics
import Synchronization

/// A swift-metrics backend that remembers every series and renders it as Prometheus text.
///
/// Labels arrive as full Prometheus names (`nlserver_http_requests_total`); ``MetricFamily`` says what each is.
/// A name that is not listed there is still kept and rendered, with an empty help text.
final class PrometheusRegistry: MetricsFactory, Sendable {
    struct SeriesID: Hashable, Sendable {
        var name: String
        /// Sorted, so that the order of dimensions makes no second series.
        var labels: [Label]
        struct Label: Hashable, Sendable, Comparable {
            var name: String
            var value: String
            static func < (a: Label, b: Label) -> Bool { (a.name, a.value) < (b.name, b.value) }
        }
    }

    private let series = Mutex<[SeriesID: PrometheusSeries]>([:])

    /// Every series under its family, both sorted by name.
    func render(into text: inout PrometheusText) {
        let all = series.withLock { $0 }
        for (name, members) in Dictionary(grouping: all, by: \.key.name).sorted(by: { $0.key < $1.key }) {
            guard let first = members.first else { continue }
            text.family(name, first.value.kind, help: MetricFamily(rawValue: name)?.help ?? "")
            for (id, series) in members.sorted(by: { $0.key.labels.lexicographicallyPrecedes($1.key.labels) }) {
                series.render(name: name, labels: id.labels.map { ($0.name, $0.value) }, into: &text)
            }
        }
    }

    private func find(_ label: String, _ dimensions: [(String, String)], _ kind: PrometheusText.Kind)
        -> PrometheusSeries
    {
        let id = SeriesID(name: label, labels: dimensions.map { .init(name: $0.0, value: $0.1) }.sorted())
        return series.withLock { series in
            if let known = series[id] { return known }
            let new = PrometheusSeries(kind: kind, bounds: MetricFamily(rawValue: label)?.buckets ?? [])
            series[id] = new
            return new
        }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        find(label, dimensions, .counter)
    }

    func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        find(label, dimensions, .counter)
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        find(label, dimensions, .gauge)
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        find(label, dimensions, aggregate ? .histogram : .gauge)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        find(label, dimensions, .histogram)
    }

    // Series live as long as the registry: a counter that vanished and came back would look like a restart.
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}

/// One time series. Timers record seconds, Prometheus' base unit.
final class PrometheusSeries: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    private struct State {
        var value = 0.0
        var count = 0
        /// Observations at or below each bound, not cumulative; those above all bounds are only in `count`.
        var buckets: [Int]
    }

    let kind: PrometheusText.Kind
    private let bounds: [Double]
    private let state: Mutex<State>

    init(kind: PrometheusText.Kind, bounds: [Double]) {
        self.kind = kind
        self.bounds = bounds
        state = Mutex(State(buckets: Array(repeating: 0, count: bounds.count)))
    }

    func increment(by amount: Int64) { state.withLock { $0.value += Double(amount) } }
    func increment(by amount: Double) { state.withLock { $0.value += amount } }
    func decrement(by amount: Double) { state.withLock { $0.value -= amount } }
    func set(_ value: Int64) { state.withLock { $0.value = Double(value) } }
    func set(_ value: Double) { state.withLock { $0.value = value } }
    func reset() { state.withLock { $0.value = 0 } }
    func record(_ value: Int64) { record(Double(value)) }
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) * 1e-9) }

    func record(_ value: Double) {
        guard kind == .histogram else { return set(value) }
        state.withLock { state in
            state.value += value
            state.count += 1
            if let bucket = bounds.firstIndex(where: { value <= $0 }) { state.buckets[bucket] += 1 }
        }
    }

    func render(name: String, labels: [(String, String)], into text: inout PrometheusText) {
        let state = state.withLock { $0 }
        guard kind == .histogram else { return text.series(name, labels, state.value) }
        var cumulative = 0
        for (bound, count) in zip(bounds, state.buckets) {
            cumulative += count
            text.series("\(name)_bucket", labels + [("le", PrometheusText.number(bound))], Double(cumulative))
        }
        text.series("\(name)_bucket", labels + [("le", "+Inf")], Double(state.count))
        text.series("\(name)_sum", labels, state.value)
        text.series("\(name)_count", labels, Double(state.count))
    }
}
