import HTTPTypes
import Hummingbird
import NIOCore

/// Frames of `text/event-stream`.
enum ServerSentEvents {
    static let headers: HTTPFields = [
        .contentType: "text/event-stream", .cacheControl: "no-store",
        // Proxies that buffer would hold tokens back; this is the one they agree on.
        HTTPField.Name("X-Accel-Buffering")!: "no",
    ]

    /// A stream of events that ends when the client leaves.
    static func response(
        to request: Request, _ write: @escaping @Sendable (inout ClientWriter) async throws -> Void
    ) -> Response {
        let requestBody = request.body
        var headers = headers
        headers[.connection] = "close"
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                var client = ClientWriter(writer)
                try await requestBody.consumeWithCancellationOnInboundClose { _ in try await write(&client) }
                try await client.finish()
            })
    }

    /// The literal that ends a stream of OpenAI's API.
    static let done = ByteBuffer(string: "data: [DONE]\n\n")

    /// One event. A line break inside the data starts another `data:` line, as the format wants.
    static func frame(event: String? = nil, data: ByteBuffer) -> ByteBuffer {
        var frame = ByteBuffer()
        frame.reserveCapacity(data.readableBytes + 32)
        if let event { frame.writeString("event: \(event)\n") }
        for line in data.readableBytesView.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            frame.writeString("data: ")
            frame.writeBytes(line)
            frame.writeString("\n")
        }
        frame.writeString("\n")
        return frame
    }

    static func frame(event: String? = nil, _ value: some Encodable) throws -> ByteBuffer {
        frame(event: event, data: try WireJSON.encode(value))
    }
}
