import Hummingbird

/// Work in the background: progress, live or asked for, and cancelling.
struct JobsController: Sendable {
    let services: ServerServices

    func addRoutes(to router: Router<ServerContext>) {
        router.get("/v1/jobs", use: list)
        router.get("/v1/jobs/{id}", use: get)
        router.delete("/v1/jobs/{id}", use: cancel)
    }

    @Sendable func list(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "status", "limit", "after"])
        let status = try query.string("status").map { name in
            guard let status = JobRecord.Status(rawValue: name) else {
                throw APIError(
                    status: .badRequest, code: "invalid_value", message: "'status' is '\(name)'.", parameter: "status",
                    accepted: JobRecord.Status.allCases.map(\.rawValue))
            }
            return status
        }
        let page = try await services.engine.jobs(space: query.space(), status: status, page: query.page())
        return try WireJSON.response(WireList(page, cursor: \.id, WireJob.init))
    }

    @Sendable func get(_ request: Request, context: ServerContext) async throws -> Response {
        let job = try await job(request, context)
        if request.acceptsEventStream {
            var request = request
            _ = try await request.readBody(upTo: services.limits.maxBodyBytes)
            return try await JobFollower(services: services).response(to: request, jobID: job.id)
        }
        return try WireJSON.response(WireJob(job))
    }

    @Sendable func cancel(_ request: Request, context: ServerContext) async throws -> Response {
        let job = try await job(request, context)
        return try WireJSON.response(WireJob(try await services.engine.cancelJob(job.id)))
    }

    /// The job a path names; a query that names a space looks nowhere else.
    private func job(_ request: Request, _ context: ServerContext) async throws -> JobRecord {
        let query = try QueryParameters(request, accepted: ["space"])
        let job = try await services.engine.job(context.parameters.require("id"))
        if let space = try query.identifier("space"), job.space != space {
            throw EngineError.notFound(.job, id: job.id)
        }
        return job
    }
}
