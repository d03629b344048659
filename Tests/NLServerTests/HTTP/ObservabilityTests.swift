import Foundation
import HTTPTypes
import Logging
import Metrics
import Synchronization
import Testing

@testable import NLServer

/// Catches metrics that Prometheus would not read, or would read wrong.
@Suite struct PrometheusTests {
    @Test func histogramsAreCumulativeAndEndAtInfinity() throws {
        let registry = PrometheusRegistry()
        let name = MetricFamily.timePerToken.rawValue
        let timer = Metrics.Timer(label: name, factory: registry)
        for milliseconds in [1, 3, 30, 2000] { timer.recordMilliseconds(milliseconds) }
        var text = PrometheusText()
        registry.render(into: &text)
        let lines = text.text.split(separator: "\n").map(String.init)
        #expect(lines[0] == "# HELP \(name) Mean time between the tokens of one generation.")
        #expect(lines[1] == "# TYPE \(name) histogram")
        #expect(lines.contains("\(name)_bucket{le=\"0.001\"} 1"))
        #expect(lines.contains("\(name)_bucket{le=\"0.005\"} 2"))
        #expect(lines.contains("\(name)_bucket{le=\"1\"} 3"))
        #expect(lines.suffix(3) == ["\(name)_bucket{le=\"+Inf\"} 4", "\(name)_sum 2.034", "\(name)_count 4"])
    }

    @Test func labelsAreEscapedAndTheirOrderMakesNoSecondSeries() {
        let registry = PrometheusRegistry()
        Counter(label: "c", dimensions: [("a", "x\"\\\n"), ("b", "y")], factory: registry).increment()
        Counter(label: "c", dimensions: [("b", "y"), ("a", "x\"\\\n")], factory: registry).increment(by: 2)
        var text = PrometheusText()
        registry.render(into: &text)
        #expect(text.text == "# HELP c \n# TYPE c counter\nc{a=\"x\\\"\\\\\\n\",b=\"y\"} 3\n")
    }

    @Test(arguments: [
        (0.5, "0.5"), (3, "3"), (.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (1e300, "1e+300"),
    ])
    func numbers(value: Double, text: String) { #expect(PrometheusText.number(value) == text) }

    @Test func everyFamilyAppearsOnceWithAConformantName() async throws {
        let metrics = ServerMetrics()
        metrics.recordRequest(method: "GET", route: "/v1/jobs/{id}", status: 200, duration: .milliseconds(3))
        metrics.recordFirstToken(after: .milliseconds(20))
        metrics.countDocumentLine(outcome: "accepted")
        metrics.recordGeneration(
            GenerationSummary(
                reason: .stop, usage: TokenUsage(promptTokens: 1, completionTokens: 5),
                timings: GenerationTimings(writing: .milliseconds(50))))
        let engine = InMemoryEngine()
        try await engine.start()
        let lines = metrics.render(await engine.statistics(), health: engine.health()).split(separator: "\n")
        let names = lines.filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] }
        #expect(Set(names).count == names.count)
        #expect(Set(MetricFamily.allCases.map(\.rawValue)).isSubset(of: Set(names.map(String.init))))
        for line in lines where line.hasPrefix("# TYPE ") {
            let words = line.split(separator: " ")
            #expect(words[2].wholeMatch(of: /nlserver_[a-z_]+/) != nil)
            #expect((words[3] == "counter") == words[2].hasSuffix("_total"), "\(line)")
        }
        for line in lines where !line.hasPrefix("#") {
            #expect(
                line.wholeMatch(of: /[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+0-9.eE]+(Inf)?/) != nil,
                "\(line)")
        }
        #expect(lines.contains("nlserver_level_updates{level=\"slow\"} 0"))
        #expect(lines.contains("nlserver_ready 1"))
    }

    @Test func routesAreTemplatesAndStrangeMethodsMakeNoSeries() async throws {
        try await LiveServer.run { server in
            _ = try await server.send(.get, "/v1/jobs/some-id")
            for path in ["/a", "/b", "/c"] { _ = try await server.send(.patch, path) }
            let text = try await server.send(.get, "/metrics").text
            #expect(
                text.contains("nlserver_http_requests_total{method=\"GET\",route=\"/v1/jobs/{id}\",status=\"404\"} 1"))
            #expect(text.contains("nlserver_http_requests_total{method=\"other\",route=\"NotFound\",status=\"404\"} 3"))
            #expect(!text.contains("some-id") && !text.contains("PATCH"))
            #expect(text.contains("nlserver_http_requests_active 1\n"))
        }
    }
}

/// Catches log lines that no tool could read, or that one request could forge.
@Suite struct StructuredLogHandlerTests {
    private func line(_ format: StructuredLogHandler.Format, _ log: (Logger) -> Void) -> String {
        let box = Box()
        var handler = StructuredLogHandler(label: "nlserver", format: format, logLevel: .info)
        handler.write = { line in box.text.withLock { $0 += line } }
        let configured = handler
        log(Logger(label: "nlserver") { _ in configured })
        return box.text.withLock { $0 }
    }

    private final class Box: Sendable { let text = Mutex("") }

    @Test func jsonIsOneObjectALineWithTypedFields() throws {
        let text = line(.json) {
            $0.info("two\nlines", metadata: ["status": "\(200)", "seconds": .stringConvertible(0.25), "list": ["a"]])
            $0.debug("not shown")
        }
        #expect(text.filter { $0 == "\n" }.count == 1)
        let object = try JSONValue(parsing: text)
        #expect(object["message"] == .string("two\nlines"))
        #expect(object["level"] == .string("info"))
        #expect(object["seconds"] == .number(0.25))
        #expect(object["list"] == .array([.string("a")]))
        #expect(object["time"]?.string?.hasSuffix("Z") == true)
    }

    @Test func textQuotesWhatWouldBreakTheLine() {
        let text = line(.text) { $0.warning("a\nb", metadata: ["k": "x y\n\"z\"", "n": "1"]) }
        #expect(text.hasSuffix(" warning nlserver: a\\nb k=\"x y\\n\\\"z\\\"\" n=1\n"))
    }
}
