/// What a pre-tokenizer's pattern can tell of a character.
enum ScalarClass: UInt8, Sendable {
    /// `\p{L}`
    case letter
    /// `\p{N}`
    case number
    /// `\s`: the Unicode property White_Space
    case space
    /// None of the three.
    case other

    /// Characters assigned by later versions count as unassigned, so that a newer toolchain, which knows newer
    /// letters, does not change the ids of a text some model was trained on. 16 is what the reference
    /// (`tokenizers` 0.23) knows.
    static let unicodeVersion = 16

    init(_ scalar: Unicode.Scalar) {
        if scalar.value < 0x80 {
            self = Self.ascii[Int(scalar.value)]
        } else {
            self.init(classifying: scalar.properties)
        }
    }

    private init(classifying properties: Unicode.Scalar.Properties) {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
        case .decimalNumber, .letterNumber, .otherNumber: self = .number
        default:
            self = properties.isWhitespace ? .space : .other
            return
        }
        if let age = properties.age, age.major > Self.unicodeVersion { self = .other }
    }

    private static let ascii: [ScalarClass] = (UInt8(0)..<0x80).map {
        ScalarClass(classifying: Unicode.Scalar($0).properties)
    }
}
