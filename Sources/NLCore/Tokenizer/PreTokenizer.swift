/// Cuts text into the pieces that merges never cross.
///
/// A further pattern is a further ``SplitPattern``: a scanner beside `GPT2Scanner` and the regular expression that selects
/// it in `TokenizerFile`.
struct PreTokenizer: Sendable {
    /// Whether text that does not begin with a space gets one.
    var addsPrefixSpace: Bool
    var pattern: SplitPattern
    /// Whether every digit is a piece, and what lies between them is cut as if it stood alone.
    var isolatesDigits = false
    /// How spaces become a visible sign, in vocabularies of characters.
    var metaspace: Metaspace?
}

/// SentencePiece's visible space.
struct Metaspace: Sendable, Equatable {
    /// Where a sign is put before text that has none.
    enum Prepending: String, Sendable { case always, first, never }

    /// What stands for a space, U+2581 as a rule.
    var sign: String
    var prepending: Prepending
    /// Whether a piece begins at every sign.
    var splits: Bool
}

/// How the next piece is found.
enum SplitPattern: Sendable, Equatable {
    /// The text is one piece.
    case whole
    /// The pattern of GPT-2, see ``GPT2Scanner``.
    case gpt2
    /// The pattern of Llama 3 or Qwen 2, see ``Llama3Scanner``.
    case llama3(mostDigits: Int)

    /// The end of the piece of `text` that begins at `start`, which must be a character boundary before the end.
    @inline(__always)
    func pieceEnd(in text: Span<UInt8>, from start: Int) -> Int {
        switch self {
        case .whole: text.count
        case .gpt2: GPT2Scanner.pieceEnd(in: text, from: start)
        case .llama3(let mostDigits): Llama3Scanner.pieceEnd(in: text, from: start, mostDigits: mostDigits)
        }
    }

    /// The pattern that a regular expression is, if it is one of those known.
    init?(regex: String) {
        switch regex {
        case #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: self = .gpt2
        case Llama3Scanner.pattern(digits: #"\p{N}{1,3}"#): self = .llama3(mostDigits: 3)
        case Llama3Scanner.pattern(digits: #"\p{N}"#): self = .llama3(mostDigits: 1)
        default: return nil
        }
    }
}

/// One step of a file's normaliser.
enum NormalizerStep: Sendable, Equatable {
    /// Canonical composition.
    case nfc
    /// Text put before what is not empty.
    case prepend(String)
    /// Every occurrence of one text replaced by another.
    case replace(String, with: String)
}
