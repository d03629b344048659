/// The splitting pattern of Llama 3 and, with one digit a piece, of Qwen 2, as a scanner over UTF-8:
///
///     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
///
/// Alternatives are tried in this order, and together they match any character, as in ``GPT2Scanner``.
enum Llama3Scanner {
    /// The pattern with this many digits in a piece.
    static func pattern(digits: String) -> String {
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits
            + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// The end of the piece that begins at `start`; `text` must be valid UTF-8 and `start` a boundary inside it.
    static func pieceEnd(in text: Span<UInt8>, from start: Int, mostDigits: Int) -> Int {
        if text[start] == UInt8(ascii: "'"), let end = contractionEnd(in: text, from: start) { return end }
        let first = ClassifiedScalar(in: text, at: start)
        switch first.kind {
        case .letter: return runEnd(of: .letter, in: text, from: first.end)
        case .number: return digitsEnd(in: text, from: first.end, more: mostDigits - 1)
        case .other, .space:
            if !isLineBreak(text[start]), first.end < text.count {
                let second = ClassifiedScalar(in: text, at: first.end)
                if second.kind == .letter { return runEnd(of: .letter, in: text, from: second.end) }
                if text[start] == UInt8(ascii: " "), second.kind == .other {
                    return symbolsEnd(in: text, from: second.end)
                }
            }
            return first.kind == .other ? symbolsEnd(in: text, from: first.end) : spacesEnd(in: text, from: start)
        }
    }

    private static func isLineBreak(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n") }

    private static func runEnd(of kind: ScalarClass, in text: Span<UInt8>, from start: Int) -> Int {
        var end = start
        while end < text.count {
            let next = ClassifiedScalar(in: text, at: end)
            guard next.kind == kind else { break }
            end = next.end
        }
        return end
    }

    private static func digitsEnd(in text: Span<UInt8>, from start: Int, more: Int) -> Int {
        var (end, left) = (start, more)
        while end < text.count, left > 0 {
            let next = ClassifiedScalar(in: text, at: end)
            guard next.kind == .number else { break }
            (end, left) = (next.end, left - 1)
        }
        return end
    }

    /// Symbols, and the line breaks after them.
    private static func symbolsEnd(in text: Span<UInt8>, from start: Int) -> Int {
        var end = runEnd(of: .other, in: text, from: start)
        while end < text.count, isLineBreak(text[end]) { end += 1 }
        return end
    }

    /// White space up to its last line break; without one, all of it, but for the last before something else.
    private static func spacesEnd(in text: Span<UInt8>, from start: Int) -> Int {
        var end = start
        var lastStart = start
        var afterBreak = start
        while end < text.count {
            let next = ClassifiedScalar(in: text, at: end)
            guard next.kind == .space else { break }
            if isLineBreak(text[end]) { afterBreak = next.end }
            (lastStart, end) = (end, next.end)
        }
        if afterBreak > start { return afterBreak }
        return end < text.count && lastStart > start ? lastStart : end
    }

    /// Case is folded as Unicode does it: the long s, U+017F, is an s.
    private static func contractionEnd(in text: Span<UInt8>, from start: Int) -> Int? {
        func lower(_ offset: Int) -> UInt8 {
            guard start + offset < text.count else { return 0 }
            let byte = text[start + offset]
            return byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
        }
        switch (lower(1), lower(2)) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
            return start + 2
        case (0xC5, 0xBF), (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 3
        default: return nil
        }
    }
}
