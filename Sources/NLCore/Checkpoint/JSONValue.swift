/// A JSON document, parsed strictly and kept in order.
///
/// Foundation's parser keeps one of two equal keys without saying so, which lets a hostile safetensors header
/// describe a tensor twice, and it turns integers into doubles on request. This one refuses repeated keys
/// (compared byte for byte, not by Unicode equivalence), keeps integers exact and bounds the nesting.
enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    var string: String? { if case .string(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    var integer: Int? { if case .integer(let value) = self { value } else { nil } }
    var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    var object: JSONObject? { if case .object(let value) = self { value } else { nil } }

    /// What kind of value it is, for messages.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// The members of a JSON object in the order of the file.
struct JSONObject: Equatable, Sendable {
    var members: [(key: String, value: JSONValue)]

    /// The value of `key`; linear, meant for objects with a handful of members.
    subscript(key: String) -> JSONValue? {
        members.first { $0.key == key }?.value
    }

    static func == (lhs: JSONObject, rhs: JSONObject) -> Bool {
        lhs.members.elementsEqual(rhs.members) { $0.key == $1.key && $0.value == $1.value }
    }
}

/// Where and why a text is not JSON.
struct JSONError: Error, CustomStringConvertible {
    let offset: Int
    let reason: String

    var description: String { "invalid JSON at byte \(offset): \(reason)" }
}

/// Appends `text` as a JSON string literal: quotes, backslashes and controls escaped, the rest as UTF-8.
func appendJSONString(_ text: String, to output: inout [UInt8]) {
    let hexadecimal = Array("0123456789abcdef".utf8)
    output.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
        case 0..<0x20:
            output += "\\u00".utf8
            output += [hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
        default: output.append(byte)
        }
    }
    output.append(UInt8(ascii: "\""))
}
