import HTTPTypes
import Hummingbird

/// Keeps other sites' pages away from a daemon on loopback, and says how our own page may behave.
///
/// A page anywhere can make a visitor's browser POST `text/plain` to `127.0.0.1`; without this it could teach the
/// model something. No CORS header is ever sent, so such a page can't read answers either.
struct BrowserGuardMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        if let origin = request.headers[HTTPField.Name("Origin")!],
            !Self.isSameOrigin(origin, as: request.head.authority)
        {
            response = try APIError(
                status: .forbidden, code: "cross_origin",
                message: "Requests from pages of another origin (\(origin)) are not accepted.", parameter: "Origin"
            ).response(path: request.uri.path, requestID: context.requestID)
        } else {
            response = try await next(request, context)
        }
        response.headers[.xContentTypeOptions] = "nosniff"
        response.headers[.contentSecurityPolicy] =
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        response.headers[HTTPField.Name("Referrer-Policy")!] = "no-referrer"
        return response
    }

    static func isSameOrigin(_ origin: String, as authority: String?) -> Bool {
        guard let authority, let separator = origin.firstRange(of: "://") else { return false }
        return origin[separator.upperBound...] == authority
    }
}
