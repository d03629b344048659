extension Tokenizer {
    /// How the tokens of a model are spelled; a model may have more than its tokenizer knows.
    public func spelling(ofModelWith vocabularySize: Int) -> [TokenSpelling] {
        texts(ofModelWith: vocabularySize).map { TokenSpelling($0) }
    }

    /// The bytes that each token of a model stands for in a text; nil for a mark, which is not text.
    public func texts(ofModelWith vocabularySize: Int) -> [[UInt8]?] {
        (0..<vocabularySize).map { $0 < self.vocabularySize && !isSpecial($0) ? bytes(of: $0) : nil }
    }
}

/// What a token adds to the word it stands in, in numbers of a byte each so that a model file in bfloat16 holds them.
///
/// Words are told by a hash of their bytes, ASCII letters as if they were small, so that it does not matter how a
/// tokenizer cuts a word or where in a sentence it stands: h(uv) = h(u) · f(v) + a(v) modulo 2³², f(v) = p^|v|.
public struct TokenSpelling: Sendable, Equatable {
    /// How a token stands to the word before it.
    public enum Place: Int, Sendable {
        case goesOn, begins
        /// Only spaces, punctuation, or a mark of the tokenizer: it ends the word before it.
        case isNone
    }

    /// Numbers that hold one: the place, then the bytes of f and a, the lowest first.
    public static let width = 9
    static let base: UInt32 = 16_777_619

    /// How the token stands to the word before it.
    public let place: Place
    let factor: UInt32
    let addend: UInt32

    /// The spelling of a token of a text; nil is a mark, which is not text.
    public init(_ bytes: (some Collection<UInt8>)?) {
        guard let bytes, bytes.contains(where: Self.isLetter) else {
            (place, factor, addend) = (.isNone, 1, 0)
            return
        }
        // A script that writes no spaces (from U+3000 on: kana, ideographs, Hangul) has a word with each token.
        let begins = bytes.first.map { !Self.isLetter($0) || $0 >= 0xe3 } ?? true
        place = begins ? .begins : .goesOn
        var (factor, addend): (UInt32, UInt32) = (1, 0)
        for byte in bytes where byte > 0x20 {
            factor &*= Self.base
            addend = addend &* Self.base &+ UInt32(Self.isCapital(byte) ? byte + 0x20 : byte) &+ 1
        }
        (self.factor, self.addend) = (factor, addend)
    }

    static func isCapital(_ byte: UInt8) -> Bool { (0x41...0x5a).contains(byte) }

    /// Letters, digits, and whatever is not ASCII.
    static func isLetter(_ byte: UInt8) -> Bool {
        isCapital(byte) || (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || byte >= 0x80
    }

    /// The hash of the word so far, given that of the word that the token before it stood in; nil for none.
    func hash(after word: UInt32?) -> UInt32? {
        switch place {
        case .isNone: nil
        case .begins: addend
        case .goesOn: (word ?? 0) &* factor &+ addend
        }
    }

    /// The word that ends with each token of a text, by its hash; nil where none does. The last word ends with the last
    /// token.
    static func endings(_ text: some Sequence<TokenSpelling>) -> [UInt32?] {
        var result: [UInt32?] = []
        result.reserveCapacity(text.underestimatedCount)
        var word: UInt32?
        for token in text {
            if token.place == .goesOn, !result.isEmpty { result[result.count - 1] = nil }
            word = token.hash(after: word)
            result.append(word)
        }
        return result
    }

    // MARK: - As numbers

    /// ``width`` numbers.
    var numbers: [Float] {
        [Float(place.rawValue)]
            + [factor, addend].flatMap { word in (0..<4).map { Float(word >> (8 * $0) & 0xff) } }
    }

    /// Reads ``width`` numbers; what is no spelling is no word.
    init<S: TensorScalar>(_ numbers: UnsafePointer<S>) {
        func byte(_ index: Int) -> UInt32 {
            let number = Double(numbers[index])
            return 0 <= number && number <= 255 ? UInt32(number) : 255
        }
        func word(_ first: Int) -> UInt32 { (0..<4).reduce(0) { $0 | byte(first + $1) << (8 * UInt32($1)) } }
        place = Place(rawValue: Int(byte(0))) ?? .isNone
        (factor, addend) = (word(1), word(5))
    }
}
