import Foundation
import NLCore

/// The sentences of a document, each as what is said when someone asks for it.
enum AnsweredSentences {
    /// Words below which a line is a heading, or says too little to be an answer.
    static let leastWords = 3
    /// Words and characters up to which a text is said whole: its sentences speak of one thing, and "she" of the first.
    static let shortText = (words: 45, characters: 300)
    /// A sentence and the text that it is found by.
    struct Sentence: Equatable {
        var cue: String
        var text: String
    }

    /// A period, question or exclamation mark, closing quotes, and a space before what may begin a sentence.
    private static var ends: Regex<Substring> { #/[.!?…]["'”’)\]]*\s+(?=["'“‘(\[]*[\p{Lu}\p{N}\p{Lo}])|[。！？؟]/# }
    /// What an end must not follow: titles and initials, which are short and begin with a capital, and a few others.
    private static var abbreviation: Regex<Substring> {
        #/(?:^|[\s("'“])(?:\p{Lu}\p{Ll}{0,2}|(?:\p{L}\.)+\p{L}|etc|approx|vs|cf)$/#
    }
    private static var label: Regex<Substring> { #/^(?:Answer|A):\s*/# }

    /// The sentences of a text, in order, or a short text as a whole. A question belongs to what answers it, the next
    /// sentence; what a user says in a conversation is one, and what the assistant says then.
    static func of(_ text: String) -> [Sentence] {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        let isShort = trimmed.count <= shortText.characters && wordCount(trimmed) <= shortText.words
        let lines = trimmed.split(whereSeparator: \.isNewline).map(String.init)
        let asks = trimmed.contains(where: Self.questionMarks.contains) || lines.contains { turn($0) != nil }
        if isShort && !asks { return wordCount(trimmed) < leastWords ? [] : [Sentence(cue: trimmed, text: trimmed)] }
        var sentences: [Sentence] = []
        var question = ""
        func answer(_ answer: String) {
            if !answer.isEmpty && (!question.isEmpty || wordCount(answer) >= leastWords) {
                sentences.append(Sentence(cue: question + answer, text: answer))
            }
            question = ""
        }
        for line in lines {
            if let turn = turn(line) {
                if turn.isQuestion { question += turn.text + " " } else { answer(turn.text) }
                continue
            }
            for sentence in split(line) {
                if isQuestion(sentence) {
                    question += sentence + " "
                } else if case let text = sentence.replacing(label, with: ""), question.isEmpty || !text.isEmpty {
                    answer(question.isEmpty ? sentence : text)
                }
            }
        }
        return sentences
    }

    private static let questionMarks: Set<Character> = ["?", "？", "؟"]

    /// The words of a text; of scripts that write no spaces, some six letters are three.
    private static func wordCount(_ text: String) -> Int {
        let words = text.split(whereSeparator: \.isWhitespace)
        return words.count > leastWords ? words.count : max(words.count, text.matches(of: /\p{Lo}{2}/).count)
    }

    private static func isQuestion(_ sentence: String) -> Bool {
        sentence.last { !"\"'”’)]".contains($0) }.map(questionMarks.contains) ?? false
    }

    /// A line that is a turn of a conversation as ``ChatTemplate`` writes it.
    private static func turn(_ line: String) -> (isQuestion: Bool, text: String)? {
        for (mark, isQuestion) in [(ChatTemplate.questionMark, true), (ChatTemplate.answerMark, false)]
        where line.hasPrefix(mark) {
            return (isQuestion, line.dropFirst(mark.count).trimmingCharacters(in: .whitespaces))
        }
        return nil
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
