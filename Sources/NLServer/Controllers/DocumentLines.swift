import Hummingbird
import NIOCore

/// A stream of documents: reads a line, commits it, answers a line, in this order and one at a time.
///
/// Nothing is read ahead of what is committed but one network buffer, so a sender that is faster than the disk is
/// slowed by TCP. A line that is refused is answered with a problem object and its number; the next is read.
struct DocumentLines: Sendable {
    /// JSON escapes at most six bytes for one of the text (`\u0000`), and the other fields want a little room.
    static func maxLineBytes(maxDocumentBytes: Int) -> Int { maxDocumentBytes * 6 + 65_536 }

    let services: ServerServices
    let idempotencyKey: String?

    /// Takes documents until the stream ends or the daemon shuts down.
    func run(_ body: RequestBody, answeringTo client: inout ClientWriter) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let chunks = EventChannel<ByteBuffer>(capacity: 1)
            let stream = chunks.makeStream()
            group.addTask {
                do {
                    for try await chunk in body { try await chunks.send(chunk) }
                    chunks.finish()
                } catch {
                    chunks.finish(throwing: error)
                }
            }
            defer { group.cancelAll() }
            try await take(stream, &client)
        }
    }

    private func take(_ chunks: EventStream<ByteBuffer>, _ client: inout ClientWriter) async throws {
        var lines = LineSplitter(limit: Self.maxLineBytes(maxDocumentBytes: services.limits.maxDocumentBytes))
        do {
            try await services.shutdown.draining.covering(chunks) { chunks in
                for try await chunk in chunks {
                    lines.append(chunk)
                    while let line = lines.next() {
                        try await answer(line, number: lines.lineNumber, &client)
                    }
                }
            }
            if let line = lines.last() {
                try await answer(line, number: lines.lineNumber, &client)
            }
        } catch let error as EngineError {
            // Shutting down: the lines from here on were not read.
            try await refuse(APIError(error), line: lines.lineNumber + 1, &client)
        }
    }

    /// - Throws: only what ends the stream: the client's departure, or the daemon's.
    private func answer(_ line: LineSplitter.Line, number: Int, _ client: inout ClientWriter) async throws {
        let acceptance: DocumentAcceptance
        do {
            acceptance = try await accept(line, number: number)
        } catch let error where !ClientWriter.isDeparture(error) {
            return try await refuse(APIError(any: error), line: number, &client)
        }
        services.metrics.countDocumentLine(outcome: acceptance.isNew ? "accepted" : "existing")
        try await write(WireAcceptance(acceptance, line: number), &client)
    }

    private func accept(_ line: LineSplitter.Line, number: Int) async throws -> DocumentAcceptance {
        let limit = services.limits.maxDocumentBytes
        guard case .text(let bytes) = line else {
            throw APIError(
                status: .contentTooLarge, code: "too_large",
                message: "The line has more than \(Self.maxLineBytes(maxDocumentBytes: limit)) bytes.")
        }
        let body = try WireDecoder.decode(DocumentRequest.self, from: bytes.readableBytesView)
        let key = idempotencyKey.map { "\($0)#\(number)" }
        return try await services.engine.acceptDocument(body.submission(maxBytes: limit, idempotencyKey: key))
    }

    private func refuse(_ error: APIError, line: Int, _ client: inout ClientWriter) async throws {
        var error = error
        error.line = line
        services.metrics.countDocumentLine(outcome: "refused")
        try await write(ProblemBody(error), &client)
    }

    private func write(_ value: some Encodable, _ client: inout ClientWriter) async throws {
        var bytes = try WireJSON.encode(value)
        bytes.writeString("\n")
        try await client.write(bytes)
    }
}
