import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// The body could not be read because the message itself is malformed or was cut off.
struct BodyReadError: Error {
    var underlying: any Error
}

extension Request {
    /// The `Content-Type` without its parameters, lower case; `nil` if there is none.
    var mediaType: String? {
        headers[.contentType]?.split(separator: ";").first.map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
    }

    /// Whether the client asked to follow by server-sent events.
    var acceptsEventStream: Bool {
        headers[values: .accept].contains { $0.lowercased().contains("text/event-stream") }
    }

    /// Reads the whole body and stores it back, which keeps `consumeWithCancellationOnInboundClose` usable afterwards:
    /// reading `body` directly and then using that helper ends the process when the client closes.
    ///
    /// - Throws: ``APIError`` 413; ``BodyReadError`` if the message is malformed.
    mutating func readBody(upTo limit: Int, named parameter: String? = nil) async throws -> ByteBuffer {
        let tooLarge = APIError(
            status: .contentTooLarge, code: "too_large", message: "The body may have at most \(limit) bytes.",
            parameter: parameter)
        if let announced = headers[.contentLength].flatMap(Int.init), announced > limit { throw tooLarge }
        do {
            return try await collectBody(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        } catch {
            throw BodyReadError(underlying: error)
        }
    }

    /// Reads and decodes a JSON body; no `Content-Type` is taken for JSON.
    ///
    /// - Throws: ``APIError`` 413, 415, 400.
    mutating func readJSON<Body: WireRequest>(_ type: Body.Type = Body.self, upTo limit: Int) async throws -> Body {
        try requireMediaType(in: ["application/json"], orNone: true)
        let bytes = try await readBody(upTo: limit)
        return try WireDecoder.decode(Body.self, from: bytes.readableBytesView)
    }

    /// - Throws: ``APIError`` 415 with the list.
    func requireMediaType(in accepted: [String], orNone: Bool = false) throws {
        guard let mediaType else {
            if orNone { return }
            throw APIError(
                status: .unsupportedMediaType, code: "unsupported_media_type",
                message: "Say what the body is in Content-Type.", parameter: "Content-Type", accepted: accepted)
        }
        guard accepted.contains(mediaType) else {
            throw APIError(
                status: .unsupportedMediaType, code: "unsupported_media_type",
                message: "Content-Type '\(mediaType)' is not read here.", parameter: "Content-Type", accepted: accepted)
        }
    }
}

extension Request {
    /// As ``readJSON(_:upTo:)``, for routes where every field has a default: no body at all gives `fallback`.
    mutating func readOptionalJSON<Body: WireRequest>(_ fallback: Body, upTo limit: Int) async throws -> Body {
        let bytes = try await readBody(upTo: limit)
        if bytes.readableBytes == 0 { return fallback }
        return try await readJSON(Body.self, upTo: limit)
    }
}
