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
        if !properties.isKnown { self = .other }
    }

    private static let ascii: [ScalarClass] = (UInt8(0)..<0x80).map {
        ScalarClass(classifying: Unicode.Scalar($0).properties)
    }
}

extension Unicode.Scalar.Properties {
    /// Whether the character was assigned by Unicode 16, the version that the reference (`tokenizers` 0.23) knows.
    ///
    /// Later ones count as unassigned: a newer toolchain, which knows newer letters, must not change the ids of a
    /// text that some model was trained on.
    var isKnown: Bool {
        guard let age else { return false }
        return age.major <= 16
    }
}
