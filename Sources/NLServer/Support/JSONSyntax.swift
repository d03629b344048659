/// Checks that bytes are one JSON text (RFC 8259), and says where and why not.
///
/// Foundation's decoder on Linux says only "not valid JSON" and lets a trailing comma pass; a daemon whose callers
/// write their requests by hand owes them the place. Also bounds the nesting, before any recursion meets it.
struct JSONSyntax {
    struct Failure: Error, Equatable {
        var reason: String
        /// From 0, in bytes.
        var offset: Int
    }

    /// Deeper than any request of ours, shallower than any stack.
    static let maxDepth = 64

    private let bytes: [UInt8]
    private var position = 0

    /// - Throws: ``Failure``.
    static func check(_ bytes: some Collection<UInt8>) throws(Failure) {
        var syntax = JSONSyntax(bytes: Array(bytes))
        syntax.skipSpace()
        try syntax.value(depth: 0)
        syntax.skipSpace()
        guard syntax.current == nil else { throw syntax.failure("something follows the end of the JSON text") }
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func failure(_ reason: String) -> Failure {
        Failure(reason: current == nil ? "the text ends too early" : reason, offset: position)
    }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(Failure) {
        guard depth < Self.maxDepth else { throw failure("nested deeper than \(Self.maxDepth)") }
        switch current {
        case UInt8(ascii: "{"): try object(depth: depth)
        case UInt8(ascii: "["): try array(depth: depth)
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "-"), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): try number()
        default:
            for word in ["true", "false", "null"] where bytes[position...].starts(with: word.utf8) {
                position += word.utf8.count
                return
            }
            throw failure("a value is expected: NaN, Infinity, comments and bare words are not JSON")
        }
    }

    private mutating func object(depth: Int) throws(Failure) {
        position += 1
        skipSpace()
        if take("}") { return }
        while true {
            guard current == UInt8(ascii: "\"") else { throw failure("a name in double quotes is expected") }
            try string()
            skipSpace()
            guard take(":") else { throw failure("':' is expected after a name") }
            skipSpace()
            try value(depth: depth + 1)
            skipSpace()
            if take("}") { return }
            guard take(",") else { throw failure("',' or '}' is expected") }
            skipSpace()
        }
    }

    private mutating func array(depth: Int) throws(Failure) {
        position += 1
        skipSpace()
        if take("]") { return }
        while true {
            try value(depth: depth + 1)
            skipSpace()
            if take("]") { return }
            guard take(",") else { throw failure("',' or ']' is expected") }
            skipSpace()
        }
    }

    private mutating func string() throws(Failure) {
        position += 1
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"):
                position += 1
                try escape()
            case 0..<0x20: throw failure("a control character in a string must be escaped")
            default: position += 1
            }
        }
        throw failure("")
    }

    private mutating func escape() throws(Failure) {
        switch current {
        case UInt8(ascii: "u"):
            let start = position
            let unit = try unit()
            guard unit & 0xF800 == 0xD800 else { return }
            // Half of a surrogate pair is no character: it must be the first half, and the second must follow.
            guard unit < 0xDC00, take("\\"), current == UInt8(ascii: "u"), try self.unit() & 0xFC00 == 0xDC00 else {
                position = min(start, bytes.count)
                throw failure("\\u names half of a surrogate pair")
            }
        case .some(let byte) where "\"\\/bfnrt".utf8.contains(byte): position += 1
        default: throw failure("an unknown escape in a string")
        }
    }

    /// `uXXXX`, the cursor on the `u`.
    private mutating func unit() throws(Failure) -> UInt16 {
        position += 1
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw failure("\\u wants four hexadecimal digits") }
        position += 4
        return unit
    }

    private mutating func number() throws(Failure) {
        let start = position
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            try digits()
        }
        guard let value = Double(String(decoding: bytes[start..<position], as: UTF8.self)), value.isFinite else {
            position = start
            throw failure("a number is out of range")
        }
    }

    private mutating func digits() throws(Failure) {
        let start = position
        while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        if position == start { throw failure("a digit is expected") }
    }
}
