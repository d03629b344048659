/// Decodes tokens as they are generated, holding back the bytes of a character until it is whole.
///
/// What all calls return, joined, is what `Tokenizer.decode` returns for all the tokens, as of a text that goes on
/// (`isStart: false`).
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    /// The beginning of a character, at most three bytes.
    private var pending: [UInt8] = []

    /// A decoder at the beginning of a text.
    public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
    }

    /// The text that becomes certain with this token; empty while a character is incomplete.
    public mutating func push(_ id: Int) -> String {
        if skipSpecialTokens, tokenizer.isSpecial(id) { return "" }
        pending += tokenizer.byteSlice(of: id)
        let end = pending.count - incompleteTailLength(pending)
        defer { pending.removeFirst(end) }
        return String(decoding: pending[..<end], as: UTF8.self)
    }

    /// What is left at the end of the text: U+FFFD for a character that never became whole, else nothing.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }
}

/// How many bytes at the end of `bytes` are a proper prefix of some character's UTF-8 (Unicode table 3-7). Bytes
/// that no continuation can complete do not count: waiting for them would only delay their U+FFFD.
func incompleteTailLength(_ bytes: [UInt8]) -> Int {
    for length in 1...3 where length <= bytes.count {
        let lead = bytes[bytes.count - length]
        if lead & 0xC0 == 0x80 { continue }
        let needed =
            switch lead {
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 1
            }
        guard length < needed else { return 0 }
        if length >= 2 {
            let allowed: ClosedRange<UInt8> =
                switch lead {
                case 0xE0: 0xA0...0xBF
                case 0xED: 0x80...0x9F
                case 0xF0: 0x90...0xBF
                case 0xF4: 0x80...0x8F
                default: 0x80...0xBF
                }
            guard allowed.contains(bytes[bytes.count - length + 1]) else { return 0 }
        }
        return length
    }
    return 0
}
