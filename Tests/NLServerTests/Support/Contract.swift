import Foundation
import Yams

@testable import NLServer

/// `openapi.yaml`, and the part of JSON Schema that it uses.
struct Contract {
    static var file: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "openapi.yaml")
    }

    let root: JSONValue

    init(yaml: String) throws {
        root = JSONValue(any: try Yams.load(yaml: yaml))
    }

    init() throws {
        try self.init(yaml: String(contentsOf: Self.file, encoding: .utf8))
    }

    static let methods = ["get", "post", "put", "patch", "delete"]

    /// `GET /v1/jobs` and the like.
    var operations: [(name: String, operation: JSONValue)] {
        (root["paths"]?.object ?? [:]).flatMap { path, item in
            Self.methods.compactMap { method in item[method].map { ("\(method.uppercased()) \(path)", $0) } }
        }.sorted { $0.0 < $1.0 }
    }

    func resolved(_ value: JSONValue) -> JSONValue {
        guard let reference = value["$ref"]?.string, reference.hasPrefix("#/") else { return value }
        let target = reference.dropFirst(2).split(separator: "/").reduce(Optional(root)) { $0?[String($1)] }
        return target.map(resolved) ?? .null
    }

    func schema(named name: String) -> JSONValue? { root["components"]?["schemas"]?[name] }

    /// What is wrong with a response, in words; empty if nothing.
    func problems(operation name: String, status: Int, mediaType: String, body: String) throws -> [String] {
        guard let operation = operations.first(where: { $0.name == name })?.operation else {
            return ["no operation \(name)"]
        }
        guard let response = operation["responses"]?[String(status)].map(resolved) else {
            return ["\(name) does not document \(status)"]
        }
        guard let content = response["content"]?.object else {
            return body.isEmpty ? [] : ["\(name) \(status) documents no body, got \(body)"]
        }
        guard let media = content[mediaType] else { return ["\(name) \(status) does not document \(mediaType)"] }
        guard mediaType.hasSuffix("json"), let schema = media["schema"] else { return [] }
        return problems(in: try JSONValue(parsing: body), schema: schema, at: "\(name) \(status)")
    }

    func problems(in value: JSONValue, schema unresolved: JSONValue, at path: String) -> [String] {
        let schema = resolved(unresolved)
        guard case .object(let rules) = schema else { return ["\(path): the schema is missing (\(unresolved))"] }
        var found: [String] = []
        if let types = rules["type"].map({ $0.array?.compactMap(\.string) ?? [$0.string ?? ""] }) {
            guard types.contains(where: { Self.matches(value, type: $0) }) else {
                return ["\(path): \(value) is not \(types)"]
            }
        }
        if let constant = rules["const"], constant != value { found.append("\(path): \(value) is not \(constant)") }
        if let allowed = rules["enum"]?.array, !allowed.contains(value) {
            found.append("\(path): \(value) is not in \(allowed)")
        }
        found += composition(value, rules, path) + scalar(value, rules, path)
        switch value {
        case .object(let fields): found += object(fields, rules, path)
        case .array(let items):
            if let rule = rules["items"] {
                found += items.enumerated().flatMap { problems(in: $1, schema: rule, at: "\(path)[\($0)]") }
            }
            if let least = rules["minItems"]?.int, items.count < least {
                found.append("\(path): fewer than \(least) items")
            }
            if let most = rules["maxItems"]?.int, items.count > most {
                found.append("\(path): more than \(most) items")
            }
        default: break
        }
        return found
    }

    private func object(_ fields: [String: JSONValue], _ rules: [String: JSONValue], _ path: String) -> [String] {
        let properties = rules["properties"]?.object ?? [:]
        var found = (rules["required"]?.array ?? []).compactMap(\.string).filter { fields[$0] == nil }
            .map { "\(path): '\($0)' is missing" }
        for (name, value) in fields {
            if let rule = properties[name] {
                found += problems(in: value, schema: rule, at: "\(path).\(name)")
            } else if rules["additionalProperties"] == .bool(false) {
                found.append("\(path): '\(name)' is not documented")
            } else if let rule = rules["additionalProperties"], rule.object != nil {
                found += problems(in: value, schema: rule, at: "\(path).\(name)")
            }
        }
        return found
    }

    private func composition(_ value: JSONValue, _ rules: [String: JSONValue], _ path: String) -> [String] {
        var found: [String] = []
        if let choices = rules["oneOf"]?.array {
            let matching = choices.count { problems(in: value, schema: $0, at: path).isEmpty }
            if matching != 1 { found.append("\(path): \(value) matches \(matching) of its alternatives, not one") }
        }
        if let choices = rules["anyOf"]?.array,
            !choices.contains(where: { problems(in: value, schema: $0, at: path).isEmpty })
        {
            found.append("\(path): \(value) matches none of its alternatives")
        }
        if let rule = rules["not"], problems(in: value, schema: rule, at: path).isEmpty {
            found.append("\(path): \(value) matches what it must not")
        }
        return found
    }

    private func scalar(_ value: JSONValue, _ rules: [String: JSONValue], _ path: String) -> [String] {
        var found: [String] = []
        if let number = value.number {
            if let least = rules["minimum"]?.number, number < least {
                found.append("\(path): \(number) is below \(least)")
            }
            if let most = rules["maximum"]?.number, number > most {
                found.append("\(path): \(number) is above \(most)")
            }
        }
        if let text = value.string {
            if let least = rules["minLength"]?.int, text.count < least { found.append("\(path): too short") }
            if let pattern = rules["pattern"]?.string, text.range(of: pattern, options: .regularExpression) == nil {
                found.append("\(path): '\(text)' does not match \(pattern)")
            }
            if rules["format"]?.string == "date-time", (try? Date(text, strategy: WireJSON.timestamp)) == nil {
                found.append("\(path): '\(text)' is no time")
            }
        }
        return found
    }

    private static func matches(_ value: JSONValue, type: String) -> Bool {
        switch (type, value) {
        case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array), ("object", .object),
            ("integer", .integer), ("number", .integer), ("number", .number):
            true
        default: false
        }
    }
}
