import HTTPTypes
import Hummingbird

/// Spaces: each a memory of its own.
struct SpacesController: Sendable {
    let services: ServerServices

    func addRoutes(to router: Router<ServerContext>) {
        router.get("/v1/spaces", use: list)
        router.post("/v1/spaces", use: create)
        router.get("/v1/spaces/{id}", use: get)
        router.patch("/v1/spaces/{id}", use: change)
        router.delete("/v1/spaces/{id}", use: delete)
        router.post("/v1/spaces/{id}/fork", use: fork)
    }

    @Sendable func list(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["limit", "after"])
        let page = try await services.engine.spaces(page: query.page())
        return try WireJSON.response(WireList(page, cursor: \.id, WireSpace.init))
    }

    @Sendable func create(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readJSON(SpaceRequest.self, upTo: services.limits.maxBodyBytes)
        return try created(try await services.engine.createSpace(body.creation()))
    }

    @Sendable func get(_ request: Request, context: ServerContext) async throws -> Response {
        try WireJSON.response(WireSpace(try await services.engine.space(context.parameters.require("id"))))
    }

    @Sendable func change(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readJSON(SpaceChangeRequest.self, upTo: services.limits.maxBodyBytes)
        let space = try await services.engine.updateSpace(context.parameters.require("id"), body.change())
        return try WireJSON.response(WireSpace(space))
    }

    @Sendable func delete(_ request: Request, context: ServerContext) async throws -> Response {
        try await services.engine.deleteSpace(context.parameters.require("id"))
        return Response(status: .noContent)
    }

    @Sendable func fork(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readJSON(SpaceRequest.self, upTo: services.limits.maxBodyBytes)
        let space = try await services.engine.forkSpace(context.parameters.require("id"), as: body.creation())
        return try created(space)
    }

    private func created(_ space: SpaceRecord) throws -> Response {
        try WireJSON.response(WireSpace(space), status: .created, headers: [.location: "/v1/spaces/\(space.id)"])
    }
}
