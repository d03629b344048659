import NLCore
import Store
import Synchronization

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
        // Which are used depends on how many there are, so all of them have to be cut.
        let pieces = AnchorCutter(tokenizer).pieces(of: text)
        func spread(_ offset: Int, _ count: Int) -> [LearningText] {
            let own = stride(from: offset, to: pieces.count, by: 2).map { pieces[$0] }
            let used = own.count <= count ? own : (0..<count).map { own[$0 * own.count / count] }
            return used.map { LearningText($0, configuration: configuration) }
        }
        self.init(rehearsal: spread(0, Self.rehearsalCount), gate: spread(1, Self.gateCount))
    }
}

/// A model's anchors before they are asked for: cutting and tokenising them takes longer than all else that starting
/// does, and a daemon that only serves never needs them.
final class AnchorFile: Sendable {
    private enum State {
        case text(String)
        case cut(Anchors)
    }

    private let tokenizer: Tokenizer
    private let configuration: HopeConfiguration
    private let state: Mutex<State>

    /// Nil where the text is too short to rehearse a piece and judge by another.
    init?(_ text: String, tokenizer: Tokenizer, configuration: HopeConfiguration) {
        guard AnchorCutter(tokenizer).pieces(of: text, stoppingAt: 2).count >= 2 else { return nil }
        (self.tokenizer, self.configuration) = (tokenizer, configuration)
        state = Mutex(.text(text))
    }

    /// Cut by whoever asks first, while others wait.
    var anchors: Anchors {
        state.withLock { state in
            switch state {
            case .cut(let anchors): return anchors
            case .text(let text):
                let anchors = Anchors(text, tokenizer: tokenizer, configuration: configuration)
                state = .cut(anchors)
                return anchors
            }
        }
    }

    /// Whether anybody has asked.
    var isCut: Bool { state.withLock { if case .cut = $0 { true } else { false } } }
}

/// Cuts running text at the ends of paragraphs and sentences.
private struct AnchorCutter {
    let tokenizer: Tokenizer
    /// Most tokens of a piece.
    let limit = Anchors.pieceLength - 1

    init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    /// - Parameter enough: goes no further once there are so many.
    func pieces(of text: String, stoppingAt enough: Int = .max) -> [[Int32]] {
        var pieces: [[Int32]] = []
        for paragraph in text.split(whereSeparator: \.isNewline) where !paragraph.allSatisfy(\.isWhitespace) {
            if pieces.count >= enough { break }
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
