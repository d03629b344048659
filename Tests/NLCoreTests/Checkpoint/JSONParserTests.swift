import Testing

@testable import NLCore

/// Would catch the parser accepting what is not JSON, or losing what a header says.
@Suite struct JSONParserTests {
    private func parse(_ text: String) throws(JSONError) -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    @Test func valuesKeepTheirKindAndOrder() throws {
        let value = try parse(#" {"b": [1, -2.5e1, true, false, null], "a": {"": "x"}, "n": 9223372036854775807} "#)
        let object = try #require(value.object)
        #expect(object.members.map(\.key) == ["b", "a", "n"])
        #expect(object["b"] == .array([.integer(1), .number(-25), .bool(true), .bool(false), .null]))
        #expect(object["a"]?.object?[""] == .string("x"))
        #expect(object["n"] == .integer(.max))
    }

    @Test func integersOfManyDigitsAreNumbersAndNotRoundedIntegers() throws {
        #expect(try parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
    }

    @Test func escapesAreDecoded() throws {
        #expect(try parse(#""\"\\\/\b\f\n\r\t\u00e9\uD83C\udf0a""#) == .string("\"\\/\u{8}\u{C}\n\r\t\u{E9}\u{1F30A}"))
    }

    @Test func stringsAreWrittenSoThatTheyReadBack() throws {
        let text = String(String.UnicodeScalarView((0..<0x300).compactMap { Unicode.Scalar(UInt32($0)) })) + "\u{1F30A}"
        var json: [UInt8] = []
        appendJSONString(text, to: &json)
        #expect(try JSONValue(parsing: json).string?.utf8.elementsEqual(text.utf8) == true)
    }

    /// Foundation would keep one of the two.
    @Test func repeatedKeysAreRefused() throws {
        #expect(throws: JSONError.self) { try parse(#"{"a":1,"b":2,"a":3}"#) }
        #expect(throws: JSONError.self) { try parse(#"{"a":1,"\u0061":3}"#) }
        // Equal as `String`s, different as keys.
        #expect(try parse("{\"\u{E9}\":1,\"e\u{301}\":2}").object?.members.count == 2)
    }

    @Test(arguments: [
        "", " ", "{", "}", "[", "[1", "[1,", "[1,]", "{\"a\"", "{\"a\":", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}",
        "tru", "nul", "TRUE", "01", "-", "1.", ".5", "1e", "+1", "1e999", "NaN", "Infinity", "1 2", "\"", "\"\\",
        "\"\\x\"",
        "\"\\u12\"", "\"\\u123g\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "\"\u{0}\"", "'a'",
        "[1;2]",
    ])
    func whatIsNotJSONIsRefused(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test func invalidUTF8IsRefused() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    }

    @Test func nestingIsBounded() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try parse(nested(64))
        #expect(throws: JSONError.self) { try parse(nested(65)) }
        #expect(throws: JSONError.self) { try parse(String(repeating: "[", count: 1_000_000)) }
    }
}
