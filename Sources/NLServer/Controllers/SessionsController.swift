import HTTPTypes
import Hummingbird

/// Sessions: streams that are read piece by piece and keep their fast state.
struct SessionsController: Sendable {
    let services: ServerServices

    func addRoutes(to router: Router<ServerContext>) {
        router.get("/v1/sessions", use: list)
        router.post("/v1/sessions", use: create)
        router.get("/v1/sessions/{id}", use: get)
        router.delete("/v1/sessions/{id}", use: delete)
        router.post("/v1/sessions/{id}/fork", use: fork)
    }

    @Sendable func list(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "limit", "after"])
        let page = try await services.engine.sessions(space: query.space(), page: query.page())
        return try WireJSON.response(WireList(page, cursor: \.id, WireSession.init))
    }

    @Sendable func create(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readOptionalJSON(SessionRequest(), upTo: services.limits.maxBodyBytes)
        try Check.identifier(body.id, "id")
        try Check.identifier(body.space, "space")
        let session = try await services.engine.createSession(.init(id: body.id, space: body.space ?? Space.default))
        return try created(session)
    }

    @Sendable func get(_ request: Request, context: ServerContext) async throws -> Response {
        try WireJSON.response(WireSession(try await session(request, context)))
    }

    @Sendable func delete(_ request: Request, context: ServerContext) async throws -> Response {
        try await services.engine.deleteSession(session(request, context).id)
        return Response(status: .noContent)
    }

    @Sendable func fork(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readOptionalJSON(ForkRequest(), upTo: services.limits.maxBodyBytes)
        try Check.identifier(body.id, "id")
        return try created(try await services.engine.forkSession(session(request, context).id, as: body.id))
    }

    /// The session a path names; a query that names a space looks nowhere else.
    private func session(_ request: Request, _ context: ServerContext) async throws -> SessionRecord {
        let query = try QueryParameters(request, accepted: ["space"])
        let session = try await services.engine.session(context.parameters.require("id"))
        if let space = try query.identifier("space"), session.space != space {
            throw EngineError.notFound(.session, id: session.id)
        }
        return session
    }

    private func created(_ session: SessionRecord) throws -> Response {
        try WireJSON.response(
            WireSession(session), status: .created, headers: [.location: "/v1/sessions/\(session.id)"])
    }
}
