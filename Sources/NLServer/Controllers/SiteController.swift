import HTTPTypes
import Hummingbird
import NIOCore

/// What operators and newcomers look at: probes, metrics, the contract, the front page.
struct SiteController: Sendable {
    let services: ServerServices
    let routes: RouteTable

    func addRoutes(to router: Router<ServerContext>) {
        router.get("/health/live", use: live)
        router.get("/health/ready", use: ready)
        router.get("/health/startup", use: startup)
        router.get("/metrics", use: metrics)
        router.get("/openapi.yaml", use: openAPI)
        router.get("/", use: frontPage)
    }

    /// Kubernetes kills what is not live; only a stall or a failure says so.
    @Sendable func live(_ request: Request, context: ServerContext) throws -> Response {
        let health = services.engine.health()
        return try probe(health, isGood: health.isLive)
    }

    /// Not ready: no traffic is sent; while loading, draining or stalled.
    @Sendable func ready(_ request: Request, context: ServerContext) throws -> Response {
        let health = services.engine.health()
        return try probe(health, isGood: health.isReady)
    }

    /// Holds the other probes off while the model loads.
    @Sendable func startup(_ request: Request, context: ServerContext) throws -> Response {
        let health = services.engine.health()
        return try probe(health, isGood: health.isStarted)
    }

    @Sendable func metrics(_ request: Request, context: ServerContext) async throws -> Response {
        let text = services.metrics.render(await services.engine.statistics(), health: services.engine.health())
        return Self.text(text, type: PrometheusText.contentType)
    }

    @Sendable func openAPI(_ request: Request, context: ServerContext) throws -> Response {
        Self.text(OpenAPIDocument.yaml, type: "application/yaml")
    }

    @Sendable func frontPage(_ request: Request, context: ServerContext) throws -> Response {
        Self.text(FrontPage.html(routes: routes), type: "text/html; charset=utf-8")
    }

    private func probe(_ health: EngineHealth, isGood: Bool) throws -> Response {
        var reasons = health.stalls
        if health.phase != .running { reasons.insert("the engine is \(health.phase.rawValue)", at: 0) }
        let body = WireHealth(
            status: isGood ? "ok" : "unavailable", phase: health.phase.rawValue, reasons: isGood ? [] : reasons,
            notices: health.notices)
        return try WireJSON.response(
            body, status: isGood ? .ok : .serviceUnavailable, headers: [.cacheControl: "no-store"])
    }

    private static func text(_ text: String, type: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: type, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

/// A page that says what this is and names the routes. No scripts.
enum FrontPage {
    static func html(routes: RouteTable) -> String {
        let rows = routes.routes
            .sorted { ($0.path, $0.method.rawValue) < ($1.path, $1.method.rawValue) }
            .map { "<tr><td>\($0.method.rawValue)</td><td><code>\($0.path)</code></td></tr>" }
            .joined(separator: "\n")
        return """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <title>nlserver</title>
            <style>body { font: 1rem/1.5 sans-serif; margin: 2rem auto; max-width: 44rem; padding: 0 1rem }
            td { padding: 0 1rem 0 0 }</style>
            <h1>nlserver \(ServerVersion.current)</h1>
            <p>A language model that keeps learning: what it is given to read changes its weights, and stays.</p>
            <p>The contract is <a href="/openapi.yaml">openapi.yaml</a>; the levels of memory are at
            <a href="/v1/memory/levels">/v1/memory/levels</a>.</p>
            <table>
            \(rows)
            </table>
            </html>

            """
    }
}
