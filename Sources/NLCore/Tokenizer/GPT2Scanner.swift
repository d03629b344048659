/// GPT-2's splitting pattern as a scanner over UTF-8:
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// Alternatives are tried in this order, each takes as much as it can, and together they match any character, so
/// pieces follow each other without gaps. Contractions are lower case only, as in the pattern.
enum GPT2Scanner {
    /// The end of the piece that begins at `start`; `text` must be valid UTF-8 and `start` a boundary inside it.
    static func pieceEnd(in text: Span<UInt8>, from start: Int) -> Int {
        if text[start] == UInt8(ascii: "'"), let end = contractionEnd(in: text, from: start) { return end }

        let first = ClassifiedScalar(in: text, at: start)
        guard first.kind == .space else { return runEnd(of: first.kind, in: text, from: first.end) }

        if text[start] == UInt8(ascii: " "), first.end < text.count {
            let second = ClassifiedScalar(in: text, at: first.end)
            if second.kind != .space { return runEnd(of: second.kind, in: text, from: second.end) }
        }
        // `\s+(?!\S)` gives back the last space of a run that something follows, so that it can join it; a run of
        // one has nothing to give back and matches `\s+`.
        var end = first.end
        var lastStart = start
        while end < text.count {
            let next = ClassifiedScalar(in: text, at: end)
            guard next.kind == .space else { return lastStart > start ? lastStart : end }
            lastStart = end
            end = next.end
        }
        return end
    }

    private static func runEnd(of kind: ScalarClass, in text: Span<UInt8>, from start: Int) -> Int {
        var end = start
        while end < text.count {
            let next = ClassifiedScalar(in: text, at: end)
            guard next.kind == kind else { break }
            end = next.end
        }
        return end
    }

    private static func contractionEnd(in text: Span<UInt8>, from start: Int) -> Int? {
        guard start + 1 < text.count else { return nil }
        let second = start + 2 < text.count ? text[start + 2] : 0
        switch (text[start + 1], second) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
            return start + 2
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 3
        default: return nil
        }
    }
}

/// The class of the character at a position of valid UTF-8, and where the next one begins.
struct ClassifiedScalar {
    let kind: ScalarClass
    let end: Int

    @inline(__always)
    init(in text: Span<UInt8>, at start: Int) {
        let (scalar, end) = decodeScalar(in: text, at: start)
        kind = ScalarClass(scalar)
        self.end = end
    }
}

/// The scalar at a boundary of valid UTF-8 and the position after it.
@inline(__always)
func decodeScalar(in text: Span<UInt8>, at start: Int) -> (scalar: Unicode.Scalar, end: Int) {
    let lead = UInt32(text[start])
    if lead < 0x80 { return (Unicode.Scalar(UInt8(lead)), start + 1) }
    func tail(_ offset: Int) -> UInt32 { UInt32(text[start + offset]) & 0x3F }
    let value: UInt32
    let length: Int
    if lead < 0xE0 {
        (value, length) = ((lead & 0x1F) << 6 | tail(1), 2)
    } else if lead < 0xF0 {
        (value, length) = ((lead & 0x0F) << 12 | tail(1) << 6 | tail(2), 3)
    } else {
        (value, length) = ((lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4)
    }
    // The input is valid UTF-8, so the value always is a scalar; U+FFFD only spares a trap.
    return (Unicode.Scalar(value) ?? "\u{FFFD}", start + length)
}
