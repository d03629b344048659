import Foundation
import NLCore

/// The template of a chat model: signs of its own around every message.
///
/// The four common ones, recognised by their words in `tokenizer_config.json`; the template language itself is not run.
/// A default system message that a template adds where there is none is not added here.
struct ChatDialect: Sendable, Equatable {
    enum Kind: String, Sendable, CaseIterable {
        case chatML = "ChatML"
        case llama3 = "Llama 3"
        case mistral = "Mistral"
        case zephyr = "Zephyr"
    }

    /// What a template file says.
    enum Detection: Sendable, Equatable {
        case none
        case known(ChatDialect)
        case unknown(String)
    }

    /// A part of a conversation.
    enum Segment: Sendable, Equatable {
        /// A special token.
        case sign(String)
        /// Text, in which no special token is read: nobody ends a turn by naming its end.
        case text(String)

        var content: String {
            switch self {
            case .sign(let text), .text(let text): text
            }
        }
    }

    let kind: Kind
    /// The token that ends an answer.
    let endOfTurn: String
    /// Whether the marks of Mistral's template are tokens.
    private let hasMarks: Bool

    // MARK: - Detection

    private struct Settings: Decodable {
        struct Named: Decodable {
            var name: String
            var template: String
        }
        enum Template: Decodable {
            case one(String), several([Named])

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let text = try? container.decode(String.self) {
                    self = .one(text)
                } else {
                    self = .several(try container.decode([Named].self))
                }
            }
        }
        var chat_template: Template?

