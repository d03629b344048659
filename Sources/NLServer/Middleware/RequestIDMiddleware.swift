import Foundation
import HTTPTypes
import Hummingbird
import Logging

extension HTTPField.Name {
    static let requestID = HTTPField.Name("X-Request-Id")!
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
}

/// Gives every request an id: the caller's if it is one we would print, else a new one.
struct RequestIDMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.requestID = Self.accepted(request.headers[.requestID]) ?? UUID().uuidString.lowercased()
        context.logger[metadataKey: LogKey.requestID] = .string(context.requestID)
        context.logger[metadataKey: "hb.request.id"] = nil
        var response = try await next(request, context)
        response.headers[.requestID] = context.requestID
        return response
    }

    /// Letters, digits and a little punctuation: it is echoed into a header and into logs.
    static func accepted(_ id: String?) -> String? {
        guard let id, (try? Check.identifier(id, "X-Request-Id")) != nil else { return nil }
        return id
    }
}
