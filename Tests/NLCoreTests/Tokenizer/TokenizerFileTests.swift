import Foundation
import NLCore
import Testing

/// A fixture's JSON, to be changed and read again.
struct EditableTokenizerFile {
    var root: [String: Any]

    init(_ fixture: TokenizerFixture) throws {
        root = try #require(
            JSONSerialization.jsonObject(with: Data(contentsOf: fixture.url)) as? [String: Any])
    }

    var model: [String: Any] {
        get { root["model"] as? [String: Any] ?? [:] }
        set { root["model"] = newValue }
    }

    var addedTokens: [[String: Any]] {
        get { root["added_tokens"] as? [[String: Any]] ?? [] }
        set { root["added_tokens"] = newValue }
    }

    func tokenizer() throws -> Tokenizer {
        try Tokenizer(json: JSONSerialization.data(withJSONObject: root))
    }
}

/// Would catch a file being accepted that would encode differently here than in the reference.
@Suite struct TokenizerFileTests {
    struct Change: Sendable, CustomTestStringConvertible {
        let key: String
        let json: String
        var testDescription: String { "\(key) = \(json)" }

        func apply(to file: inout EditableTokenizerFile) throws {
            let value = try JSONSerialization.jsonObject(with: Data(json.utf8), options: .fragmentsAllowed)
            if key.hasPrefix("model.") {
                file.model[String(key.dropFirst("model.".count))] = value
            } else {
                file.root[key] = value
            }
        }
    }

    private static let unsupported = [
        Change(key: "version", json: #""2.0""#),
        Change(key: "model.type", json: #""Unigram""#),
        Change(key: "model.dropout", json: "0.1"),
        Change(key: "model.continuing_subword_prefix", json: #""@@""#),
        Change(key: "model.end_of_word_suffix", json: #""</w>""#),
        Change(key: "model.vocab", json: #"{"a":0}"#),
        Change(key: "normalizer", json: #"{"type":"Lowercase"}"#),
        Change(key: "pre_tokenizer", json: #"{"type":"Metaspace"}"#),
        Change(key: "pre_tokenizer", json: "null"),
        Change(key: "decoder", json: #"{"type":"WordPiece"}"#),
        Change(key: "decoder", json: "null"),
        Change(key: "post_processor", json: #"{"type":"RobertaProcessing"}"#),
    ]

    @Test(arguments: unsupported)
    func whatIsNotSupportedIsRefusedByName(change: Change) throws {
        var file = try EditableTokenizerFile(.plain)
        try change.apply(to: &file)
        let error = #expect(throws: TokenizerError.self) { try file.tokenizer() }
        guard case .unsupported(let key, _, _) = error else {
            Issue.record("\(change.key): \(String(describing: error))")
            return
        }
        #expect(key == change.key)
    }

    @Test func byteFallbackWantsATokenForEveryByte() throws {
        var file = try EditableTokenizerFile(.plain)
        file.model["byte_fallback"] = true
        let error = #expect(throws: TokenizerError.self) { try file.tokenizer() }
        #expect(error?.description.contains("byte_fallback") == true)
    }

    private static let malformed = [
        Change(key: "model", json: "[]"),
        Change(key: "model.vocab", json: "null"),
        Change(key: "model.vocab", json: #"{"a":-1}"#),
        Change(key: "model.vocab", json: #"{"a":1.5}"#),
        Change(key: "model.vocab", json: #"{"a":4000000000}"#),
        Change(key: "model.vocab", json: #"{"a":7,"b":7}"#),
        Change(key: "model.merges", json: "{}"),
        Change(key: "model.merges", json: #"["a b c"]"#),
        Change(key: "model.merges", json: #"[["a"]]"#),
        Change(key: "model.merges", json: #"["q z"]"#),
        Change(key: "added_tokens", json: #"[{"id":900,"content":"<gap>"}]"#),
        Change(key: "added_tokens", json: #"[{"id":3,"content":"<|bos|>"}]"#),
        Change(key: "added_tokens", json: #"[{"id":458,"content":""}]"#),
        Change(key: "added_tokens", json: #"[{"id":458,"content":"<x>"},{"id":458,"content":"<x>"}]"#),
        Change(key: "added_tokens", json: #"[{"id":458,"content":"<x>","special":"yes"}]"#),
        Change(key: "added_tokens", json: #"[{"content":"<x>"}]"#),
        Change(key: "pre_tokenizer", json: #"{"type":"ByteLevel","use_regex":1.5}"#),
        Change(key: "post_processor", json: #"{"type":"Sequence"}"#),
        Change(
            key: "post_processor",
            json: #"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}],"special_tokens":{}}"#),
    ]

    @Test(arguments: malformed)
    func whatContradictsItselfIsRefusedByPlace(change: Change) throws {
        var file = try EditableTokenizerFile(.plain)
        try change.apply(to: &file)
        let error = #expect(throws: TokenizerError.self) { try file.tokenizer() }
        guard case .malformed(let key, _) = error else {
            Issue.record("\(change.key): \(String(describing: error))")
            return
        }
        #expect(key.hasPrefix(change.key), "\(key)")
    }

    @Test(arguments: ["", "{", "[]", "{} x", "\u{FEFF}{}", #"{"model":{},"model":{}}"#])
    func whatIsNotATokenizerFileIsRefused(text: String) {
        #expect(throws: TokenizerError.self) { try Tokenizer(json: Data(text.utf8)) }
    }

    @Test func aMissingFileIsNamed() {
        let url = TokenizerFixture.directory.appending(path: "absent.json")
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(contentsOf: url) }
        #expect(error?.description.contains("absent.json") == true)
    }

    @Test func bothFormsOfMergesAreOneTokenizer() throws {
        var file = try EditableTokenizerFile(.plain)
        let pairs = try #require(file.model["merges"] as? [[String]])
        file.model["merges"] = pairs.map { $0.joined(separator: " ") }
        let tokenizer = try file.tokenizer()
        for expected in try TokenizerFixture.plain.cases() { #expect(tokenizer.encode(expected.text) == expected.ids) }
    }

    @Test func withoutTheRegularExpressionMergesCrossWords() throws {
        var file = try EditableTokenizerFile(.plain)
        file.root["pre_tokenizer"] = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false]
        // "e t" cannot merge while a piece begins at the space.
        var vocabulary = try #require(file.model["vocab"] as? [String: Int])
        vocabulary["e\u{120}"] = 458
        file.model["vocab"] = vocabulary
        file.model["merges"] = [["e", "\u{120}"]]
        #expect(try file.tokenizer().encode("e t").first == 458)
        file.root["pre_tokenizer"] = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true]
        #expect(try file.tokenizer().encode("e t").first != 458)
    }
}
