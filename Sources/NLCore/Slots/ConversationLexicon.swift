/// How a model's tokens are spelled, and which of them mark turns of a conversation: what it takes to see a question, and
/// the answer under way, in a stream of tokens.
///
/// It comes of the tokenizer and the chat template, and stands in no model file: whoever loads a model gives it to its
/// geometry (``HopeConfiguration/conversation``). Compared by identity.
public final class ConversationLexicon: Sendable, Hashable {
    /// Where a stream is in an answer: which of its tokens are the question, and the first of the answer's own.
    struct Reply: Hashable {
        var question: Range<Int>
        var start: Int
    }

    /// Tokens that are looked back at: a question and its answer, together with the mark before them.
    static let reach = 512
    /// Longest mark, in tokens; longer ones are none. So a row sees the same whatever was read with it.
    static let longestMark = 16
    /// Endings that make no other word of a stem of three letters and more, the longest first: "lives", "lived" and
    /// "living" ask for what "live" says. English; where they are no endings, two words are now and then taken for one.
    private static let endings = ["ings", "ing", "ies", "ied", "es", "ed", "s", "e", "y"].map { Array($0.utf8) }
    private static let leastStem = 3

    private let questionMarks: [[Int32]]
    private let answerMarks: [[Int32]]
    /// The last token of every mark.
    private let lastOfMarks: [Int32]
    /// What tokens are spelled with, one after the other.
    private let bytes: [UInt8]
    /// Where each token's begin; one more than there are tokens.
    private let starts: [Int]

    /// A lexicon.
    ///
    /// - Parameters:
    ///   - questionMarks: token sequences that begin a user's turn.
    ///   - answerMarks: those that end where an answer begins.
    ///   - spelling: the bytes of each token; nil for a mark that is not text.
    public init(questionMarks: [[Int32]], answerMarks: [[Int32]], spelling: [[UInt8]?]) {
        func usable(_ marks: [[Int32]]) -> [[Int32]] { marks.filter { (1...Self.longestMark).contains($0.count) } }
        (self.questionMarks, self.answerMarks) = (usable(questionMarks), usable(answerMarks))
        lastOfMarks = (self.questionMarks + self.answerMarks).compactMap(\.last)
        var bytes: [UInt8] = []
        var starts = [0]
        for token in spelling {
            // A mark ends the word before it, as a space does.
            bytes += token ?? [0x20]
            starts.append(bytes.count)
        }
        (self.bytes, self.starts) = (bytes, starts)
    }

    /// Whether they are the same object.
    public static func == (left: ConversationLexicon, right: ConversationLexicon) -> Bool { left === right }

    /// By identity.
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

    /// The answer that is under way after each of a stream's last tokens; nil where none is.
    func replies(in tokens: [Int32], last count: Int) -> [Reply?] {
        var question: Int?
        var reply: Reply?
        var replies: [Reply?] = []
        for (index, token) in tokens.enumerated() {
            if lastOfMarks.contains(token) {
                if ends(tokens, at: index, with: questionMarks) != nil {
                    (question, reply) = (index + 1, nil)
                } else if reply == nil, let length = ends(tokens, at: index, with: answerMarks), let first = question {
                    reply = Reply(question: first..<max(index + 1 - length, first), start: index + 1)
                }
            }
            if index >= tokens.count - count { replies.append(reply) }
        }
        return replies
    }

    private func ends(_ tokens: [Int32], at index: Int, with marks: [[Int32]]) -> Int? {
        marks.first { $0.last == tokens[index] && tokens[...index].suffix($0.count).elementsEqual($0) }?.count
    }

    /// A word of a text.
    struct Word {
        /// Its hash as rarities are known by it (``TokenSpelling``).
        var whole: UInt32
        /// That of its stem.
        var stem: UInt32
        /// Whether it is a name, as far as a capital says so that begins no text.
        var isName: Bool
    }

    /// The words of a text.
    func words(of tokens: some Collection<Int32>) -> [Word] {
        var words: [Word] = []
        var word: [UInt8] = []
        func finish() {
            guard let first = word.first else { return }
            let isName = TokenSpelling.isCapital(first) && word.count > 1 && !words.isEmpty
            word = word.map { TokenSpelling.isCapital($0) ? $0 + 0x20 : $0 }
            words.append(Word(whole: Self.hash(word[...]), stem: Self.hash(Self.stem(of: word)), isName: isName))
            word = []
        }
        for token in tokens where (0..<starts.count - 1).contains(Int(token)) {
            let spelling = bytes[starts[Int(token)]..<starts[Int(token) + 1]]
            // Scripts that write no spaces have a word with each token, as for ``TokenSpelling``.
            if let first = spelling.first, first >= 0xe3 { finish() }
            for byte in spelling {
                if TokenSpelling.isLetter(byte) { word.append(byte) } else { finish() }
            }
        }
        finish()
        return words
    }

    private static func stem(of word: [UInt8]) -> ArraySlice<UInt8> {
        for ending in endings where word.count >= ending.count + leastStem && word.suffix(ending.count) == ending[...] {
            // "glass" is no plural.
            if ending == [0x73] && word[word.count - 2] == 0x73 { continue }
            return word.dropLast(ending.count)
        }
        return word[...]
    }

    private static func hash(_ word: ArraySlice<UInt8>) -> UInt32 {
        word.reduce(0) { $0 &* TokenSpelling.base &+ UInt32($1) &+ 1 }
    }
}
