import Foundation
import HTTPTypes
import HummingbirdTesting
import Testing

@testable import NLServer

/// Catches a route, field, status or body that the contract and the program do not share.
@Suite struct ContractTests {
    let contract: Contract

    init() throws {
        contract = try Contract()
    }

    @Test func everyRouteIsDocumentedAndEveryDocumentedRouteExists() {
        let services = ServerServices(
            engine: InMemoryEngine(), limits: RequestLimits(maxBodyBytes: 1, maxDocumentBytes: 1, maxTokens: 1),
            shutdown: ShutdownMoments(), metrics: ServerMetrics())
        let routed = RouteTable.of(services).routes.map { "\($0.method.rawValue) \($0.path)" }.sorted()
        #expect(routed == contract.operations.map(\.name))
    }

    @Test func theBinaryCarriesTheContractAsItIsNow() throws {
        #expect(OpenAPIDocument.yaml == (try String(contentsOf: Contract.file, encoding: .utf8)))
    }

    @Test func everyReferenceLeadsSomewhere() {
        func references(_ value: JSONValue) -> [String] {
            switch value {
            case .object(let fields):
                (fields["$ref"]?.string.map { [$0] } ?? []) + fields.values.flatMap(references)
            case .array(let items): items.flatMap(references)
            default: []
            }
        }
        for reference in Set(references(contract.root)) {
            #expect(contract.resolved(.object(["$ref": .string(reference)])) != .null, "\(reference)")
        }
    }

    @Test func everyExampleFollowsItsSchema() {
        func check(_ content: JSONValue?, _ place: String) {
            for (type, media) in content?.object ?? [:] {
                guard let example = media["example"], let schema = media["schema"] else { continue }
                #expect(contract.problems(in: example, schema: schema, at: "\(place) \(type)").isEmpty)
            }
        }
        for (name, operation) in contract.operations {
            check(operation["requestBody"]?["content"], name)
            for (status, response) in operation["responses"]?.object ?? [:] {
                check(contract.resolved(response)["content"], "\(name) \(status)")
            }
        }
    }

    @Test(arguments: [
        ("CompletionRequest", CompletionRequest.acceptedFields + CompletionRequest.ignoredFields),
        ("ChatCompletionRequest", ChatCompletionRequest.acceptedFields + ChatCompletionRequest.ignoredFields),
        ("DocumentRequest", DocumentRequest.acceptedFields), ("ScoreRequest", ScoreBody.acceptedFields),
        ("SessionRequest", SessionRequest.acceptedFields), ("ForkRequest", ForkRequest.acceptedFields),
        ("ConsolidationRequest", ConsolidationRequest.acceptedFields), ("SpaceRequest", SpaceRequest.acceptedFields),
        ("SpaceChangeRequest", SpaceChangeRequest.acceptedFields),
        ("SpaceQuotas", QuotaFields.CodingKeys.allCases.map(\.rawValue)),
        ("SnapshotRequest", SnapshotRequest.acceptedFields),
    ])
    func acceptedFieldsAreTheDocumentedOnes(schema: String, fields: [String]) throws {
        let documented = try #require(contract.schema(named: schema)?["properties"]?.object?.keys.sorted())
        #expect(documented == fields.sorted())
    }

