import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Turns everything thrown below it into the error body of the route's family.
struct ErrorMiddleware: RouterMiddleware {
    let routes: RouteTable

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as BodyReadError {
            // A malformed message: Hummingbird answers 400 and closes, because nothing after it can be trusted.
            throw error.underlying
        } catch {
            let told = describe(error, request: request, context: context)
            return try told.response(path: request.uri.path, requestID: context.requestID)
        }
    }

    private func describe(_ error: any Error, request: Request, context: ServerContext) -> APIError {
        if let error = error as? HTTPError, error.status == .notFound {
            return unrouted(request)
        }
        let told = APIError(any: error)
        if told.status.code >= 500, told.status != .serviceUnavailable {
            context.logger.error("request failed", metadata: ["error": "\(error)"])
        }
        return told
    }

    private func unrouted(_ request: Request) -> APIError {
        let methods = routes.methods(for: request.uri.path).map(\.rawValue)
        guard !methods.isEmpty else {
            return APIError(
                status: .notFound, code: "unknown_route",
                message: "There is nothing at \(request.uri.path). GET /openapi.yaml describes every route.")
        }
        return APIError(
            status: .methodNotAllowed, code: "method_not_allowed",
            message: "\(request.uri.path) does not answer to \(request.method.rawValue).", accepted: methods,
            headers: [.allow: methods.joined(separator: ", ")])
    }
}

extension APIError {
    /// Any error as the wire tells it. What nobody planned for is a 500 that says nothing of the inside.
    init(any error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as EngineError: self.init(error)
        case is NIOTooManyBytesError:
            self.init(
                status: .contentTooLarge, code: "too_large", message: "The body is larger than the daemon accepts.")
        case is CancellationError:
            self.init(
                status: .serviceUnavailable, code: "cancelled", message: "The request was cancelled.",
                retryAfterSeconds: 1)
        case let error as HTTPError:
            self.init(status: error.status, code: "http_error", message: error.body ?? error.status.reasonPhrase)
        default:
            self.init(
                status: .internalServerError, code: "internal_error",
                message: "The request failed inside the daemon; its log says why, under this request's id.")
        }
    }
}
