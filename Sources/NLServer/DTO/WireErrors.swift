import Hummingbird

/// The error object of OpenAI's API: `{"error": {…}}`.
struct OpenAIErrorBody: Encodable, Sendable {
    struct Detail: Encodable, Sendable {
        var message: String
        var type: String
        @Nullable var param: String?
        @Nullable var code: String?
        var accepted: [String]?
    }
    var error: Detail

    init(_ error: APIError) {
        self.error = Detail(
            message: error.message, type: error.openAIType, param: error.parameter, code: error.code,
            accepted: error.accepted)
    }
}

/// RFC 9457 `application/problem+json`, with our extension members.
struct ProblemBody: Encodable, Sendable {
    var type: String
    var title: String
    var status: Int
    var detail: String
    var instance: String?
    var code: String
    var parameter: String?
    var accepted: [String]?
    var retryAfterSeconds: Int?
    var line: Int?
    var receipt: WireForgetReceipt?
    var requestId: String?

    init(_ error: APIError, instance: String? = nil, requestID: String? = nil) {
        type = error.type
        title = error.title
        status = error.status.code
        detail = error.message
        self.instance = instance
        code = error.code
        parameter = error.parameter
        accepted = error.accepted
        retryAfterSeconds = error.retryAfterSeconds
        line = error.line
        receipt = error.receipt.map(WireForgetReceipt.init)
        requestId = requestID
    }
}

extension APIError {
    /// Whether this path belongs to OpenAI's API and so answers with its error object.
    static func isOpenAIRoute(_ path: String) -> Bool {
        ["/v1/completions", "/v1/chat", "/v1/models"].contains { path == $0 || path.hasPrefix($0 + "/") }
    }

    /// The response, in the shape that the route's clients know.
    func response(path: String, requestID: String) throws -> Response {
        var headers = headers
        if let retryAfterSeconds { headers[.retryAfter] = String(retryAfterSeconds) }
        if Self.isOpenAIRoute(path) {
            return try WireJSON.response(OpenAIErrorBody(self), status: status, headers: headers)
        }
        headers[.contentType] = "application/problem+json"
        return try WireJSON.response(
            ProblemBody(self, instance: path, requestID: requestID), status: status, headers: headers)
    }
}
