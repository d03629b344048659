import NIOCore
import NIOHTTP1
import NIOPosix

/// A small HTTP/1.1 client: plain text, one connection a request, bodies streamed no faster than they are read.
struct HTTPExchange: Sendable {
    struct Answer: Sendable {
        /// The status code.
        var status: Int
        var body = ByteBuffer()
    }

    let host: String
    let port: Int

    /// Sends one request and reads the whole answer, which may come while the body is still being sent.
    ///
    /// - Parameter body: pieces, each written when the one before it has been taken.
    /// - Throws: ``EvaluationError`` if nobody answers; `CancellationError`.
    func send(
        _ method: HTTPMethod, _ path: String, body: [ByteBuffer] = [], contentType: String? = nil
    ) async throws -> Answer {
        let channel: NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>
        do {
            channel = try await connect()
        } catch {
            throw EvaluationError("nobody answers at \(host):\(port): \(error)")
        }
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: path)
        head.headers.add(name: "Host", value: "\(host):\(port)")
        head.headers.add(name: "Connection", value: "close")
        if let contentType { head.headers.add(name: "Content-Type", value: contentType) }
        if !body.isEmpty {
            head.headers.add(name: "Content-Length", value: "\(body.reduce(0) { $0 + $1.readableBytes })")
        }
        return try await channel.executeThenClose { [head] inbound, outbound in
            async let sent: Void = Self.write(head, body, to: outbound)
            if let answer = try await Self.read(inbound) { return answer }
            try Task.checkCancellation()
            try await sent
            throw EvaluationError("\(method) \(path): the connection was closed before the answer was whole")
        }
    }

    private func connect() async throws -> NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart> {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(10))
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
    }

    private static func write(
        _ head: HTTPRequestHead, _ body: [ByteBuffer], to outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
    ) async throws {
        try await outbound.write(.head(head))
        for piece in body { try await outbound.write(.body(.byteBuffer(piece))) }
        try await outbound.write(.end(nil))
    }

    /// - Returns: nil if the connection ended first.
    private static func read(_ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>) async throws -> Answer? {
        var answer: Answer?
        for try await part in inbound {
            switch part {
            case .head(let head): answer = Answer(status: Int(head.status.code))
            case .body(var bytes): answer?.body.writeBuffer(&bytes)
            case .end: return answer
            }
        }
        return nil
    }
}
