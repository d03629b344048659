import Hummingbird
import Logging

/// What travels with a request.
struct ServerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// From `X-Request-Id`, or made here; in every log line, error body and response of this request.
    var requestID = ""

    init(source: Source) {
        coreContext = .init(source: source)
    }
}
