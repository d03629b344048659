/// What OpenAI's API takes as one value or as an array of them.
struct OneOrMany: Decodable, Sendable {
    var values: [String]

    init(from decoder: any Decoder) throws {
        if let one = try? decoder.singleValueContainer().decode(String.self) {
            values = [one]
        } else if let many = try? decoder.singleValueContainer().decode([String].self) {
            values = many
        } else {
            throw DecodingError.wrongShape(decoder, "must be a string or an array of strings")
        }
    }
}

/// The `prompt` of a completion: a string, token ids, or an array with exactly one of either.
enum WirePrompt: Decodable, Sendable {
    case text(String)
    case tokens([Int])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let tokens = try? container.decode([Int].self) {
            self = .tokens(tokens)
        } else if let texts = try? container.decode([String].self) {
            self = .text(try Self.only(texts, decoder))
        } else if let lists = try? container.decode([[Int]].self) {
            self = .tokens(try Self.only(lists, decoder))
        } else {
            throw DecodingError.wrongShape(
                decoder, "must be a string, an array of token ids, or an array with one of these")
        }
    }

    private static func only<T>(_ prompts: [T], _ decoder: any Decoder) throws -> T {
        guard let prompt = prompts.first, prompts.count == 1 else {
            throw DecodingError.wrongShape(decoder, "holds \(prompts.count) prompts; send one prompt a request")
        }
        return prompt
    }
}

/// The `content` of a chat message: a string, or parts of type `text`.
struct WireContent: Decodable, Sendable {
    private struct Part: Decodable {
        var type: String
        var text: String?
    }

    var text: String

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            self.text = text
        } else if let parts = try? container.decode([Part].self),
            parts.allSatisfy({ $0.type == "text" && $0.text != nil })
        {
            text = parts.compactMap(\.text).joined()
        } else {
            throw DecodingError.wrongShape(decoder, "must be a string or an array of parts of type 'text'")
        }
    }
}

extension DecodingError {
    static func wrongShape(_ decoder: any Decoder, _ message: String) -> DecodingError {
        .dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: message))
    }
}
