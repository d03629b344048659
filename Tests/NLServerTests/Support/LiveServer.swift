import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore

@testable import NLServer

/// The application on a free port with an engine in memory: sockets, event loops and all.
struct LiveServer {
    let engine: InMemoryEngine
    let shutdown: ShutdownMoments
    let metrics: ServerMetrics
    let port: Int

    static func run<Value: Sendable>(
        _ behaviour: InMemoryEngine.Behaviour = .init(), isStarted: Bool = true,
        configure: (inout ServerConfiguration) -> Void = { _ in },
        _ body: @Sendable (LiveServer) async throws -> Value
    ) async throws -> Value {
        var configuration = ServerConfiguration(engine: EngineConfiguration(modelPath: "", databasePath: ""))
        (configuration.host, configuration.port) = ("localhost", 0)
        configure(&configuration)
        let engine = InMemoryEngine(behaviour)
        if isStarted { try await engine.start() }
        let shutdown = ShutdownMoments()
        let metrics = ServerMetrics()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let application = buildApplication(
            engine: engine, configuration: configuration, logger: logger, shutdown: shutdown, metrics: metrics)
        return try await application.test(.live) { client in
            try await body(
                LiveServer(
                    engine: engine, shutdown: shutdown, metrics: metrics, port: client.port ?? 0))
        }
    }

    /// Sends a request on a connection of its own and returns what came back.
    func send(
        _ method: HTTPRequest.Method, _ path: String, json: String? = nil, body: String? = nil, type: String? = nil,
        headers: HTTPFields = [:]
    ) async throws -> Answer {
        var headers = headers
        if json != nil { headers[.contentType] = "application/json" }
        if let type { headers[.contentType] = type }
        headers[.connection] = "keep-alive"
        let client = TestClient(host: "localhost", port: port, configuration: .init(timeout: .seconds(120)))
        client.connect()
        do {
            let response = try await client.execute(
                .init(
                    path, method: method, authority: "localhost", headers: headers,
                    body: (json ?? body).map { ByteBuffer(string: $0) }))
            try await client.shutdown()
            return Answer(
                status: response.status, headers: response.headers,
                text: response.body.map { String(buffer: $0) } ?? "")
        } catch {
            try await client.shutdown()
            throw error
        }
    }
}

struct Answer: Sendable {
    var status: HTTPResponse.Status
    var headers: HTTPFields
    var text: String

    /// The body as JSON.
    func json() throws -> JSONValue { try JSONValue(parsing: text) }

    /// The events of a stream: names (empty where none is given) and data.
    var events: [(name: String, data: String)] {
        text.components(separatedBy: "\n\n").filter { !$0.isEmpty }.map { event in
            let lines = event.split(separator: "\n")
            func values(_ field: String) -> [Substring] {
                lines.filter { $0.hasPrefix(field + ": ") }.map { $0.dropFirst(field.count + 2) }
            }
            return (String(values("event").first ?? ""), values("data").joined(separator: "\n"))
        }
    }
}
