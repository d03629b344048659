import NLCore
import Testing

@testable import NLServer

/// Would catch: a conversation that is read twice, or with a line too many or too few.
@Suite(.timeLimit(.minutes(10))) struct ConversationTests {
    private let user = ChatMessage(role: .user, content: "Who wrote Emma?")

    @Test func aFreshSessionReadsTheWhole() {
        let reading = ConversationReading([user], after: "")
        #expect(reading.text == "User: Who wrote Emma?\nAssistant:")
        #expect(!reading.isRepeated)
    }

    /// Clients repeat an answer as it was delivered; one space at its beginning may be gone.
    @Test(arguments: [
        ("Jane Austen.", "Jane Austen."), (" Jane Austen.", " Jane Austen."), (" Jane Austen.", "Jane Austen."),
        ("\nJane Austen.", "\nJane Austen."), ("", ""),
    ])
    func whatIsRepeatedIsNotReadAgain(delivered: String, repeated: String) {
        let reading = ConversationReading(
            [user, ChatMessage(role: .assistant, content: repeated), ChatMessage(role: .user, content: "When?")],
            after: "User: Who wrote Emma?\nAssistant:" + delivered)
        #expect(reading.isRepeated)
        #expect(reading.text == "\nUser: When?\nAssistant:")
    }

    @Test(arguments: ["", "\n", "\nUs", "\nUser"]) func aStoppedAnswerLeavesNoLineTwice(read: String) {
        let known = "User: Who wrote Emma?\nAssistant: Jane Austen." + read
        let new = ConversationReading([ChatMessage(role: .user, content: "When?")], after: known)
        #expect(!new.isRepeated)
        #expect(known + new.text == "User: Who wrote Emma?\nAssistant: Jane Austen.\nUser: When?\nAssistant:")
        let repeated = ConversationReading(
            [
                user, ChatMessage(role: .assistant, content: "Jane Austen."),
                ChatMessage(role: .user, content: "When?"),
            ], after: known)
        #expect(repeated.isRepeated)
        #expect(known + repeated.text == "User: Who wrote Emma?\nAssistant: Jane Austen.\nUser: When?\nAssistant:")
    }

    @Test func anotherConversationIsAppended() {
        let known = "User: Who wrote Emma?\nAssistant: Jane Austen."
        let reading = ConversationReading(
            [user, ChatMessage(role: .assistant, content: "Someone."), ChatMessage(role: .user, content: "When?")],
            after: known)
        #expect(!reading.isRepeated)
        #expect(reading.text.hasPrefix("\nUser: Who wrote Emma?"))
    }

    @Test func aSessionReadsOnlyWhatIsNew() async throws {
        let home = try EngineHome()
        try await home.run { engine async throws in
            // An answer that is whole characters: another's text is not what was read, and is not recognised.
            var seed: UInt64 = 1
            while try await engine.answer(.test(.messages([user]), maxTokens: 6, seed: seed)).text.contains("\u{FFFD}")
            {
                seed += 1
            }
            try await engine.makeSession("s")
            let first = try await engine.answer(.test(.messages([user]), session: "s", maxTokens: 6, seed: seed))
            let read = try engine.transcript(of: "s").count
            #expect(first.start.reusedTokenCount == 0 && read == first.start.promptTokenCount + 6)
            let whole = [
                user, ChatMessage(role: .assistant, content: first.text), ChatMessage(role: .user, content: "?"),
            ]
            let second = try await engine.answer(.test(.messages(whole), session: "s", maxTokens: 0))
            #expect(second.start.reusedTokenCount == read)
            #expect(second.summary.usage.reusedTokens == read)
            let all = try engine.transcript(of: "s")
            #expect(all.count == second.start.promptTokenCount)
            let text = try engine.running().context.model.tokenizer.decode(all.map(Int.init), skipSpecialTokens: true)
            #expect(text == "User: Who wrote Emma?\nAssistant:\(first.text)\nUser: ?\nAssistant:")
        }
    }
}
