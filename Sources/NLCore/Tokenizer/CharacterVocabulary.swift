/// The first symbols of SentencePiece-style pairs: a token for each character, and where there is none, one for each of
/// its bytes (`<0x0A>`).
struct CharacterVocabulary: Sendable {
    /// The token of a character, by its scalar.
    private let tokens: [UInt32: UInt32]
    /// `<0x00>` … `<0xFF>`.
    private let bytes: [UInt32]

    /// - Parameter ids: every token of the vocabulary by its text.
    /// - Returns: nil if a byte has no token.
    init?(ids: [[UInt8]: Int]) {
        var bytes: [UInt32] = []
        for byte in UInt8.min...UInt8.max {
            guard let id = ids[Array(Self.name(of: byte).utf8)] else { return nil }
            bytes.append(UInt32(id))
        }
        var tokens: [UInt32: UInt32] = [:]
        for (text, id) in ids {
            let scalars = String(decoding: text, as: UTF8.self).unicodeScalars
            if scalars.count == 1, let scalar = scalars.first { tokens[scalar.value] = UInt32(id) }
        }
        self.tokens = tokens
        self.bytes = bytes
    }

    static func name(of byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x\(digits.count == 1 ? "0" : "")\(digits)>"
    }

    /// The byte that a token stands for, nil if it is text.
    static func byte(of token: String) -> UInt8? {
        let text = Array(token.utf8)
        guard text.count == 6, token.hasPrefix("<0x"), token.hasSuffix(">") else { return nil }
        return UInt8(String(decoding: text[3..<5], as: UTF8.self), radix: 16)
    }

    /// Appends the symbols of valid UTF-8.
    func appendSymbols(of text: Span<UInt8>, to symbols: inout [UInt32]) {
        var start = 0
        while start < text.count {
            let (scalar, end) = decodeScalar(in: text, at: start)
            if let token = tokens[scalar.value] {
                symbols.append(token)
            } else {
                for index in start..<end { symbols.append(bytes[Int(text[index])]) }
            }
            start = end
        }
    }
}
