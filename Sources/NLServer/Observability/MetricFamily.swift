/// Every metric the daemon pushes, with its help text and buckets: the one place for their names.
///
/// Names follow prometheus.io/docs/practices/naming: one prefix, base units, `_total` for counters. Labels have few
/// values: route templates, methods, status codes, finish reasons; never an id.
enum MetricFamily: String, CaseIterable, Sendable {
    case httpRequests = "nlserver_http_requests_total"
    case httpRequestDuration = "nlserver_http_request_duration_seconds"
    case httpRequestsActive = "nlserver_http_requests_active"
    case generations = "nlserver_generations_total"
    case timeToFirstToken = "nlserver_generation_time_to_first_token_seconds"
    case timePerToken = "nlserver_generation_time_per_output_token_seconds"
    case documentLines = "nlserver_document_lines_total"

    var help: String {
        switch self {
        case .httpRequests: "Requests answered, by route template, method and status (499: the client closed it)."
        case .httpRequestDuration: "From the request's head to the last byte of its response."
        case .httpRequestsActive: "Requests being answered now."
        case .generations: "Generations ended, by reason."
        case .timeToFirstToken: "From the request's acceptance to its first token."
        case .timePerToken: "Mean time between the tokens of one generation."
        case .documentLines: "Lines of NDJSON streams, by outcome."
        }
    }

    /// Upper bounds in seconds; those of OpenTelemetry's gen_ai.server.request.duration where they fit.
    var buckets: [Double] {
        switch self {
        case .httpRequestDuration, .timeToFirstToken:
            [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
        case .timePerToken: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
        default: []
        }
    }
}
