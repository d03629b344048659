import Foundation

/// A JSON document the store keeps for its caller and does not look into.
///
/// Keys are sorted when encoding, so that equal values are equal bytes and the checksums over them agree.
public struct JSONText: Sendable, Hashable, CustomStringConvertible {
    /// The UTF-8 text.
    public let text: String

    /// `{}`.
    public static let empty = JSONText(unchecked: "{}")

    /// - Throws: what `JSONEncoder` throws, for a NaN for example.
    public init(encoding value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        text = String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    init(unchecked text: String) { self.text = text }

    /// - Throws: what `JSONDecoder` throws.
    public func decoded<Value: Decodable>(as type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }

    /// The text itself.
    public var description: String { text }
}
