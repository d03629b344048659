import NLCore
import Store

/// General text shipped with a model, in pieces: half of them are rehearsed, the other half judge.
///
/// What is rehearsed must not judge: a level that memorised its rehearsals would pass a gate made of them, however
/// bad its language had become.
struct Anchors: Sendable {
    /// Pieces learned from between documents.
    let rehearsal: [LearningText]
    /// Pieces that consolidations are judged by, never learned from.
    let gate: [LearningText]
    /// Names the pieces: equal digests, equal rehearsals and verdicts.
    let digest: String

    /// Tokens of the longest piece, BOS included: one learning window of the default model.
    static let pieceLength = 256
    /// Most pieces that judge. Each is read twice a consolidation.
    static let gateCount = 24
    /// Most pieces that are rehearsed.
    static let rehearsalCount = 1_024

    init(rehearsal: [LearningText], gate: [LearningText]) {
        self.rehearsal = rehearsal
        self.gate = gate
        let tokens = (rehearsal + gate).flatMap(\.targets)
        digest = tokens.withUnsafeBytes { SHA256Digest(of: $0) }.hex
    }

    /// Cuts a text into pieces, paragraph by paragraph and sentence by sentence; even ones rehearse, odd ones judge.
    ///
    /// Where there are more than are used, those used are spread evenly over the text, so that all its kinds of
    /// writing are heard.
    init(_ text: String, tokenizer: Tokenizer, configuration: HopeConfiguration) {
        let pieces = AnchorCutter(tokenizer, limit: Self.pieceLength - 1).pieces(of: text)
        let texts = pieces.map { LearningText($0, configuration: configuration) }
        func spread(_ offset: Int, _ count: Int) -> [LearningText] {
            let own = stride(from: offset, to: texts.count, by: 2).map { texts[$0] }
            return own.count <= count ? own : (0..<count).map { own[$0 * own.count / count] }
        }
        self.init(rehearsal: spread(0, Self.rehearsalCount), gate: spread(1, Self.gateCount))
    }
}

/// Cuts running text at the ends of paragraphs and sentences.
private struct AnchorCutter {
    let tokenizer: Tokenizer
    /// Most tokens of a piece.
    let limit: Int

    init(_ tokenizer: Tokenizer, limit: Int) {
        self.tokenizer = tokenizer
        self.limit = limit
    }

    func pieces(of text: String) -> [[Int32]] {
        var pieces: [[Int32]] = []
        for paragraph in text.split(whereSeparator: \.isNewline) where !paragraph.allSatisfy(\.isWhitespace) {
            var open: [Int32] = []
            for sentence in sentences(of: paragraph) {
                let tokens = tokenizer.encode(sentence, parseSpecialTokens: false).map(Int32.init)
                if open.count + tokens.count > limit, !open.isEmpty {
                    pieces.append(open)
                    open = []
                }
                open += tokens
                // A sentence that is a piece too long by itself is cut where it must be.
                while open.count > limit {
                    pieces.append(Array(open.prefix(limit)))
                    open.removeFirst(limit)
                }
            }
            // Titles and fragments say little about language.
            if open.count >= 16 { pieces.append(open) }
        }
        return pieces
    }

    /// Sentences with their leading spaces: ". " ends one, as does "! " and "? ".
    private func sentences(of paragraph: Substring) -> [String] {
        var sentences: [String] = []
        var sentence = ""
        var endsHere = false
        for character in paragraph {
            if endsHere && character == " " {
                sentences.append(sentence)
                sentence = ""
            }
            endsHere = ".!?".contains(character)
            sentence.append(character)
        }
        if !sentence.isEmpty { sentences.append(sentence) }
        return sentences
    }
}
