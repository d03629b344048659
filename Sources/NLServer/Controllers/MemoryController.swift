import HTTPTypes
import Hummingbird

/// What each memory level has learned, and consolidation.
struct MemoryController: Sendable {
    let services: ServerServices

    func addRoutes(to router: Router<ServerContext>) {
        router.get("/v1/memory/levels", use: levels)
        router.get("/v1/memory/levels/{name}/history", use: history)
        router.get("/v1/memory/retention", use: retention)
        router.post("/v1/memory/consolidations", use: consolidate)
        router.get("/v1/memory/consolidations", use: consolidations)
        router.get("/v1/memory/consolidations/{id}", use: consolidation)
        router.post("/v1/score", use: score)
    }

    @Sendable func levels(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "session"])
        let report = try await services.engine.levels(space: query.space(), session: query.identifier("session"))
        return try WireJSON.response(WireLevels(report))
    }

    @Sendable func history(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "limit", "after"])
        let page = try await services.engine.history(
            level: context.parameters.require("name"), space: query.space(), page: query.page())
        return try WireJSON.response(WireList(page, cursor: { String($0.generation) }, WireLevelHistoryEntry.init))
    }

    @Sendable func retention(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "limit", "after"])
        let report = try await services.engine.retention(space: query.space(), page: query.page())
        return try WireJSON.response(WireRetention(report))
    }

    @Sendable func consolidate(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readOptionalJSON(ConsolidationRequest(), upTo: services.limits.maxBodyBytes)
        try Check.identifier(body.space, "space")
        let job = try await services.engine.consolidate(space: body.space ?? Space.default)
        return try WireJSON.response(
            WireJobAnswer(job: WireJob(job)), status: .accepted, headers: [.location: "/v1/jobs/\(job.id)"])
    }

    @Sendable func consolidations(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "limit", "after"])
        let page = try await services.engine.consolidations(space: query.space(), page: query.page())
        let forecast = try await services.engine.consolidationForecast(space: query.space())
        return try WireJSON.response(WireConsolidations(page, forecast))
    }

    @Sendable func consolidation(_ request: Request, context: ServerContext) async throws -> Response {
        try WireJSON.response(
            WireConsolidation(try await services.engine.consolidation(context.parameters.require("id"))))
    }

    @Sendable func score(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readJSON(ScoreBody.self, upTo: services.limits.maxBodyBytes)
        let score = try body.request(maxBytes: services.limits.maxDocumentBytes)
        _ = try await services.model(named: body.model)
        let engine = services.engine
        let result = try await request.body.consumeWithCancellationOnInboundClose { _ in
            try await engine.score(score)
        }
        return try WireJSON.response(WireScore(result), headers: [.connection: "close"])
    }
}
