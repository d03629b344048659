import Hummingbird
import Logging
import Metrics

/// One line and one set of metrics for every request, when its last byte is written or its client is gone.
///
/// Paths are logged as route templates: no id, no query, no text.
struct RequestLogMiddleware: RouterMiddleware {
    let metrics: ServerMetrics

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let (method, metrics, logger) = (request.method.rawValue, metrics, context.logger)
        metrics.requestsActive.increment()
        @Sendable func record(status: Int, failure: (any Error)?) {
            let route = context.endpointPath ?? "NotFound"
            let elapsed = ContinuousClock.now - start
            metrics.requestsActive.decrement()
            metrics.recordRequest(method: method, route: route, status: status, duration: elapsed)
            var metadata: Logger.Metadata = [
                LogKey.method: .string(method), LogKey.route: .string(route), LogKey.status: .stringConvertible(status),
                LogKey.seconds: .stringConvertible(elapsed.seconds),
            ]
            if let failure { metadata[LogKey.error] = .string("\(failure)") }
            let isProbe = route.hasPrefix("/health") || route == "/metrics"
            logger.log(level: isProbe ? .debug : .info, "request", metadata: metadata)
        }
        do {
            var response = try await next(request, context)
            let status = response.status.code
            guard response.body.contentLength == nil else {
                record(status: status, failure: nil)
                return response
            }
            let body = response.body
            response.body = ResponseBody { writer in
                do {
                    try await body.write(writer)
                    record(status: status, failure: nil)
                } catch {
                    // The status went out long ago; 499 is what became of it: the client closed the request.
                    record(status: 499, failure: error)
                    throw error
                }
            }
            return response
        } catch {
            record(status: 400, failure: error)
            throw error
        }
    }
}
