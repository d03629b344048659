import HTTPTypes
import NIOCore
import Testing

@testable import NLServer

/// Catches a refusal with the wrong status, the wrong shape, or without what would have been accepted; and any that
/// changes state or ends the process.
@Suite(.timeLimit(.minutes(10))) struct ErrorRouteTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var method: HTTPRequest.Method = .post
        var path: String
        var body = ""
        var type: String? = "application/json"
        var status: Int
        var code: String
        var testDescription: String { "\(method) \(path) \(body.prefix(40)) → \(status) \(code)" }
    }

    static let cases: [Case] = [
        .init(method: .get, path: "/nowhere", status: 404, code: "unknown_route"),
        .init(method: .get, path: "/v1/models/a/b", status: 404, code: "unknown_route"),
        .init(method: .put, path: "/v1/jobs", status: 405, code: "method_not_allowed"),
        .init(method: .delete, path: "/v1/completions", status: 405, code: "method_not_allowed"),
        .init(path: "/v1/completions", body: "x", type: "text/plain", status: 415, code: "unsupported_media_type"),
        .init(path: "/v1/documents", body: "x", type: nil, status: 415, code: "unsupported_media_type"),
        .init(path: "/v1/documents", body: "x", type: "application/pdf", status: 415, code: "unsupported_media_type"),
        .init(path: "/v1/documents", body: "{", status: 400, code: "invalid_json"),
        .init(path: "/v1/documents", body: "", status: 400, code: "invalid_json"),
        .init(path: "/v1/documents", body: "[]", status: 400, code: "invalid_body"),
        .init(path: "/v1/documents", body: "{}", status: 400, code: "missing_field"),
        .init(path: "/v1/documents", body: #"{"text":""}"#, status: 400, code: "invalid_value"),
        .init(path: "/v1/documents", body: #"{"text":7}"#, status: 400, code: "invalid_type"),
        .init(path: "/v1/documents", body: #"{"text":"x","txt":"y"}"#, status: 400, code: "unknown_field"),
        .init(path: "/v1/documents", body: #"{"text":"x","metadata":[1]}"#, status: 400, code: "invalid_value"),
        .init(path: "/v1/documents", body: #"{"text":"x","id":"../etc"}"#, status: 400, code: "invalid_value"),
        .init(path: "/v1/documents", body: #"{"text":"x","space":"other"}"#, status: 404, code: "space_not_found"),
        .init(path: "/v1/documents", body: "", type: "text/plain", status: 400, code: "invalid_value"),
        .init(path: "/v1/documents?tilte=x", body: "x", type: "text/plain", status: 400, code: "unknown_parameter"),
        .init(
            path: "/v1/completions", body: #"{"prompt":"x","session":"nope"}"#, status: 404, code: "session_not_found"),
        .init(path: "/v1/completions", body: #"{"prompt":"x","model":"nope"}"#, status: 404, code: "model_not_found"),
        .init(path: "/v1/completions", body: #"{"prompt":[99999]}"#, status: 400, code: "invalid_value"),
        .init(path: "/v1/completions", body: #"{"prompt":"x","temperature":NaN}"#, status: 400, code: "invalid_json"),
        .init(path: "/v1/score", body: #"{"prompt":"x"}"#, status: 400, code: "invalid_body"),
        .init(path: "/v1/score", body: #"{"text":"x","session":"nope"}"#, status: 404, code: "session_not_found"),
        .init(path: "/v1/sessions/nope/fork", status: 404, code: "session_not_found"),
        .init(method: .delete, path: "/v1/sessions/nope", status: 404, code: "session_not_found"),
        .init(method: .get, path: "/v1/jobs/nope", status: 404, code: "job_not_found"),
        .init(method: .get, path: "/v1/jobs?status=lost", status: 400, code: "invalid_value"),
        .init(method: .get, path: "/v1/jobs?limit=0", status: 400, code: "invalid_value"),
        .init(method: .get, path: "/v1/jobs?limit=1&limit=2", status: 400, code: "invalid_value"),
        .init(method: .get, path: "/v1/documents?after=nope", status: 400, code: "invalid_value"),
        .init(method: .get, path: "/v1/memory/levels/nope/history", status: 404, code: "level_not_found"),
        .init(method: .get, path: "/v1/memory/consolidations/nope", status: 404, code: "consolidation_not_found"),
        .init(path: "/v1/memory/consolidations", status: 409, code: "nothing_to_consolidate"),
    ]

    @Test func refusalsAreToldInTheRoutesOwnShapeAndChangeNothing() async throws {
        let contract = try Contract()
        let problem = try #require(contract.schema(named: "Problem"))
        let openAI = try #require(contract.schema(named: "OpenAIError"))
        try await LiveServer.run { server in
            for example in Self.cases {
                let answer = try await server.send(
                    example.method, example.path, body: example.body.isEmpty ? nil : example.body, type: example.type)
                let isOpenAI = APIError.isOpenAIRoute(example.path)
                #expect(answer.status.code == example.status, "\(example): \(answer.text)")
                #expect(answer.headers[.contentType] == (isOpenAI ? "application/json" : "application/problem+json"))
                let body = try answer.json()
                let problems = contract.problems(in: body, schema: isOpenAI ? openAI : problem, at: "\(example)")
                #expect(problems.isEmpty)
                #expect((isOpenAI ? body["error"]?["code"] : body["code"]) == .string(example.code), "\(answer.text)")
                #expect(answer.headers[.requestID] != nil)
                if example.status == 405 { #expect(answer.headers[.allow]?.isEmpty == false) }
            }
            #expect(try await server.engine.documents(space: "default", page: PageRequest()).items.isEmpty)
            #expect(try await server.engine.sessions(space: "default", page: PageRequest()).items.isEmpty)
        }
    }

    @Test func invalidUTF8IsRefusedEverywhere() async throws {
        try await LiveServer.run { server in
            for (path, type, body) in [
                ("/v1/completions", "application/json", "{\"prompt\":\"\u{1}\"}"),
                ("/v1/documents", "text/plain", "\u{1}"), ("/v1/documents", "application/json", "{\"text\":\"\u{1}\"}"),
            ] {
                let connection = try RawConnection(port: server.port)
                let bytes = Array(body.utf8).map { $0 == 1 ? 0xFF : $0 }
                try await connection.send(
                    "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: \(type)\r\nContent-Length: \(bytes.count)\r\n\r\n"
                )
                try await connection.send(bytes)
                let answer = try await connection.receive(until: "}")
                #expect(answer.hasPrefix("HTTP/1.1 400"))
                #expect(answer.contains("invalid_utf8"))
            }
        }
    }

    @Test func bodiesOverTheLimitAreRefusedHoweverTheyAreSent() async throws {
        let large = String(repeating: "x", count: 5000)
        try await LiveServer.run(configure: {
            $0.maxBodyBytes = 4096
            $0.engine.maxDocumentBytes = 1024
        }) { server in
            let announced = try await server.send(.post, "/v1/completions", json: "{\"prompt\":\"\(large)\"}")
            #expect(announced.status == .contentTooLarge)
            let plain = try await server.send(.post, "/v1/documents", body: large, type: "text/plain")
            #expect(plain.status == .contentTooLarge)
            let document = try await server.send(.post, "/v1/documents", json: "{\"text\":\"\(large.prefix(2000))\"}")
            #expect(document.status == .contentTooLarge)
            #expect(try document.json()["parameter"] == .string("text"))
            let connection = try RawConnection(port: server.port)
            try await connection.send(
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n\(large)\r\n"
            )
            #expect(try await connection.receive(until: "}").hasPrefix("HTTP/1.1 413"))
        }
    }

    @Test func overloadSaysWhenToComeBack() async throws {
        try await LiveServer.run(.init(tokenDelay: .milliseconds(20), maxConcurrent: 1, maxSessions: 1)) { server in
            async let first = server.send(.post, "/v1/completions", json: #"{"prompt":"x","max_tokens":20}"#)
            while await server.engine.statistics().generationsRunning == 0 {
                try await Task.sleep(for: .milliseconds(2))
            }
            for stream in ["true", "false"] {
                let second = try await server.send(
                    .post, "/v1/completions", json: "{\"prompt\":\"x\",\"stream\":\(stream)}")
                #expect(second.status == .tooManyRequests)
                #expect(second.headers[.retryAfter] == "2")
                #expect(try second.json()["error"]?["type"] == .string("rate_limit_error"))
            }
            #expect(try await first.status == .ok)
            _ = try await server.send(.post, "/v1/sessions")
            let full = try await server.send(.post, "/v1/sessions")
            #expect(full.status == .tooManyRequests)
            #expect(try full.json()["retry_after_seconds"] == .integer(60))
        }
    }

    @Test func readOnlyRefusesWhatWouldWriteAndServesTheRest() async throws {
        try await LiveServer.run(.init(isReadOnly: true)) { server in
            for (path, body) in [
                ("/v1/documents", #"{"text":"x"}"#), ("/v1/sessions", "{}"), ("/v1/memory/consolidations", "{}"),
                ("/v1/completions", #"{"prompt":"x","learn":"space"}"#),
            ] {
                let answer = try await server.send(.post, path, json: body)
                #expect(answer.status == .forbidden)
                #expect(answer.text.contains("read_only"))
            }
            #expect(try await server.send(.post, "/v1/completions", json: #"{"prompt":"x"}"#).status == .ok)
            #expect(try await server.send(.post, "/v1/score", json: #"{"text":"x"}"#).status == .ok)
        }
    }

    @Test func beforeLoadingIsOverOnlyProbesAnswer() async throws {
        try await LiveServer.run(isStarted: false) { server in
            #expect(try await server.send(.get, "/health/live").status == .ok)
            for path in ["/health/ready", "/health/startup"] {
                let answer = try await server.send(.get, path)
                #expect(answer.status == .serviceUnavailable)
                #expect(try answer.json()["reasons"] == .array([.string("the engine is starting")]))
            }
            let answer = try await server.send(.post, "/v1/completions", json: #"{"prompt":"x"}"#)
            #expect(answer.status == .serviceUnavailable)
            #expect(answer.headers[.retryAfter] == "1")
            try await server.engine.start()
            #expect(try await server.send(.get, "/health/ready").status == .ok)
        }
    }

    @Test func pagesOfOtherOriginsAreKeptOut() async throws {
        let origin = HTTPField.Name("Origin")!
        try await LiveServer.run { server in
            let foreign = try await server.send(
                .post, "/v1/documents", body: "lies", type: "text/plain", headers: [origin: "http://evil.example"])
            #expect(foreign.status == .forbidden)
            #expect(foreign.headers[HTTPField.Name("Access-Control-Allow-Origin")!] == nil)
            #expect(try await server.engine.documents(space: "default", page: PageRequest()).items.isEmpty)
            let own = try await server.send(.get, "/v1/models", headers: [origin: "http://localhost"])
            #expect(own.status == .ok)
            #expect(own.headers[.xContentTypeOptions] == "nosniff")
        }
    }

    @Test(arguments: ["", "a b", "x\u{7F}", String(repeating: "a", count: 129)])
    func strangeRequestIDsAreReplaced(id: String) {
        #expect(RequestIDMiddleware.accepted(id) == nil)
        #expect(RequestIDMiddleware.accepted("abc-1.2:3") == "abc-1.2:3")
    }

    @Test(arguments: EngineError.Resource.allCases)
    func everyResourceHasAWayToBeFound(resource: EngineError.Resource) {
        let error = APIError(.notFound(resource, id: "x"))
        #expect(error.status == .notFound)
        #expect(error.code == "\(resource.rawValue)_not_found")
        #expect(error.message.contains("'x'"))
    }

    @Test(arguments: [
        (EngineError.storage(.diskFull, message: "m"), 507, "disk_full"),
        (.storage(.damaged, message: "m"), 500, "storage_damaged"),
        (.numerics(message: "m"), 500, "non_finite"), (.cancelled(reason: "r"), 503, "cancelled"),
        (.tooLarge(parameter: "prompt", message: "m"), 413, "too_large"),
        (.unavailable(reason: "r", retryAfter: .milliseconds(1)), 503, "unavailable"),
        (.overloaded(queue: "q", retryAfter: .milliseconds(2500)), 429, "overloaded"),
    ])
    func engineErrorsBecomeStatuses(error: EngineError, status: Int, code: String) {
        let told = APIError(error)
        #expect(told.status.code == status)
        #expect(told.code == code)
        if status == 503 { #expect(told.retryAfterSeconds == 1) }
        if status == 429 { #expect(told.retryAfterSeconds == 3) }
    }

    @Test func whatNobodyPlannedForSaysNothingOfTheInside() {
        struct Secret: Error { var path = "/home/me" }
        let told = APIError(any: Secret())
        #expect(told.status == .internalServerError)
        #expect(!told.message.contains("home"))
    }
}
