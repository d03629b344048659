import Foundation
import NLCore

/// The sentences of a document, each as what is said when someone asks for it.
enum AnsweredSentences {
    /// Words below which a line is a heading, or says too little to be an answer.
    static let leastWords = 3
    /// Words and characters up to which a text is said whole: its sentences speak of one thing, and "she" of the first.
    static let shortText = (words: 45, characters: 300)
    /// Documents of fewer tokens are learned as answers too.
    static let longestDocument = 1_000
    /// Longest answer, in tokens: with a question as long it stays within ``ConversationLexicon``'s reach.
    static let longestAnswer = 200

    /// A sentence and the text that it is found by.
    struct Sentence: Equatable {
        var cue: String
        var text: String
    }

    /// A period, question or exclamation mark, closing quotes, and a space before what may begin a sentence.
    private static var ends: Regex<Substring> { #/[.!?…]["'”’)\]]*\s+(?=["'“‘(\[]*[\p{Lu}\p{N}\p{Lo}])|[。！？]/# }
    /// What an end must not follow: titles and initials, which are short and begin with a capital, and a few others.
    private static var abbreviation: Regex<Substring> {
        #/(?:^|[\s("'“])(?:\p{Lu}\p{Ll}{0,2}|(?:\p{L}\.)+\p{L}|etc|approx|vs|cf)$/#
    }
    private static var label: Regex<Substring> { #/^(?:Answer|A):\s*/# }

    /// The sentences of a text, in order, or a short text as a whole. A question belongs to what answers it, the next sentence.
    static func of(_ text: String) -> [Sentence] {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        let words = trimmed.split(whereSeparator: \.isWhitespace).count
        if trimmed.count <= shortText.characters, (leastWords...shortText.words).contains(words), !trimmed.contains("?")
        {
            return [Sentence(cue: trimmed, text: trimmed)]
        }
        var sentences: [Sentence] = []
        var question: String?
        for sentence in text.split(whereSeparator: \.isNewline).flatMap({ split(String($0)) }) {
            if sentence.hasSuffix("?") {
                question = (question.map { $0 + " " } ?? "") + sentence
                continue
            }
            let answer = question == nil ? sentence : sentence.replacing(label, with: "")
            let isEnough =
                answer.split(whereSeparator: \.isWhitespace).count >= leastWords || answer.contains(/\p{Lo}{6}/)
            if isEnough || question != nil {
                sentences.append(Sentence(cue: (question.map { $0 + " " } ?? "") + answer, text: answer))
            }
            question = nil
        }
        return sentences
    }

    private static func split(_ line: String) -> [String] {
        var sentences: [String] = []
        var start = line.startIndex
        for match in line.matches(of: ends) {
            let before = line[start..<match.range.lowerBound].suffix(12)
            if line[match.range].first == ".", before.contains(abbreviation) { continue }
            sentences.append(line[start..<match.range.upperBound].trimmingCharacters(in: .whitespaces))
            start = match.range.upperBound
        }
        sentences.append(line[start...].trimmingCharacters(in: .whitespaces))
        return sentences.filter { !$0.isEmpty }
    }
}

extension LoadedModel {
    /// A document as the learner reads it.
    ///
    /// - Parameter answered: with its sentences as answers, unless it is long, or a conversation itself.
    func document(_ text: String, answered: Bool) -> LearningText {
        var document = learningText(text)
        guard answered, document.tokenCount < AnsweredSentences.longestDocument,
            let lexicon = configuration.conversation, !lexicon.marks(document.inputs)
        else { return document }
        document.answers = AnsweredSentences.of(text).compactMap { sentence in
            let question = ChatMessage(role: .user, content: sentence.cue)
            let prompt: [Int32]
            let reply: [Int32]
            var end = Int32(configuration.eosTokenID)
            if case .known(let dialect) = chat {
                prompt =
                    dialect.tokens(of: [question], after: [], tokenizer, bos: Int32(configuration.bosTokenID)).tokens
                reply = tokens(of: sentence.text)
                end = tokenizer.id(of: dialect.endOfTurn).map(Int32.init) ?? end
            } else {
                prompt = tokens(of: ChatTemplate.render([question]))
                reply = tokens(of: " " + sentence.text)
            }
            guard reply.count <= AnsweredSentences.longestAnswer, prompt.count <= 2 * AnsweredSentences.longestAnswer
            else { return nil }
            return LearningText.Answer(prompt: [Int32(configuration.bosTokenID)] + prompt, reply: reply, end: end)
        }
        return document
    }
}

extension ConversationLexicon {
    /// The lexicon of a model whose slots know words; nil for others, which hold no answers.
    convenience init?(_ tokenizer: Tokenizer, _ chat: ChatDialect.Detection, of configuration: HopeConfiguration) {
        guard configuration.levels.contains(where: { $0.slots?.words != nil }) else { return nil }
        func tokens(_ text: String) -> [Int32] { tokenizer.encode(text, parseSpecialTokens: false).map(Int32.init) }
        let marks: (question: [[Int32]], answer: [[Int32]])
        if case .known(let dialect) = chat {
            marks = dialect.marks(tokenizer)
        } else {
            // At the beginning of a text, and of a line: a tokenizer may cut the two differently.
            let line = tokens("a\n")
            func cuts(_ text: String) -> [[Int32]] {
                let within = tokens("a\n" + text)
                return [tokens(text)] + (within.starts(with: line) ? [Array(within.dropFirst(line.count))] : [])
            }
            marks = (cuts(ChatTemplate.questionMark), cuts(ChatTemplate.answerMark))
        }
        self.init(
            questionMarks: marks.question, answerMarks: marks.answer,
            spelling: (0..<configuration.vocabularySize).map { id in
                id < tokenizer.vocabularySize && !tokenizer.isSpecial(id) ? Array(tokenizer.bytes(of: id)) : nil
            })
    }
}
