import NLCore

/// A request's input as tokens that are to be read now.
struct InputTokens: Sendable {
    let tokens: [Int32]
    /// How many of the first tokens are not the caller's: BOS, and passages that were recalled.
    let added: Int
    /// How many tokens of the input the session has read before.
    let reused: Int

    /// - Parameters:
    ///   - transcript: what the session has read.
    ///   - recalled: passages read before the input.
    /// - Throws: ``EngineError/invalid(parameter:message:)`` for nothing to read, or ids outside the vocabulary.
    init(
        _ input: GenerationRequest.Input, after transcript: [Int32], recalled: [Int32] = [], model: LoadedModel
    ) throws(EngineError) {
        var own: [Int32]
        var reused = 0
        switch input {
        case .text(let text): own = model.tokens(of: text)
        case .tokens(let ids):
            let vocabulary = model.configuration.vocabularySize
            if let id = ids.first(where: { $0 < 0 || $0 >= vocabulary }) {
                throw .invalid(
                    parameter: "prompt", message: "Token \(id) is not in the vocabulary, 0 to \(vocabulary - 1).")
            }
            own = ids.map(Int32.init)
        case .messages(let messages):
            if case .known(let format) = model.chat {
                let reading = format.tokens(
                    of: messages, after: transcript, model.tokenizer, bos: Int32(model.configuration.bosTokenID))
                own = reading.tokens
                if reading.isRepeated { reused = transcript.count }
                break
            }
            let reading = ConversationReading(
                messages, after: model.tokenizer.decode(transcript.lazy.map(Int.init), skipSpecialTokens: true))
            own = model.tokens(of: reading.text)
            if reading.isRepeated { reused = transcript.count }
        }
        guard !own.isEmpty else { throw .invalid(parameter: "prompt", message: "There is nothing to read.") }
        let bos = Int32(model.configuration.bosTokenID)
        let addsBOS = transcript.isEmpty && own[0] != bos
        let before = addsBOS ? [bos] + recalled : recalled
        // The caller's own BOS stays first: passages come after it.
        if !addsBOS, own[0] == bos, !recalled.isEmpty {
            tokens = [bos] + recalled + own.dropFirst()
            added = 1 + recalled.count
        } else {
            tokens = before + own
            added = before.count
        }
        self.reused = reused
    }
}

/// What a session has yet to read of a conversation (design §2: input is append-only, but what is repeated is not read
/// again).
struct ConversationReading {
    /// The text to read.
    let text: String
    /// Whether the messages repeat all that the session has read, so that `text` is only what is new.
    let isRepeated: Bool

    /// - Parameter known: the text of what the session has read, answers included; empty for one that has read nothing.
    init(_ messages: [ChatMessage], after known: String) {
        let whole = Self.render(messages, as: known)
        isRepeated = !known.isEmpty && whole.utf8.count > known.utf8.count && whole.utf8.starts(with: known.utf8)
        if isRepeated {
            text = String(decoding: whole.utf8.dropFirst(known.utf8.count), as: UTF8.self)
        } else {
            text = known.isEmpty ? whole : Self.appended(messages, to: known)
        }
    }

    /// The conversation from its start, each answer with the white space that the model began it with: clients
    /// repeat an answer as it was delivered, or trimmed.
    private static func render(_ messages: [ChatMessage], as known: String) -> String {
        let opening = ChatTemplate.render([])
        var text = ""
        for message in messages {
            let delivered = text + opening + message.content
            if message.role == .assistant && known.utf8.starts(with: delivered.utf8) {
                text = delivered + "\n"
            } else {
                text += ChatTemplate.render([message]).dropLast(opening.count)
            }
        }
        return text + opening
    }

    /// New messages after what was read. An answer that was stopped leaves the beginning of the next line read
    /// (``ChatTemplate/stop``); that is not read twice.
    private static func appended(_ messages: [ChatMessage], to known: String) -> String {
        let text = ChatTemplate.render(messages, continuing: true)
        let (end, start) = (Array(known.utf8.suffix(ChatTemplate.stop.utf8.count)), Array(text.utf8))
        let overlap = (0...end.count).reversed().first { start.starts(with: end.suffix($0)) } ?? 0
        return String(decoding: start.dropFirst(overlap), as: UTF8.self)
    }
}
