import Hummingbird
import Logging
import NIOCore

/// Runs one generation for one client and writes it in the client's format.
///
/// In both forms the client's leaving cancels the consuming task, which stops the decoding. The connection closes
/// after the response, because noticing the client leave means reading on past the request.
struct GenerationResponder<Format: GenerationFormat>: Sendable {
    let engine: any ModelEngine
    let shutdown: ShutdownMoments
    let metrics: ServerMetrics
    var format: Format
    let generation: GenerationRequest

    /// The whole answer in one JSON body.
    func whole(_ request: Request) async throws -> Response {
        let accepted = ContinuousClock.now
        let answer = try await request.body.consumeWithCancellationOnInboundClose { _ in
            try await collect(accepted: accepted)
        }
        return try WireJSON.response(format.whole(answer), headers: [.connection: "close"])
    }

    /// Server-sent events. What the engine refuses is still a status; what fails later travels in the stream.
    func stream(_ request: Request) async throws -> Response {
        let accepted = ContinuousClock.now
        let events = try await engine.generate(generation)
        return ServerSentEvents.response(to: request) { try await write(events, accepted: accepted, to: &$0) }
    }

    private func collect(accepted: ContinuousClock.Instant) async throws -> GenerationAnswer {
        let events = try await engine.generate(generation)
        var start: GenerationStart?
        var pieces: [TokenPiece] = []
        return try await counting {
            try await shutdown.deadline.covering(events) { events in
                for try await event in events {
                    switch event {
                    case .started(let value): start = value
                    case .token(let piece):
                        if pieces.isEmpty { metrics.recordFirstToken(after: .now - accepted) }
                        pieces.append(piece)
                    case .finished(let summary):
                        try requireEnd(summary)
                        guard let start else { throw EngineError.cancelled(reason: "The generation never started.") }
                        return GenerationAnswer(start: start, pieces: pieces, summary: summary)
                    }
                }
                throw EngineError.cancelled(reason: "The generation ended without an answer.")
            }
        }
    }

    private func write(
        _ events: EventStream<GenerationEvent>, accepted: ContinuousClock.Instant, to client: inout ClientWriter
    ) async throws {
        var format = format
        var hasToken = false
        do {
            try await counting {
                try await shutdown.deadline.covering(events) { events in
                    for try await event in events {
                        switch event {
                        case .started(let start):
                            for chunk in format.opening(start) { try await client.write(ServerSentEvents.frame(chunk)) }
                        case .token(let piece):
                            if !hasToken { metrics.recordFirstToken(after: .now - accepted) }
                            hasToken = true
                            if let chunk = format.chunk(piece) { try await client.write(ServerSentEvents.frame(chunk)) }
                        case .finished(let summary):
                            try requireEnd(summary)
                            for chunk in format.closing(summary) {
                                try await client.write(ServerSentEvents.frame(chunk))
                            }
                            try await client.write(ServerSentEvents.done)
                        }
                    }
                }
            }
        } catch let error where !ClientWriter.isDeparture(error) {
            // In-band, and no [DONE]: the client can tell a cut from an end.
            try await client.write(ServerSentEvents.frame(OpenAIErrorBody(APIError(any: error))))
        }
    }

    /// Records an end; one that shutdown forced is a failure to the client.
    private func requireEnd(_ summary: GenerationSummary) throws {
        if summary.reason == .cancelled { throw EngineError.cancelled(reason: "The daemon cut this generation off.") }
        metrics.recordGeneration(summary)
    }

    /// Counts generations that end without a summary.
    private func counting<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch {
            metrics.countGeneration(reason: ClientWriter.isDeparture(error) ? "abandoned" : "failed")
            throw error
        }
    }
}
