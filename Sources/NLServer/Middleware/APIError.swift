import HTTPTypes

/// One refusal or failure as the wire sees it, before it is written as an OpenAI object or as problem+json.
struct APIError: Error, Sendable, Equatable {
    var status: HTTPResponse.Status
    /// A stable `snake_case` word that clients may switch on.
    var code: String
    /// What was wrong and what is accepted.
    var message: String
    /// The offending field, query parameter or header.
    var parameter: String?
    /// What would have been accepted, where that is a list.
    var accepted: [String]?
    var retryAfterSeconds: Int?
    /// Of the line of an NDJSON stream, from 1.
    var line: Int?
    /// Of a document that was deleted.
    var receipt: ForgetReceipt?
    var headers: HTTPFields = [:]

    /// RFC 9457 `type`: a name, not an address.
    var type: String { "urn:nlserver:error:\(code)" }

    /// RFC 9457 `title`: the same for every occurrence of `code`.
    var title: String {
        code.replacing("_", with: " ").prefix(1).uppercased() + code.replacing("_", with: " ").dropFirst()
    }

    /// OpenAI's `type`: its own words where it has one.
    var openAIType: String {
        switch status.code {
        case 403: "permission_error"
        case 404 where code.hasSuffix("_not_found"): "not_found_error"
        case 429: "rate_limit_error"
        case 503: "unavailable_error"
        case 500...: "server_error"
        default: "invalid_request_error"
        }
    }
}

extension APIError {
    /// 400 on one field.
    static func invalid(_ parameter: String, _ message: String) -> APIError {
        APIError(status: .badRequest, code: "invalid_value", message: message, parameter: parameter)
    }

    /// 410 on a document that was deleted, with its receipt.
    static func gone(_ receipt: ForgetReceipt) -> APIError {
        let rest =
            switch receipt.state {
            case .rebuilding: "what was learned of it is being removed"
            case .forgotten: "the receipt says what may still hold it"
            case .failed: "removing what was learned of it failed; delete it again to try again"
            }
        return APIError(
            status: .gone, code: "document_forgotten",
            message: "Document '\(receipt.document)' was deleted: \(rest).", receipt: receipt)
    }

    /// How an engine's refusal is told.
    init(_ error: EngineError) {
        switch error {
        case .notFound(let resource, let id):
            self.init(
                status: .notFound, code: "\(resource.rawValue)_not_found",
                message: "There is no \(resource.rawValue) '\(id)'. \(Self.whereToLook(resource))",
                parameter: resource.rawValue)
        case .conflict(let code, let message):
            self.init(status: .conflict, code: code, message: message)
        case .sessionInUse(let id):
            self.init(
                status: .conflict, code: "session_in_use",
                message: "Session '\(id)' is being read by another request. Wait for it to end, or fork the session.",
                parameter: "session", retryAfterSeconds: 1)
        case .quotaExceeded(let message):
            self.init(status: .forbidden, code: "quota_exceeded", message: message, parameter: "space")
        case .readOnly(let action):
            self.init(
                status: .forbidden, code: "read_only",
                message: "Cannot \(action): the daemon runs with --read-only, which keeps the database as it is.")
        case .invalid(let parameter, let message):
            self = .invalid(parameter, message)
        case .tooLarge(let parameter, let message):
            self.init(status: .contentTooLarge, code: "too_large", message: message, parameter: parameter)
        case .overloaded(let queue, let delay):
            self.init(
                status: .tooManyRequests, code: "overloaded",
                message: "The \(queue) is full. Try again after the seconds in Retry-After.",
                retryAfterSeconds: delay.wholeSeconds)
        case .unavailable(let reason, let delay):
            self.init(
                status: .serviceUnavailable, code: "unavailable", message: reason, retryAfterSeconds: delay.wholeSeconds
            )
        case .storage(.diskFull, let message):
            self.init(
                status: .init(code: 507, reasonPhrase: "Insufficient Storage"), code: "disk_full", message: message)
        case .storage(let failure, let message):
            self.init(status: .internalServerError, code: "storage_\(failure.rawValue)", message: message)
        case .numerics(let message):
            self.init(status: .internalServerError, code: "non_finite", message: message)
        case .cancelled(let reason):
            self.init(status: .serviceUnavailable, code: "cancelled", message: reason, retryAfterSeconds: 1)
        case .modelDirectory(let path, let message):
            self.init(status: .serviceUnavailable, code: "model_directory", message: "\(path): \(message)")
        case .databaseOfAnotherModel(let path, let expected, let found):
            self.init(
                status: .serviceUnavailable, code: "database_of_another_model",
                message: "\(path) belongs to model \(found), not \(expected). Start the daemon with that model, with "
                    + "another database, or with --relearn to learn again on this model what the database has.")
        }
    }

    private static func whereToLook(_ resource: EngineError.Resource) -> String {
        switch resource {
        case .model: "GET /v1/models lists what is served."
        case .space: "GET /v1/spaces lists them; POST /v1/spaces makes one."
        case .session: "GET /v1/sessions lists them; POST /v1/sessions makes one."
        case .document: "GET /v1/documents lists them."
        case .job: "GET /v1/jobs lists them."
        case .level: "GET /v1/memory/levels lists them."
        case .consolidation: "GET /v1/memory/consolidations lists them."
        case .snapshot: "GET /v1/memory/snapshots lists those of a space."
        }
    }
}

extension Duration {
    /// Rounded up, at least 1: `Retry-After` has no fractions.
    var wholeSeconds: Int {
        let parts = components
        return max(1, Int(parts.seconds) + (parts.attoseconds > 0 ? 1 : 0))
    }

    /// As a number, for wire fields and metrics.
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
