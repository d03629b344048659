/// How a conversation becomes text for a model that was trained on plain prose.
///
/// The shipped model has no chat tokens, so roles are words at the start of a paragraph:
///
///     System: Answer briefly.
///     User: Who wrote Emma?
///     Assistant:
///
/// The rendering of a longer conversation begins with the rendering of its beginning, which is what lets a
/// session recognise what it has already read.
enum ChatTemplate {
    /// Ends an answer: the model starting the user's next line is the end of its own.
    static let stop = "\nUser:"

    /// What a user's turn begins with, and what comes before an answer.
    static let questionMark = "User:"
    static let answerMark = "Assistant:"

    /// Every message on its own line, then `Assistant:` for the model to continue.
    ///
    /// - Parameter continuing: whether this follows an answer, which ended without its line break.
    static func render(_ messages: [ChatMessage], continuing: Bool = false) -> String {
        (continuing ? "\n" : "") + messages.map { "\(label($0.role)): \($0.content)\n" }.joined() + answerMark
    }

    /// The words that stand in every conversation.
    static let words = render([.system, .user, .assistant].map { ChatMessage(role: $0, content: "") })

    private static func label(_ role: ChatMessage.Role) -> String {
        switch role {
        case .system, .developer: "System"
        case .user: "User"
        case .assistant: "Assistant"
        }
    }
}