    /// Every operation once as it should go, and every family of errors: each body is held against its schema.
    @Test(.timeLimit(.minutes(10))) func everyAnswerFollowsItsSchema() async throws {
        let contract = self.contract
        try await LiveServer.run(.init(learningStepDelay: .milliseconds(100))) { server in
            var succeeded: Set<String> = []
            func call(
                _ method: HTTPRequest.Method, _ template: String, _ path: String? = nil, json: String? = nil,
                body: String? = nil, type: String? = nil, headers: HTTPFields = [:], expecting status: Int = 200,
                _ location: SourceLocation = #_sourceLocation
            ) async throws {
                let response = try await server.send(
                    method, path ?? template, json: json, body: body, type: type, headers: headers)
                #expect(response.status.code == status, "\(template): \(response.text)", sourceLocation: location)
                let name = "\(method.rawValue) \(template)"
                let media = response.headers[.contentType]?.split(separator: ";").first.map(String.init) ?? ""
                let bodies =
                    media == "application/x-ndjson"
                    ? response.text.split(separator: "\n").map(String.init) : [response.text]
                for body in bodies {
                    let problems = try contract.problems(
                        operation: name, status: response.status.code, mediaType: media, body: body)
                    #expect(problems.isEmpty, "\(problems)", sourceLocation: location)
                }
                if response.status.kind == .successful { succeeded.insert(name) }
            }

            // Before anything was learned.
            try await call(.post, "/v1/memory/consolidations", json: "{}", expecting: 409)
            try await call(.post, "/v1/sessions", json: #"{"id":"s1"}"#, expecting: 201)
            try await call(.post, "/v1/sessions", json: #"{"id":"s1"}"#, expecting: 409)
            try await call(.post, "/v1/sessions/{id}/fork", "/v1/sessions/s1/fork", expecting: 201)
            try await call(.get, "/v1/sessions")
            try await call(.get, "/v1/sessions/{id}", "/v1/sessions/s1")
            try await call(
                .post, "/v1/completions",
                json: #"{"prompt":"ab","max_tokens":3,"logprobs":2,"echo":true,"session":"s1","learn":"space"}"#)
            try await call(.post, "/v1/completions", json: #"{"prompt":"ab","stream":true,"max_tokens":2}"#)
            try await call(.post, "/v1/completions", json: #"{"prompt":"ab","model":"other"}"#, expecting: 404)
            try await call(.post, "/v1/completions", json: #"{"prompt":""}"#, expecting: 400)
            try await call(.post, "/v1/completions", body: "x", type: "text/xml", expecting: 415)
            try await call(
                .post, "/v1/chat/completions",
                json: #"{"messages":[{"role":"user","content":"x"}],"max_tokens":2,"logprobs":true,"top_logprobs":1}"#)
            try await call(.post, "/v1/chat/completions", json: "{", expecting: 400)
            try await call(.get, "/v1/models")
            try await call(.get, "/v1/models/{model}", "/v1/models/in-memory")
            try await call(.get, "/v1/models/{model}", "/v1/models/other", expecting: 404)
            try await call(
                .post, "/v1/documents", json: #"{"text":"one","id":"d1","metadata":{"a":[1]}}"#, expecting: 202)
            try await call(.post, "/v1/documents", json: #"{"text":"two","id":"d1"}"#, expecting: 409)
            try await call(.post, "/v1/documents", body: "three", type: "text/plain", expecting: 202)
            try await call(
                .post, "/v1/documents", body: "{\"text\":\"four\"}\n{\"txt\":1}\n", type: "application/x-ndjson")
            try await call(
                .post, "/v1/documents", body: "{}\n", type: "application/x-ndjson",
                headers: [.accept: "text/event-stream"], expecting: 406)
            // Followed to its end, so that everything before it has been learned too.
            try await call(.post, "/v1/documents", json: #"{"text":"five"}"#, headers: [.accept: "text/event-stream"])
            try await call(.get, "/v1/documents", "/v1/documents?limit=2")
            try await call(.get, "/v1/documents", "/v1/documents?space=other", expecting: 404)
            try await call(.get, "/v1/documents/{id}", "/v1/documents/d1")
            try await call(.get, "/v1/documents/{id}", "/v1/documents/d7", expecting: 404)
            let jobs = try await server.send(.get, "/v1/jobs").json()
            let job = try #require(jobs["data"]?[0]?["id"]?.string)
            try await call(.get, "/v1/jobs")
            try await call(.get, "/v1/jobs/{id}", "/v1/jobs/\(job)")
            try await call(.delete, "/v1/jobs/{id}", "/v1/jobs/\(job)", expecting: 409)
            let waiting = try await server.send(.post, "/v1/documents", json: #"{"text":"six"}"#).json()
            let unfinished = try #require(waiting["job"]?["id"]?.string)
            try await call(.delete, "/v1/jobs/{id}", "/v1/jobs/\(unfinished)")
            try await call(.get, "/v1/memory/levels", "/v1/memory/levels?session=s1")
            try await call(.get, "/v1/memory/levels/{name}/history", "/v1/memory/levels/slow/history?limit=1")
            try await call(
                .get, "/v1/memory/levels/{name}/history", "/v1/memory/levels/fast/history", expecting: 400)
            try await call(.get, "/v1/memory/retention", "/v1/memory/retention?limit=1")
            try await call(.get, "/v1/memory/retention", "/v1/memory/retention?space=other", expecting: 404)
            try await call(.post, "/v1/memory/consolidations", expecting: 202)
            let log = try await server.send(.get, "/v1/memory/consolidations").json()
            let consolidation = try #require(log["data"]?[0]?["id"]?.string)
            try await call(.get, "/v1/memory/consolidations")
            try await call(.get, "/v1/memory/consolidations/{id}", "/v1/memory/consolidations/\(consolidation)")
            try await call(.post, "/v1/memory/snapshots", json: #"{"name":"n","note":"x"}"#, expecting: 201)
            try await call(.post, "/v1/memory/snapshots", json: #"{"name":"n"}"#, expecting: 409)
            let kept = try await server.send(.get, "/v1/memory/snapshots").json()
            let snapshot = "/v1/memory/snapshots/" + (try #require(kept["data"]?[0]?["id"]?.string))
            try await call(.get, "/v1/memory/snapshots")
            try await call(.get, "/v1/memory/snapshots/{id}", snapshot)
            try await call(.get, "/v1/memory/snapshots/{id}", snapshot + "?space=other", expecting: 404)
            try await call(.get, "/v1/memory/snapshots/{id}/diff", snapshot + "/diff?against=base")
            try await call(.get, "/v1/memory/snapshots/{id}/export", snapshot + "/export")
            let file = try await server.send(.get, snapshot + "/export").text
            let carried = "/v1/memory/snapshots/import"
            try await call(
                .post, carried, carried + "?name=m", body: file, type: "application/octet-stream", expecting: 201)
            try await call(
                .post, carried, carried + "?name=o", body: "no", type: "application/octet-stream", expecting: 400)
            try await call(.post, carried, carried + "?name=o", body: "no", type: "text/plain", expecting: 415)
            try await call(.post, "/v1/memory/snapshots/{id}/restore", snapshot + "/restore", expecting: 202)
            try await call(.delete, "/v1/memory/snapshots/{id}", snapshot, expecting: 204)
            try await call(
                .post, "/v1/spaces", json: #"{"id":"a","name":"A","quotas":{"documents":0}}"#, expecting: 201)
            try await call(.post, "/v1/spaces", json: #"{"id":"a"}"#, expecting: 409)
            try await call(.post, "/v1/spaces", json: #"{"id":"b","quotas":{"documnets":0}}"#, expecting: 400)
            try await call(.post, "/v1/documents", json: #"{"text":"x","space":"a"}"#, expecting: 403)
            try await call(.get, "/v1/spaces")
            try await call(.get, "/v1/spaces/{id}", "/v1/spaces/a")
            try await call(.patch, "/v1/spaces/{id}", "/v1/spaces/a", json: #"{"quotas":{"documents":null}}"#)
            try await call(.post, "/v1/spaces/{id}/fork", "/v1/spaces/a/fork", json: #"{"id":"b"}"#, expecting: 201)
            try await call(.delete, "/v1/spaces/{id}", "/v1/spaces/b", expecting: 204)
            try await call(.delete, "/v1/spaces/{id}", "/v1/spaces/default", expecting: 409)
            try await call(.get, "/v1/jobs/{id}", "/v1/jobs/\(job)?space=a", expecting: 404)
            try await call(.get, "/v1/sessions/{id}", "/v1/sessions/s1?space=a", expecting: 404)
            try await call(.post, "/v1/score", json: #"{"prompt":"a","completion":"bc"}"#)
            try await call(.post, "/v1/score", json: #"{"text":"a","prompt":"b"}"#, expecting: 400)
            let document = "/v1/documents/{id}"
            try await call(.delete, document, "/v1/documents/d1?keep=all", expecting: 400)
            try await call(.delete, document, "/v1/documents/d1?keep=sessions,forks", expecting: 202)
            try await call(.delete, document, "/v1/documents/d7", expecting: 404)
            try await call(.get, document, "/v1/documents/d1", expecting: 410)
            let rebuild = try #require(
                try await server.send(.get, "/v1/documents/d1").json()["receipt"]?["job_id"]?.string)
            try await call(
                .get, "/v1/jobs/{id}", "/v1/jobs/\(rebuild)", headers: [.accept: "text/event-stream"])
            try await call(.get, "/v1/jobs/{id}", "/v1/jobs/\(rebuild)")
            try await call(.delete, document, "/v1/documents/d1")
            try await call(.delete, "/v1/sessions/{id}", "/v1/sessions/s1", expecting: 204)
            for path in ["/health/live", "/health/ready", "/health/startup", "/metrics", "/openapi.yaml", "/"] {
                try await call(.get, path)
            }
            #expect(contract.operations.map(\.name).filter { !succeeded.contains($0) } == [])
        }
    }
}
