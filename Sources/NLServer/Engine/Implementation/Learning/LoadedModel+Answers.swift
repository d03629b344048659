import NLCore

extension LoadedModel {
    /// Longest answer, in tokens: with a question as long it stays within a ``ConversationLexicon``'s reach.
    static let longestAnswer = 200

    /// A document as the learner reads it: with its sentences as answers where the settings ask for them.
    func document(_ text: String, _ settings: Acquisition.Settings) -> LearningText {
        var document = learningText(text)
        guard settings.learnsAnswers(ofTextOf: document.tokenCount), configuration.conversation != nil else {
            return document
        }
        document.answers = AnsweredSentences.of(text).compactMap(answer)
        return document
    }

    private func answer(_ sentence: AnsweredSentences.Sentence) -> LearningText.Answer? {
        let bos = Int32(configuration.bosTokenID)
        let question = [ChatMessage(role: .user, content: sentence.cue)]
        var (text, end) = (" " + sentence.text, configuration.eosTokenID)
        if case .known(let dialect) = chat {
            (text, end) = (sentence.text, tokenizer.id(of: dialect.endOfTurn) ?? end)
        }
        let answer = LearningText.Answer(
            prompt: [bos] + chat.tokens(of: question, tokenizer), reply: tokens(of: text), end: Int32(end))
        return answer.reply.count <= Self.longestAnswer && answer.prompt.count <= 2 * Self.longestAnswer ? answer : nil
    }
}

extension ConversationLexicon {
    /// The lexicon of a model whose slots know words; nil for others, which hold no answers.
    ///
    /// Marks are cut out of conversations as they are written, since a tokenizer may cut the same characters otherwise at
    /// the beginning of a text, of a line, and behind a sign.
    convenience init?(_ tokenizer: Tokenizer, _ chat: ChatDialect.Detection, of configuration: HopeConfiguration) {
        guard configuration.levels.contains(where: { $0.slots?.words != nil }) else { return nil }
        func tokens(_ turns: [(role: ChatMessage.Role, text: String)]) -> [Int32] {
            chat.tokens(of: turns.map { ChatMessage(role: $0.role, content: $0.text) }, tokenizer)
        }
        func common(_ texts: [some Collection<Int32>]) -> Int {
            guard let first = texts.first else { return 0 }
            return zip(first.indices, 0...).prefix { index, place in
                texts.allSatisfy { $0.dropFirst(place).first == first[index] }
            }.count
        }
        // Conversations that differ in what is said agree in their marks, before it and behind it. It begins and ends
        // with whatever might grow together with a mark.
        let said = ["a", "The", "Who?", "1", "it.", "東", "(so)", "élan"]
        var marks: (question: [[Int32]], answer: [[Int32]]) = ([], [])
        for isFirst in [true, false] {
            func asked(_ text: String, after before: String) -> [Int32] {
                tokens((isFirst ? [] : [(.user, before), (.assistant, before)]) + [(.user, text)])
            }
            let texts = said.map { asked($0, after: "One.") }
            let rest = texts[0].count - common(texts)
            // Of what comes before a later question the turns before it are no part.
            let prefixes = said.map { asked(said[0], after: $0).dropLast(rest) }
            let length = isFirst ? prefixes[0].count : common(prefixes.map { $0.reversed() })
            marks.question.append(Array(prefixes[0].suffix(length)))
            marks.answer.append(texts[0].suffix(common(texts.map { $0.reversed() })))
        }
        self.init(
            questionMarks: marks.question, answerMarks: marks.answer,
            spelling: tokenizer.texts(ofModelWith: configuration.vocabularySize))
    }
}

extension ChatDialect.Detection {
    /// A conversation and the beginning of the answer, as a model reads them.
    fileprivate func tokens(of messages: [ChatMessage], _ tokenizer: Tokenizer) -> [Int32] {
        if case .known(let dialect) = self { return dialect.tokens(of: messages, after: [], tokenizer, bos: -1).tokens }
        return tokenizer.encode(ChatTemplate.render(messages), parseSpecialTokens: false).map(Int32.init)
    }
}
