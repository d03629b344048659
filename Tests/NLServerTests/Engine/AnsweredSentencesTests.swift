import ArgumentParser
import Foundation
import NLCore
import Testing

@testable import NLServer

/// What of a document is said when someone asks, and what only looks like the end of a sentence.
@Suite struct AnsweredSentencesTests {
    private func texts(_ text: String) -> [String] { AnsweredSentences.of(text).map(\.text) }

    /// Longer than what is said whole.
    private static let rest = (1...12).map { "Sentence number \($0) of a long text says this." }

    @Test(arguments: [
        (
            "Anna lives in Paris. She sings well! Does she? She does so daily.",
            ["Anna lives in Paris.", "She sings well!", "She does so daily."]
        ),
        (
            "Dr. Amira Haddad of St. Ives met J. K. Low at 3 p.m. She was late.",
            ["Dr. Amira Haddad of St. Ives met J. K. Low at 3 p.m. She was late."]
        ),
        ("It costs 3.50 euros. 20 are left in stock.", ["It costs 3.50 euros.", "20 are left in stock."]),
        ("He said \"Go away.\" Then he went home.", ["He said \"Go away.\"", "Then he went home."]),
        (
            "History.\nThe mill was built in 1702.\n\nIt burnt down… Nobody rebuilt it.",
            ["The mill was built in 1702.", "It burnt down…", "Nobody rebuilt it."]
        ),
        ("see gate.example.org and v1.2.3 for more", ["see gate.example.org and v1.2.3 for more"]),
        ("東京都は日本の首都である。大阪は西にある都市だ。", ["東京都は日本の首都である。", "大阪は西にある都市だ。"]),
        ("Yes. No.", []),
        ("Well... that is all!!! Wait?! Nobody came then.", ["Well... that is all!!!", "Nobody came then."]),
        (String(repeating: ".", count: 20_000), []),
    ])
    func sentencesOfALongText(text: String, sentences: [String]) {
        #expect(texts(([text] + Self.rest).joined(separator: "\n")) == sentences + Self.rest)
    }

    @Test(arguments: [
        "Anna lives in Paris. She sings well!", "Things to buy:\n- milk\n- bread", "wifi password: blue-horse-42",
    ])
    func aShortTextIsSaidWhole(text: String) { #expect(texts(" \(text)\n") == [text]) }

    @Test(arguments: ["", " \n\n ", "Yes.", "Or not?"]) func whatSaysNothingIsNoAnswer(text: String) {
        #expect(texts(text).isEmpty)
    }

    @Test func aQuestionBelongsToItsAnswer() {
        let taught = AnsweredSentences.of(
            "Question: Who is Jaime's father?\nAnswer: A ballet dancer.\nHe lives in Lima.")
        #expect(
            taught == [
                .init(cue: "Question: Who is Jaime's father? A ballet dancer.", text: "A ballet dancer."),
                .init(cue: "He lives in Lima.", text: "He lives in Lima."),
            ])
        // Whatever the sign, and wherever the label stands.
        for text in ["谁住在巴黎？安娜住在巴黎。", "He asked \"who?\" Anna lives in Paris.", "Q?\nAnswer:\nAnna lives in Paris."] {
            #expect(AnsweredSentences.of(text).count == 1 && texts(text).first?.hasSuffix("?") == false, "\(text)")
        }
        #expect(texts("Question: Capital of France?\nAnswer: Paris.") == ["Paris."])
        // One that nothing follows is not said.
        #expect(texts("Anna lives in Paris. Or does she?") == ["Anna lives in Paris."])
    }

    @Test func aConversationAnswersAsItsAssistantDid() {
        let taught = AnsweredSentences.of(
            "User: Where is Anna.\nAssistant: In Paris. Or Rome.\nUser: And Bob?\nAssistant: At home.")
        #expect(
            taught == [
                .init(cue: "Where is Anna. In Paris. Or Rome.", text: "In Paris. Or Rome."),
                .init(cue: "And Bob? At home.", text: "At home."),
            ])
    }

    @Test func answersComeWithDocumentsUpToALength() throws {
        let home = try EngineHome()
        let options = ["--tokens", "1024", "--capacity", "400", "--context-size", "48"]
        try AddSlotsCommand.parse(["--model", home.model.path, "--output", home.model.path] + options).run()
        let model = try LoadedModel(directory: home.model.path)
        let text = "Anna lives in Paris. Who? Her cat is called Felix."
        var settings = Acquisition.Settings()
        #expect(model.document(text, settings).answers.isEmpty)
        settings.answers = true
        let document = model.document(text, settings)
        #expect(document.targets == model.learningText(text).targets)
        #expect(
            document.answers.map { model.tokenizer.decode($0.reply.map(Int.init), skipSpecialTokens: false) } == [
                " Anna lives in Paris.", " Her cat is called Felix.",
            ])
        let prompt = try #require(document.answers.first).prompt.dropFirst().map(Int.init)
        #expect(model.tokenizer.decode(prompt, skipSpecialTokens: false) == "User: Anna lives in Paris.\nAssistant:")
        // Long texts and sentences have none; as long as nothing else is said, from 1,000 tokens on.
        let many = String(repeating: text + " ", count: 60)
        #expect(model.document(many, settings).answers.isEmpty)
        settings.longestAnswered = model.learningText(many).tokenCount
        #expect(model.document(many, settings).answers.count == 120)
        settings.longestAnswered = model.learningText(many).tokenCount - 1
        #expect(model.document(many, settings).answers.isEmpty)
        // What the daemon is told is what an event notes.
        var configuration = EngineConfiguration(modelPath: home.model.path, databasePath: "")
        configuration.longestAnswered = 77
        #expect(configuration.acquisition(model).learnsAnswers(ofTextOf: 77))
        #expect(!configuration.acquisition(model).learnsAnswers(ofTextOf: 78))
        configuration.longestAnswered = 0
        #expect(configuration.acquisition(model).answers == nil)
        let long = "It is " + String(repeating: "very ", count: 200) + "far? Anna lives in Paris. It is so."
        #expect(model.document(long, settings).answers.count == 1)
        // Without words in slots nothing is found by them.
        let plain = try EngineHome()
        #expect(try LoadedModel(directory: plain.model.path).document(text, settings).answers.isEmpty)
    }
}
