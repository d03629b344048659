import Foundation
import NLCore
import TestSupport
import Testing

/// Tokenizers of the forms that imported models bring, against Hugging Face's `tokenizers` on hard texts
/// (`Tests/Fixtures/Reference/tokenizer_families_golden.py`).
@Suite struct TokenizerFamilyTests {
    private struct Case: Decodable {
        let text: String
        let ids: [Int]
        let framedIDs: [Int]
        let unparsedIDs: [Int]
        let decoded: String
    }

    private static let directory = Fixtures.directory("Tokenizer").appending(path: "Families")

    @Test(arguments: ["llama3", "qwen2", "smollm", "llama2", "mistral", "tinychat"])
    func idsAreThoseOfTheReference(name: String) throws {
        let golden = try JSONDecoder().decode(
            [String: [Case]].self, from: Data(contentsOf: Self.directory.appending(path: "golden.json")))
        let cases = try #require(golden[name])
        #expect(cases.count > 80)
        let tokenizer = try Tokenizer(contentsOf: Self.directory.appending(path: "\(name).json"))
        for expected in cases {
            let text = expected.text
            #expect(tokenizer.encode(text) == expected.ids, "\(name): \(text.debugDescription)")
            #expect(tokenizer.encode(text, addSpecialTokens: true) == expected.framedIDs, "\(text.debugDescription)")
            #expect(
                tokenizer.encode(text, parseSpecialTokens: false) == expected.unparsedIDs, "\(text.debugDescription)")
            #expect(
                tokenizer.decode(expected.ids, skipSpecialTokens: false) == expected.decoded, "\(text.debugDescription)"
            )
        }
    }

    /// Long texts without a space are not quadratic, and both ways to cut give what one call gives.
    @Test(arguments: ["llama3", "llama2"])
    func longTextsAreRead(name: String) throws {
        let tokenizer = try Tokenizer(contentsOf: Self.directory.appending(path: "\(name).json"))
        let text = String(repeating: "lighthouse", count: 20_000)
        #expect(tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: true) == text)
    }

    @Test func foreignExpressionsAreRefusedByKey() throws {
        var text = try String(contentsOf: Self.directory.appending(path: "llama3.json"), encoding: .utf8)
        text = text.replacingOccurrences(of: "{1,3}", with: "{1,4}")
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(json: Data(text.utf8)) }
        #expect(error?.description.contains("pre_tokenizer.pattern") == true)
    }
}
