/// GPT-2's printable names for the 256 bytes: a byte-level vocabulary is stored as text in which every character
/// stands for one byte.
///
/// Bytes that are printable in Latin-1 stand for themselves; the other 68, in order, are U+0100, U+0101, …
/// (a space becomes U+0120, "\u{120}", the familiar "G with a dot").
enum ByteAlphabet {
    /// The scalar that stands for each byte.
    static let scalars: [Unicode.Scalar] = {
        var scalars: [Unicode.Scalar] = []
        var nextStandIn: UInt16 = 0x100
        for byte in UInt8.min...UInt8.max {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: scalars.append(Unicode.Scalar(byte))
            default:
                scalars.append(Unicode.Scalar(UInt32(nextStandIn)) ?? "?")
                nextStandIn += 1
            }
        }
        return scalars
    }()

    private static let bytes: [Unicode.Scalar: UInt8] = Dictionary(
        uniqueKeysWithValues: zip(scalars, UInt8.min...UInt8.max))

    /// The bytes a token stands for: those its characters name, or, if one of them names none, its own UTF-8.
    ///
    /// The second case is how added tokens such as four spaces decode; the rule is the reference decoder's.
    static func bytes(of token: String) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(token.utf8.count)
        for scalar in token.unicodeScalars {
            guard let byte = bytes[scalar] else { return Array(token.utf8) }
            result.append(byte)
        }
        return result
    }

    /// The name of a byte sequence in the vocabulary.
    static func name(of bytes: some Sequence<UInt8>) -> String {
        var name = String.UnicodeScalarView()
        for byte in bytes { name.append(scalars[Int(byte)]) }
        return String(name)
    }
}
