import Foundation
import TestSupport
import Testing

@testable import NLCore
@testable import NLServer

/// The four templates, as their models were trained on them, and what a session has read of a conversation.
@Suite struct ChatDialectTests {
    private static let turns = [
        ChatMessage(role: .system, content: "Be brief."), ChatMessage(role: .user, content: "Who?"),
        ChatMessage(role: .assistant, content: "Emma."), ChatMessage(role: .user, content: "When?"),
    ]

    /// A byte-level tokenizer with the signs of a template.
    private func tokenizer(_ signs: [String]) throws -> Tokenizer {
        let read = try JSONSerialization.jsonObject(with: Data(contentsOf: TestModel.tokenizerFile))
        var file = try #require(read as? [String: Any])
        var added = try #require(file["added_tokens"] as? [[String: Any]])
        for (index, sign) in signs.enumerated() {
            added.append(["id": 458 + index, "content": sign, "special": true, "normalized": false])
        }
        file["added_tokens"] = added
        return try Tokenizer(json: JSONSerialization.data(withJSONObject: file))
    }

    private func detect(_ template: String, _ tokenizer: Tokenizer) throws -> ChatDialect.Detection {
        ChatDialect.detect(
            try JSONSerialization.data(withJSONObject: ["chat_template": template]), tokenizer: tokenizer)
    }

    private static let forms: [(String, [String], String)] = [
        (
            "{{ '<|im_start|>' + message['role'] }}", ["<|im_start|>", "<|im_end|>"],
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nEmma.<|im_end|>\n"
                + "<|im_start|>user\nWhen?<|im_end|>\n<|im_start|>assistant\n"
        ),
        (
            "{{ '<|start_header_id|>' + role }}", ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
            "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>"
                + "<|start_header_id|>assistant<|end_header_id|>\n\nEmma.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhen?<|eot_id|>"
                + "<|start_header_id|>assistant<|end_header_id|>\n\n"
        ),
        (
            "{{ '[INST] ' + content + ' [/INST]' }}", ["</s>"],
            "[INST] Be brief.\n\nWho? [/INST] Emma.</s>[INST] When? [/INST]"
        ),
        (
            "{{ '<|user|>\n' + content + eos_token }}{{ '<|assistant|>' }}", ["</s>"],
            "<|system|>\nBe brief.</s>\n<|user|>\nWho?</s>\n<|assistant|>\nEmma.</s>\n<|user|>\nWhen?</s>\n<|assistant|>\n"
        ),
    ]

    @Test(arguments: 0..<4)
    func conversationsAreWrittenAsTheModelKnowsThem(index: Int) throws {
        let (template, signs, expected) = Self.forms[index]
        let tokenizer = try tokenizer(signs)
        guard case .known(let dialect) = try detect(template, tokenizer) else {
            Issue.record("\(template) is not recognised")
            return
        }
        #expect(dialect.render(Self.turns).map(\.content).joined() == expected)
        let (tokens, isRepeated) = dialect.tokens(of: Self.turns, after: [], tokenizer, bos: 0)
        #expect(!isRepeated)
        #expect(tokenizer.decode(tokens.map(Int.init), skipSpecialTokens: false) == expected)
        #expect(tokens.contains { $0 >= 458 })
    }

    /// Answers are learned and said where a turn is seen to be a question, the first and later ones.
    @Test(arguments: 0..<5)
    func questionsAreSeenInTokens(index: Int) throws {
        let (template, signs, _) = index < 4 ? Self.forms[index] : ("", [], "")
        let tokenizer = try tokenizer(signs)
        let chat: ChatDialect.Detection = index < 4 ? try detect(template, tokenizer) : .none
        var configuration = TestModel.configuration
        configuration.vocabularySize += signs.count
        configuration.levels[1].slots = .init(capacity: 8, contextSize: 64, words: 64)
        let lexicon = try #require(ConversationLexicon(tokenizer, chat, of: configuration))
        for turns in [[Self.turns[1]], Array(Self.turns.prefix(2)), Self.turns, Array(Self.turns.dropFirst())] {
            let tokens: [Int32]
            if case .known(let dialect) = chat {
                tokens = [0] + dialect.tokens(of: turns, after: [], tokenizer, bos: 0).tokens
            } else {
                tokens = [0] + tokenizer.encode(ChatTemplate.render(turns), parseSpecialTokens: false).map(Int32.init)
            }
            let reply = try #require(lexicon.replies(in: tokens, last: 1)[0], "\(template), \(turns.count) turns")
            #expect(reply.start == tokens.count)
            #expect(lexicon.replies(in: Array(tokens.dropLast()), last: 1) == [nil])
            let question = tokenizer.decode(tokens[reply.question].map(Int.init), skipSpecialTokens: false)
            #expect(question.contains(turns.last?.content ?? "") && !question.contains("Emma"), "\(question)")
        }
        let prose = tokenizer.encode("Who?\n\nEmma. user\nassistant\nWhen?", parseSpecialTokens: false).map(Int32.init)
        #expect(lexicon.replies(in: [0] + prose, last: prose.count).allSatisfy { $0 == nil })
    }

    @Test(arguments: 0..<4)
    func whatWasReadIsNotReadTwice(index: Int) throws {
        let (template, signs, _) = Self.forms[index]
        let tokenizer = try tokenizer(signs)
        guard case .known(let dialect) = try detect(template, tokenizer) else { return }
        let first = dialect.tokens(of: Array(Self.turns.prefix(2)), after: [], tokenizer, bos: 0).tokens
        let answer = tokenizer.encode(dialect.kind == .mistral ? " Emma." : "Emma.").map(Int32.init)
        let known = [0] + first + answer
        let repeated = dialect.tokens(of: Self.turns, after: known, tokenizer, bos: 0)
        #expect(repeated.isRepeated)
        let whole = dialect.tokens(of: Self.turns, after: [], tokenizer, bos: 0).tokens
        #expect(Array(known.dropFirst()) + repeated.tokens == whole)
        // Only what is new was sent: the open turn is ended first.
        let new = dialect.tokens(of: [Self.turns[3]], after: known, tokenizer, bos: 0)
        #expect(!new.isRepeated)
        #expect(Array(known.dropFirst()) + new.tokens == whole)
    }

    /// A sign that a user writes is text.
    @Test func nobodyEndsATurnByNamingItsEnd() throws {
        let tokenizer = try tokenizer(["<|im_start|>", "<|im_end|>"])
        guard case .known(let dialect) = try detect("<|im_start|>", tokenizer) else { return }
        let tokens = dialect.tokens(
            of: [ChatMessage(role: .user, content: "<|im_end|>")], after: [], tokenizer, bos: 0
        ).tokens
        #expect(tokens.count { $0 == 459 } == 1)
    }

    @Test func otherTemplatesAreSaidToBeUnknown() throws {
        let plain = try tokenizer([])
        #expect(ChatDialect.detect(nil, tokenizer: plain) == .none)
        #expect(ChatDialect.detect(Data("{}".utf8), tokenizer: plain) == .none)
        guard case .unknown(let reason) = try detect("<|im_start|>", plain) else {
            Issue.record("a template without its signs")
            return
        }
        #expect(reason.contains("ChatML"))
        guard case .unknown = try detect("### Human:", plain) else {
            Issue.record("an unknown template")
            return
        }
    }
}
