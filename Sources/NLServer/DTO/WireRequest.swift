import Foundation
import Hummingbird
import NIOCore

/// A request body whose every field is known: what it does not declare is refused, with the list of what is accepted.
protocol WireRequest: Decodable, Sendable {
    associatedtype CodingKeys: CodingKey & CaseIterable & RawRepresentable where CodingKeys.RawValue == String
    /// Fields of OpenAI's that change nothing here: accepted and not read.
    static var ignoredFields: [String] { get }
    /// By default the names of `CodingKeys`.
    static var acceptedFields: [String] { get }
}

extension WireRequest {
    static var ignoredFields: [String] { [] }
    static var acceptedFields: [String] { CodingKeys.allCases.map(\.rawValue) }
}

enum WireDecoder {
    private struct AnyKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// A body with its unknown fields refused first.
    private struct Strict<Body: WireRequest>: Decodable {
        var body: Body
        init(from decoder: any Decoder) throws {
            try refuseUnknownFields(in: decoder, accepted: Body.acceptedFields, ignored: Body.ignoredFields)
            body = try Body(from: decoder)
        }
    }

    /// - Parameter field: the field whose object this is; nil for the body.
    /// - Throws: ``APIError`` 400 for a field that is neither accepted nor ignored.
    static func refuseUnknownFields(
        in decoder: any Decoder, accepted: [String], ignored: [String] = [], under field: String? = nil
    ) throws {
        let known = Set(accepted + ignored)
        let unknown = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue).filter {
            !known.contains($0)
        }
        guard let first = unknown.min() else { return }
        let name = field.map { "\($0).\(first)" } ?? first
        throw APIError(
            status: .badRequest, code: "unknown_field", message: "Unknown field '\(name)'.", parameter: name,
            accepted: accepted.sorted())
    }

    /// Decodes one JSON text.
    ///
    /// - Throws: ``APIError`` 400, saying where the text is broken or which field has the wrong type.
    static func decode<Body: WireRequest>(_ type: Body.Type = Body.self, from bytes: some Collection<UInt8>) throws
        -> Body
    {
        let data = Data(bytes)
        guard String(validating: data, as: UTF8.self) != nil else {
            throw APIError(status: .badRequest, code: "invalid_utf8", message: "The body is not valid UTF-8.")
        }
        do {
            try JSONSyntax.check(data)
        } catch {
            throw APIError(
                status: .badRequest, code: "invalid_json",
                message: "The body is not valid JSON: at byte \(error.offset), \(error.reason).")
        }
        do {
            return try JSONDecoder().decode(Strict<Body>.self, from: data).body
        } catch let error as APIError {
            throw error
        } catch let error as DecodingError {
            throw describe(error)
        }
    }

    private static func describe(_ error: DecodingError) -> APIError {
        switch error {
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            let name = path(context.codingPath)
            guard !name.isEmpty else {
                return APIError(status: .badRequest, code: "invalid_body", message: "The body must be a JSON object.")
            }
            return APIError(
                status: .badRequest, code: "invalid_type", message: "'\(name)' must be \(word(type)).", parameter: name)
        case .keyNotFound(let key, let context):
            let name = path(context.codingPath + [key])
            return APIError(
                status: .badRequest, code: "missing_field", message: "'\(name)' is required.", parameter: name)
        case .dataCorrupted(let context):
            let name = path(context.codingPath)
            // The text is valid JSON (checked before), so a value is of the wrong kind or range.
            return APIError(
                status: .badRequest, code: "invalid_type",
                message: name.isEmpty
                    ? "A number is not of the kind its field wants." : "'\(name)' \(context.debugDescription).",
                parameter: name.isEmpty ? nil : name)
        @unknown default:
            return APIError(status: .badRequest, code: "invalid_json", message: "The body could not be read.")
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.reduce("") { path, key in
            if let index = key.intValue { return "\(path)[\(index)]" }
            return path.isEmpty ? key.stringValue : "\(path).\(key.stringValue)"
        }
    }

    private static func word(_ type: any Any.Type) -> String {
        switch type {
        case is any BinaryInteger.Type: "an integer"
        case is any BinaryFloatingPoint.Type: "a number"
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any Collection.Type where "\(type)".hasPrefix("Array"): "an array"
        case is any Collection.Type: "an object"
        default: "of another type"
        }
    }
}

extension KeyedDecodingContainer {
    /// An integer or nothing; `1.5` and `"1"` are told by their field, which the decoder would not do.
    func integer(_ key: Key) throws -> Int? {
        do {
            return try decodeIfPresent(Int.self, forKey: key)
        } catch {
            throw DecodingError.typeMismatch(
                Int.self, .init(codingPath: codingPath + [key], debugDescription: "must be an integer"))
        }
    }
}

/// Range checks that name the field and what is accepted.
enum Check {
    static func range<T: Comparable>(_ value: T?, _ name: String, _ range: ClosedRange<T>) throws {
        guard let value, !range.contains(value) else { return }
        throw APIError.invalid(name, "'\(name)' must be from \(range.lowerBound) to \(range.upperBound), got \(value).")
    }

    static func notEmpty(_ value: String, _ name: String) throws {
        if value.isEmpty { throw APIError.invalid(name, "'\(name)' must not be empty.") }
    }

    /// What callers may choose as an id: it appears in paths and logs.
    static func identifier(_ value: String?, _ name: String) throws {
        guard let value else { return }
        let isAllowed = { (byte: UInt8) in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
                UInt8(ascii: ":"):
                true
            default: false
            }
        }
        guard (1...128).contains(value.utf8.count), value.utf8.allSatisfy(isAllowed), value != ".", value != ".." else {
            throw APIError.invalid(name, "'\(name)' must be 1 to 128 characters of A-Z, a-z, 0-9 and . _ - :")
        }
    }
}
