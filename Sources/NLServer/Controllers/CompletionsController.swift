import Foundation
import Hummingbird

/// OpenAI's routes: completions, chat completions, models.
struct CompletionsController: Sendable {
    let services: ServerServices

    func addRoutes(to router: Router<ServerContext>) {
        router.post("/v1/completions", use: complete)
        router.post("/v1/chat/completions", use: chat)
        router.get("/v1/models", use: models)
        router.get("/v1/models/{model}", use: model)
    }

    @Sendable func complete(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readJSON(CompletionRequest.self, upTo: services.limits.maxBodyBytes)
        let generation = try body.generation(limits: services.limits, requestID: context.requestID)
        let envelope = try await envelope(generation, body.fields)
        return try await answer(request, CompletionFormat(envelope), generation, isStreamed: body.fields.isStreamed)
    }

    @Sendable func chat(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let body = try await request.readJSON(ChatCompletionRequest.self, upTo: services.limits.maxBodyBytes)
        let generation = try body.generation(limits: services.limits, requestID: context.requestID)
        let envelope = try await envelope(generation, body.fields)
        return try await answer(request, ChatFormat(envelope), generation, isStreamed: body.fields.isStreamed)
    }

    @Sendable func models(_ request: Request, context: ServerContext) async throws -> Response {
        try WireJSON.response(WireModels(data: try await services.engine.models().map(WireModel.init)))
    }

    @Sendable func model(_ request: Request, context: ServerContext) async throws -> Response {
        try WireJSON.response(WireModel(try await services.model(named: context.parameters.require("model"))))
    }

    private func envelope(_ generation: GenerationRequest, _ fields: GenerationFields) async throws
        -> GenerationEnvelope
    {
        GenerationEnvelope(
            request: generation, model: try await services.model(named: fields.model).id,
            created: Int(Date().timeIntervalSince1970), includesUsage: fields.includesUsage)
    }

    private func answer(
        _ request: Request, _ format: some GenerationFormat, _ generation: GenerationRequest, isStreamed: Bool
    ) async throws -> Response {
        let responder = GenerationResponder(
            engine: services.engine, shutdown: services.shutdown, metrics: services.metrics, format: format,
            generation: generation)
        return isStreamed ? try await responder.stream(request) : try await responder.whole(request)
    }
}
