import HTTPTypes
import Hummingbird
import NIOCore

/// Named states of a space's levels: keep, go back, compare, carry elsewhere.
struct SnapshotsController: Sendable {
    static let file = "application/octet-stream"

    let services: ServerServices

    func addRoutes(to router: Router<ServerContext>) {
        router.get("/v1/memory/snapshots", use: list)
        router.post("/v1/memory/snapshots", use: create)
        router.post("/v1/memory/snapshots/import", use: importFile)
        router.get("/v1/memory/snapshots/{id}", use: get)
        router.delete("/v1/memory/snapshots/{id}", use: delete)
        router.post("/v1/memory/snapshots/{id}/restore", use: restore)
        router.get("/v1/memory/snapshots/{id}/export", use: export)
        router.get("/v1/memory/snapshots/{id}/diff", use: diff)
    }

    @Sendable func list(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "limit", "after"])
        let page = try await services.engine.snapshots(space: query.space(), page: query.page())
        return try WireJSON.response(WireList(page, cursor: \.id, WireSnapshot.init))
    }

    @Sendable func create(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readJSON(SnapshotRequest.self, upTo: services.limits.maxBodyBytes)
        return try created(try await services.engine.createSnapshot(body.creation()))
    }

    @Sendable func get(_ request: Request, context: ServerContext) async throws -> Response {
        let (id, space) = try snapshot(request, context)
        return try WireJSON.response(WireSnapshot(try await services.engine.snapshot(id, space: space)))
    }

    @Sendable func delete(_ request: Request, context: ServerContext) async throws -> Response {
        let (id, space) = try snapshot(request, context)
        try await services.engine.deleteSnapshot(id, space: space)
        return Response(status: .noContent)
    }

    @Sendable func restore(_ request: Request, context: ServerContext) async throws -> Response {
        let (id, space) = try snapshot(request, context)
        let job = try await services.engine.restoreSnapshot(id, space: space)
        return try WireJSON.response(
            WireJobAnswer(job: WireJob(job)), status: .accepted, headers: [.location: "/v1/jobs/\(job.id)"])
    }

    /// Piece by piece, as fast as the client takes them.
    @Sendable func export(_ request: Request, context: ServerContext) async throws -> Response {
        let (id, space) = try snapshot(request, context)
        let export = try await services.engine.exportSnapshot(id, space: space)
        return Response(
            status: .ok,
            headers: [
                .contentType: Self.file, .contentLength: String(export.byteCount),
                .contentDisposition: "attachment; filename=\"\(export.fileName)\"",
            ],
            body: ResponseBody(contentLength: export.byteCount) { writer in
                var client = ClientWriter(writer)
                var number = 0
                while let piece = export.piece(number) {
                    try await client.write(ByteBuffer(bytes: piece))
                    number += 1
                }
                try await client.finish()
            })
    }

    /// The body is the file; `name`, `space` and `note` come as query parameters.
    @Sendable func importFile(_ request: Request, context: ServerContext) async throws -> Response {
        try request.requireMediaType(in: [Self.file])
        let query = try QueryParameters(request, accepted: ["name", "space", "note"])
        guard let name = try query.string("name") else {
            throw APIError(
                status: .badRequest, code: "missing_field", message: "'name' is required: what the snapshot is called.",
                parameter: "name")
        }
        let note = try query.string("note")
        try Check.snapshot(name: name, note: note)
        var request = request
        let bytes = try await request.readBody(upTo: services.limits.maxImportBytes, named: "--max-import-bytes")
        let file = SnapshotImport(
            space: try query.space(), name: name, note: note, bytes: Array(bytes.readableBytesView))
        return try created(try await services.engine.importSnapshot(file))
    }

    @Sendable func diff(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "against"])
        let against: SnapshotReference =
            switch try query.identifier("against") {
            case nil, "current": .current
            case "base": .base
            case let id?: .snapshot(id)
            }
        let diff = try await services.engine.diffSnapshot(
            context.parameters.require("id"), space: query.space(), against: against)
        return try WireJSON.response(WireSnapshotDiff(diff))
    }

    private func snapshot(_ request: Request, _ context: ServerContext) throws -> (id: String, space: String) {
        let query = try QueryParameters(request, accepted: ["space"])
        return (try context.parameters.require("id"), try query.space())
    }

    private func created(_ snapshot: SnapshotRecord) throws -> Response {
        let place = "/v1/memory/snapshots/\(snapshot.id)"
        let query = snapshot.space == Space.default ? "" : "?space=\(snapshot.space)"
        return try WireJSON.response(
            WireSnapshot(snapshot), status: .created, headers: [.location: place + query])
    }
}
