/// Cuts texts into passages that can be read before a prompt, and makes queries of prompts.
enum Passages {
    /// Longest passage, in UTF-8 bytes.
    static let limit = 800

    /// The passages of a text, which together are the text but for white space at their ends; at least one.
    ///
    /// A cut is made at the last end of a paragraph in the second half of what fits, else of a sentence, of a word, of
    /// a character.
    static func cut(_ text: String) -> [String] {
        // NUL would end a TEXT value.
        let bytes = text.utf8.map { $0 == 0 ? UInt8(ascii: " ") : $0 }[...]
        var passages: [String] = []
        var rest = bytes
        while rest.count > limit {
            let end = cutPlace(rest)
            append(rest[..<end], to: &passages)
            rest = rest[end...]
        }
        append(rest, to: &passages)
        return passages.isEmpty ? [""] : passages
    }

    private static func cutPlace(_ rest: ArraySlice<UInt8>) -> Int {
        let window = rest.prefix(limit)
        let late = window.dropFirst(limit / 2)
        if let feed = late.lastIndex(of: UInt8(ascii: "\n")) { return feed + 1 }
        let (space, ends) = (UInt8(ascii: " "), Array(".!?".utf8))
        if let sentence = late.indices.last(where: { late[$0] == space && ends.contains(window[$0 - 1]) }) {
            return sentence + 1
        }
        if let word = late.lastIndex(of: space) { return word + 1 }
        // Not within a character: its bytes after the first are 10xxxxxx.
        var end = window.endIndex
        while rest[end] & 0b1100_0000 == 0b1000_0000, end > late.startIndex { end -= 1 }
        return end
    }

    private static func append(_ bytes: ArraySlice<UInt8>, to passages: inout [String]) {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        let kept = bytes.drop(while: isSpace)
        guard let last = kept.lastIndex(where: { !isSpace($0) }) else { return }
        passages.append(String(decoding: kept[...last], as: UTF8.self))
    }
}

/// What of a prompt is looked for: its words, each of them or any other, in any order.
///
/// Nothing of the prompt is read as FTS5's query language: a word is letters and digits, and stands in quotes.
struct PassageQuery {
    /// Most words of a query; a long prompt is about what it says last.
    static let limit = 48

    /// FTS5 expressions of one word each, the last word of the prompt first.
    let words: [String]

    init(_ prompt: String) {
        var words: [Substring] = []
        var seen: Set<String> = []
        let all = prompt.split { !$0.isLetter && !$0.isNumber }
        for word in all.reversed() where words.count < Self.limit && seen.insert(word.lowercased()).inserted {
            words.append(word)
        }
        self.words = words.map { "\"" + $0.replacing("\"", with: "\"\"") + "\"" }
    }
}
