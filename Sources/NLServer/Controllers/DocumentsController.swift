import HTTPTypes
import Hummingbird
import NIOCore

/// Documents in; what became of them.
struct DocumentsController: Sendable {
    static let plainText = "text/plain"
    static let json = "application/json"
    static let ndjson = "application/x-ndjson"

    let services: ServerServices

    func addRoutes(to router: Router<ServerContext>) {
        router.post("/v1/documents", use: accept)
        router.get("/v1/documents", use: list)
        router.get("/v1/documents/{id}", use: get)
        router.delete("/v1/documents/{id}", use: forget)
    }

    @Sendable func accept(_ request: Request, context: ServerContext) async throws -> Response {
        try request.requireMediaType(in: [Self.json, Self.plainText, Self.ndjson])
        let key = try idempotencyKey(request)
        if request.mediaType != Self.plainText {
            // JSON says these in the body; said twice, one of the two would be ignored.
            _ = try QueryParameters(request, accepted: [])
        }
        if request.mediaType == Self.ndjson {
            return try stream(request, context: context, key: key)
        }
        var request = request
        let isPlain = request.mediaType == Self.plainText
        let submission = try await isPlain ? plain(&request, key: key) : document(&request, key: key)
        let acceptance = try await services.engine.acceptDocument(submission)
        guard request.acceptsEventStream else {
            return try WireJSON.response(
                WireAcceptance(acceptance), status: .accepted, headers: [.location: "/v1/jobs/\(acceptance.job.id)"])
        }
        return try await JobFollower(services: services).response(
            to: request, jobID: acceptance.job.id, accepted: WireAcceptance(acceptance))
    }

    @Sendable func list(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "limit", "after"])
        let page = try await services.engine.documents(space: query.space(), page: query.page())
        return try WireJSON.response(WireList(page, cursor: \.id, WireDocument.init))
    }

    @Sendable func get(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space"])
        let (id, space) = (try context.parameters.require("id"), try query.space())
        do {
            return try WireJSON.response(WireDocument(try await services.engine.document(id, space: space)))
        } catch EngineError.notFound(.document, let id) {
            guard let receipt = try await services.engine.forgetReceipt(id, space: space) else {
                throw EngineError.notFound(.document, id: id)
            }
            throw APIError.gone(receipt)
        }
    }

    @Sendable func forget(_ request: Request, context: ServerContext) async throws -> Response {
        let query = try QueryParameters(request, accepted: ["space", "keep"])
        let receipt = try await services.engine.forgetDocument(
            context.parameters.require("id"), space: query.space(), keeping: holders(query.string("keep")))
        let job: JobRecord? = if let id = receipt.jobID { try await services.engine.job(id) } else { nil }
        return try WireJSON.response(
            WireForgetting(receipt, job: job), status: receipt.state == .rebuilding ? .accepted : .ok,
            headers: job.map { [.location: "/v1/jobs/\($0.id)"] } ?? [:])
    }

    /// `snapshots,forks,sessions`, or some of them.
    private func holders(_ text: String?) throws -> Set<DocumentHolder> {
        let names = text?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
        return Set(
            try names.map { name in
                guard let holder = DocumentHolder(rawValue: name) else {
                    throw APIError(
                        status: .badRequest, code: "invalid_value", message: "'keep' names '\(name)'.",
                        parameter: "keep", accepted: DocumentHolder.allCases.map(\.rawValue))
                }
                return holder
            })
    }

    private func document(_ request: inout Request, key: String?) async throws -> DocumentSubmission {
        let body = try await request.readJSON(DocumentRequest.self, upTo: services.limits.maxBodyBytes)
        return try body.submission(maxBytes: services.limits.maxDocumentBytes, idempotencyKey: key)
    }

    /// The body is the text; `id`, `title` and `space` come as query parameters.
    private func plain(_ request: inout Request, key: String?) async throws -> DocumentSubmission {
        let query = try QueryParameters(request, accepted: ["id", "title", "space"])
        let bytes = try await request.readBody(upTo: services.limits.maxDocumentBytes)
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
            throw APIError(status: .badRequest, code: "invalid_utf8", message: "The text is not valid UTF-8.")
        }
        let body = DocumentRequest(
            text: text, id: try query.identifier("id"), title: try query.string("title"), space: try query.space())
        return try body.submission(maxBytes: services.limits.maxDocumentBytes, idempotencyKey: key)
    }

    private func stream(_ request: Request, context: ServerContext, key: String?) throws -> Response {
        guard !request.acceptsEventStream else {
            throw APIError(
                status: .notAcceptable, code: "not_acceptable",
                message: "A stream of documents is answered line by line; follow its jobs with GET /v1/jobs/{id}.",
                parameter: "Accept", accepted: [Self.ndjson])
        }
        let ingest = DocumentLines(services: services, idempotencyKey: key)
        let requestBody = request.body
        return Response(
            status: .ok,
            headers: [.contentType: Self.ndjson, .cacheControl: "no-store", .connection: "close"],
            body: ResponseBody { writer in
                var client = ClientWriter(writer)
                try await requestBody.consumeWithCancellationOnInboundClose { body in
                    try await ingest.run(body, answeringTo: &client)
                }
                try await client.finish()
            })
    }

    private func idempotencyKey(_ request: Request) throws -> String? {
        guard let key = request.headers[.idempotencyKey] else { return nil }
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw APIError.invalid("Idempotency-Key", "'Idempotency-Key' must be 1 to 255 visible ASCII characters.")
        }
        return key
    }
}