        var template: String? {
            switch chat_template {
            case nil: nil
            case .one(let text): text
            case .several(let named): (named.first { $0.name == "default" } ?? named.first)?.template
            }
        }
    }

    /// The file that may hold a template: `tokenizer_config.json`, or with newer tools `chat_template.jinja`, which is put
    /// where the older ones have it.
    static func settings(in directory: URL) throws -> Data? {
        let settings = FileManager.default.contents(
            atPath: directory.appending(path: ModelFile.tokenizerSettings.rawValue).path)
        guard let jinja = FileManager.default.contents(atPath: directory.appending(path: "chat_template.jinja").path)
        else { return settings }
        var object = try settings.map { try JSONSerialization.jsonObject(with: $0) as? [String: Any] ?? [:] } ?? [:]
        object["chat_template"] = String(decoding: jinja, as: UTF8.self)
        return try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
    }

    /// Which template it is, and whether the tokenizer has its signs.
    static func detect(_ settings: Data?, tokenizer: Tokenizer) -> Detection {
        guard let settings else { return .none }
        guard let read = try? JSONDecoder().decode(Settings.self, from: settings) else {
            return .unknown("tokenizer_config.json can't be read")
        }
        guard let template = read.template else { return .none }
        func has(_ tokens: String...) -> Bool { tokens.allSatisfy { tokenizer.id(of: $0) != nil } }
        let format: ChatDialect
        let signs: Bool
        if template.contains("<|im_start|>") {
            format = ChatDialect(kind: .chatML, endOfTurn: "<|im_end|>", hasMarks: false)
            signs = has("<|im_start|>", "<|im_end|>")
        } else if template.contains("<|start_header_id|>") {
            format = ChatDialect(kind: .llama3, endOfTurn: "<|eot_id|>", hasMarks: false)
            signs = has("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
        } else if template.contains("[INST]"), !template.contains("<<SYS>>") {
            format = ChatDialect(kind: .mistral, endOfTurn: "</s>", hasMarks: has("[INST]", "[/INST]"))
            signs = has("</s>")
        } else if template.contains("<|user|>"), template.contains("<|assistant|>"), template.contains("eos_token") {
            format = ChatDialect(kind: .zephyr, endOfTurn: "</s>", hasMarks: false)
            signs = has("</s>")
        } else {
            return .unknown(
                "not one of " + Kind.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return signs ? .known(format) : .unknown("\(format.kind.rawValue), but the tokenizer lacks its signs")
    }

    // MARK: - Rendering

    /// A conversation and the beginning of the answer.
    func render(_ messages: [ChatMessage]) -> [Segment] {
        var segments: [Segment] = []
        var pending: String?
        for message in messages {
            let (role, content) = (Self.name(of: message.role), message.content)
            switch kind {
            case .chatML:
                segments += [.sign("<|im_start|>"), .text("\(role)\n\(content)"), .sign(endOfTurn), .text("\n")]
            case .llama3: segments += header(role) + [.text(Self.trimmed(content)), .sign(endOfTurn)]
            case .zephyr: segments += [.text("<|\(role)|>\n\(content)"), .sign(endOfTurn), .text("\n")]
            case .mistral:
                switch role {
                case "system": pending = (pending.map { $0 + "\n\n" } ?? "") + content
                case "user":
                    let text = (pending.map { $0 + "\n\n" } ?? "") + content
                    segments += [mark("[INST]"), .text(" \(text) "), mark("[/INST]")]
                    pending = nil
                default: segments += [.text(" \(Self.trimmed(content))"), .sign(endOfTurn)]
                }
            }
        }
        return Self.joined(segments + opening)
    }

    /// What an answer begins with.
    private var opening: [Segment] {
        switch kind {
        case .chatML: [.sign("<|im_start|>"), .text("assistant\n")]
        case .llama3: header("assistant")
        case .zephyr: [.text("<|assistant|>\n")]
        case .mistral: []
        }
    }

    private func header(_ role: String) -> [Segment] {
        [.sign("<|start_header_id|>"), .text(role), .sign("<|end_header_id|>"), .text("\n\n")]
    }

    private func mark(_ name: String) -> Segment { hasMarks ? .sign(name) : .text(name) }

    private static func name(of role: ChatMessage.Role) -> String {
        switch role {
        case .system, .developer: "system"
        case .user: "user"
        case .assistant: "assistant"
        }
    }

    private static func trimmed(_ text: String) -> String { text.trimmingCharacters(in: .whitespacesAndNewlines) }

    private static func joined(_ segments: [Segment]) -> [Segment] {
        var result: [Segment] = []
        for segment in segments {
            if case .text(let text) = segment, case .text(let before) = result.last {
                result[result.count - 1] = .text(before + text)
            } else {
                result.append(segment)
            }
        }
        return result
    }

    // MARK: - Reading

    /// What a session has yet to read of a conversation.
    ///
    /// - Parameter transcript: what it has read; where the messages repeat it, what is new is returned, else all of them
    ///   after the end of the last turn.
    func tokens(
        of messages: [ChatMessage], after transcript: [Int32], _ tokenizer: Tokenizer, bos: Int32
    ) -> (tokens: [Int32], isRepeated: Bool) {
        let whole = tokens(render(messages), tokenizer)
        if transcript.isEmpty { return (whole, false) }
        let known = transcript.first == bos ? Array(transcript.dropFirst()) : transcript
        if whole.count > known.count, whole.starts(with: known) { return (Array(whole[known.count...]), true) }
        // The same text in other tokens: an answer as it was generated, and as it is repeated.
        let knownText = Array(tokenizer.decode(known.lazy.map(Int.init), skipSpecialTokens: false).utf8)
        if let rest = Self.rest(of: render(messages), after: knownText) { return (tokens(rest, tokenizer), true) }
        var lead: [Segment] = []
        if let end = tokenizer.id(of: endOfTurn), transcript.last.map(Int.init) != end { lead = [.sign(endOfTurn)] }
        if kind == .chatML || kind == .zephyr { lead.append(.text("\n")) }
        return (tokens(Self.joined(lead + render(messages)), tokenizer), false)
    }

    /// The segments after a text that they begin with; nil if they don't, or end with it.
    private static func rest(of segments: [Segment], after known: [UInt8]) -> [Segment]? {
        var left = known[...]
        for (index, segment) in segments.enumerated() {
            let bytes = Array(segment.content.utf8)
            if left.count >= bytes.count {
                guard left.starts(with: bytes) else { return nil }
                left = left.dropFirst(bytes.count)
                continue
            }
            guard bytes.starts(with: left) else { return nil }
            if left.isEmpty { return Array(segments[index...]) }
            guard case .text = segment else { return nil }
            return [.text(String(decoding: bytes[left.count...], as: UTF8.self))] + segments[(index + 1)...]
        }
        return nil
    }

    private func tokens(_ segments: [Segment], _ tokenizer: Tokenizer) -> [Int32] {
        segments.flatMap { segment in
            switch segment {
            case .sign(let name): tokenizer.id(of: name).map { [Int32($0)] } ?? []
            case .text(let text): tokenizer.encode(text, parseSpecialTokens: false).map(Int32.init)
            }
        }
    }
}
