/// A token that is matched in the text itself, before any splitting or merging.
struct AddedToken: Equatable, Sendable {
    var id: Int
    var content: String
    /// Not shown by a decoder that skips special tokens, not matched in text that may not contain any.
    var isSpecial = false
    /// Matched only where no letter, digit, mark or underscore touches it.
    var isSingleWord = false
    /// Takes the white space before it.
    var stripsLeft = false
    /// Takes the white space after it.
    var stripsRight = false
    /// Matched in the normalised text; otherwise in the text as given.
    var isNormalized = false
}

/// Finds added tokens in text: leftmost first, and of those the longest, as the reference's automaton does.
struct AddedTokenMatcher: Sendable {
    /// A stretch of text: an added token, or text between them.
    struct Segment: Equatable {
        var token: Int?
        var range: Range<Int>
    }

    private struct Node: Sendable {
        var children: [UInt8: Int] = [:]
        /// Index into `tokens` where a pattern ends here.
        var token: Int?
    }

    private var tokens: [AddedToken] = []
    private var nodes: [Node] = [Node()]
    /// Whether a pattern begins with this byte: most text is skipped by this table alone.
    private var begins = [Bool](repeating: false, count: 256)

    var isEmpty: Bool { tokens.isEmpty }

    /// Adds a token under the text it is recognised by. The first of two tokens with one pattern wins.
    mutating func insert(_ token: AddedToken, pattern: some Collection<UInt8>) {
        guard let first = pattern.first else { return }
        begins[Int(first)] = true
        var node = 0
        for byte in pattern {
            if let child = nodes[node].children[byte] {
                node = child
            } else {
                nodes.append(Node())
                nodes[node].children[byte] = nodes.count - 1
                node = nodes.count - 1
            }
        }
        if nodes[node].token == nil {
            nodes[node].token = tokens.count
            tokens.append(token)
        }
    }

    /// Cuts `text` at the added tokens in it.
    ///
    /// - Parameter matchesSpecial: if false, special tokens are ordinary text.
    func segments(of text: Span<UInt8>, matchesSpecial: Bool) -> [Segment] {
        var segments: [Segment] = []
        var start = 0
        var position = 0
        while position < text.count {
            guard begins[Int(text[position])], let match = longestMatch(in: text, at: position) else {
                position += 1
                continue
            }
            let token = tokens[match.token]
            let range = position..<match.end
            // What is skipped here is not searched again for a shorter token, as in the reference.
            position = match.end
            if token.isSpecial && !matchesSpecial { continue }
            if token.isSingleWord && !isSingleWord(range, in: text) { continue }
            var lower = range.lowerBound
            var upper = range.upperBound
            if token.stripsLeft { lower = max(spaceStart(before: lower, in: text), start) }
            if token.stripsRight { upper = spaceEnd(after: upper, in: text) }
            // A token made of white space may lie in what the one before has already taken: then it is gone.
            guard lower < upper else { continue }
            if start < lower { segments.append(Segment(token: nil, range: start..<lower)) }
            segments.append(Segment(token: token.id, range: lower..<upper))
            start = upper
        }
        if start < text.count { segments.append(Segment(token: nil, range: start..<text.count)) }
        return segments
    }

    private func longestMatch(in text: Span<UInt8>, at start: Int) -> (token: Int, end: Int)? {
        var node = 0
        var end = start
        var best: (token: Int, end: Int)?
        while end < text.count, let child = nodes[node].children[text[end]] {
            node = child
            end += 1
            if let token = nodes[node].token { best = (token, end) }
        }
        return best
    }

    private func isSingleWord(_ range: Range<Int>, in text: Span<UInt8>) -> Bool {
        if range.lowerBound > 0, scalarBefore(range.lowerBound, in: text).scalar.isWordCharacter { return false }
        if range.upperBound < text.count, decodeScalar(in: text, at: range.upperBound).scalar.isWordCharacter {
            return false
        }
        return true
    }

    private func spaceStart(before end: Int, in text: Span<UInt8>) -> Int {
        var start = end
        while start > 0 {
            let previous = scalarBefore(start, in: text)
            guard previous.scalar.properties.isWhitespace else { break }
            start = previous.start
        }
        return start
    }

    private func spaceEnd(after start: Int, in text: Span<UInt8>) -> Int {
        var end = start
        while end < text.count {
            let next = decodeScalar(in: text, at: end)
            guard next.scalar.properties.isWhitespace else { break }
            end = next.end
        }
        return end
    }

    private func scalarBefore(_ end: Int, in text: Span<UInt8>) -> (scalar: Unicode.Scalar, start: Int) {
        var start = end - 1
        while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
        return (decodeScalar(in: text, at: start).scalar, start)
    }
}

extension Unicode.Scalar {
    /// `\w` of Unicode Technical Standard 18: alphabetic, mark, decimal digit, connector or join control.
    fileprivate var isWordCharacter: Bool {
        guard properties.isKnown else { return false }
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
        default: return false
        }
    }
}
