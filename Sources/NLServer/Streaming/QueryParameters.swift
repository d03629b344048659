import Hummingbird

/// A request's query, checked against what the route accepts.
struct QueryParameters {
    private let values: [String: String]

    /// - Throws: ``APIError`` 400 for a parameter the route does not know, or one given twice.
    init(_ request: Request, accepted: [String]) throws {
        var values: [String: String] = [:]
        for (name, value) in request.uri.queryParameters {
            let (name, value) = (String(name), String(value))
            guard accepted.contains(name) else {
                throw APIError(
                    status: .badRequest, code: "unknown_parameter", message: "Unknown query parameter '\(name)'.",
                    parameter: name, accepted: accepted)
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw APIError.invalid(name, "'\(name)' is given twice.")
            }
        }
        self.values = values
    }

    func string(_ name: String) throws -> String? {
        guard let value = values[name] else { return nil }
        try Check.notEmpty(value, name)
        return value
    }

    /// An id, or `nil`.
    func identifier(_ name: String) throws -> String? {
        let value = try string(name)
        try Check.identifier(value, name)
        return value
    }

    /// `space`, by default the one that always exists.
    func space() throws -> String { try identifier("space") ?? Space.default }

    /// `limit` and `after`.
    func page() throws -> PageRequest {
        var page = PageRequest()
        if let limit = try string("limit") {
            guard let number = Int(limit) else { throw APIError.invalid("limit", "'limit' must be an integer.") }
            try Check.range(number, "limit", 1...1000)
            page.limit = number
        }
        page.after = try identifier("after")
        return page
    }
}

/// Names of spaces.
enum Space {
    static let `default` = "default"
}
