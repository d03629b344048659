/// Cuts text into the pieces that merges never cross.
///
/// A further pattern (Llama 3, Qwen 2) is a further ``SplitPattern``: a scanner beside `GPT2Scanner` and the regular
/// expression that selects it in `TokenizerFile`.
struct PreTokenizer: Sendable {
    /// Whether text that does not begin with a space gets one.
    var addsPrefixSpace: Bool
    var pattern: SplitPattern
}

/// How the next piece is found.
enum SplitPattern: Sendable {
    /// The text is one piece.
    case whole
    /// The pattern of GPT-2, see ``GPT2Scanner``.
    case gpt2

    /// The end of the piece of `text` that begins at `start`, which must be a character boundary before the end.
    @inline(__always)
    func pieceEnd(in text: Span<UInt8>, from start: Int) -> Int {
        switch self {
        case .whole: text.count
        case .gpt2: GPT2Scanner.pieceEnd(in: text, from: start)
        }
    }
}
