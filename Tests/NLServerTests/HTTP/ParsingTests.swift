import Foundation
import NIOCore
import Testing

@testable import NLServer

/// Catches JSON that should be refused and is not, or a refusal that does not say where.
@Suite struct JSONSyntaxTests {
    @Test(arguments: [
        #"{}"#, #" [1, -2.5e+3, 0, "a\u00e9\n\ud83d\ude00", true, false, null, {"a":{}}] "#, #""x""#, "0.1", "1e-400",
    ])
    func valid(text: String) throws {
        try JSONSyntax.check(Array(text.utf8))
        _ = try JSONValue(parsing: text)
    }

    @Test(arguments: [
        ("", 0), ("{", 1), (#"{"a":1,}"#, 7), (#"{"a" 1}"#, 5), ("[1,]", 3), ("NaN", 0), (#"{"a":NaN}"#, 5), ("01", 1),
        ("1.", 2), ("-", 1), ("1e999", 0), ("\"a\nb\"", 2), (#""\x""#, 2), (#""\ud800""#, 2), (#""\u12g4""#, 3),
        ("1 2", 2),
        ("{'a':1}", 1), ("tru", 0), (#""abc"#, 4), ("+1", 0), ("// c\n1", 0),
    ])
    func invalid(text: String, offset: Int) {
        let failure = #expect(throws: JSONSyntax.Failure.self) { try JSONSyntax.check(Array(text.utf8)) }
        #expect(failure?.offset == offset, "\(failure?.reason ?? "")")
    }

    /// Digests of configurations are taken over it: another text, and a database no longer knows its model.
    @Test func theCanonicalTextIsTheSameForGood() throws {
        let text = #"{"b":[1e-6, 2.0, 0.005, -3, true, null], "a/b":"x\u0001\n\"\\é ", "B":{}, "a_10":1, "a_9":1e21}"#
        let expected = #"{"B":{},"a\/b":"x\u0001\n\"\\é ","a_10":1,"a_9":1e+21,"b":[1e-06,2,0.005,-3,true,null]}"#
        #expect(try JSONValue(parsing: text).canonicalText == expected)
    }

    @Test func nestingIsBounded() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        try JSONSyntax.check(nested(JSONSyntax.maxDepth))
        #expect(throws: JSONSyntax.Failure.self) { try JSONSyntax.check(nested(JSONSyntax.maxDepth + 1)) }
        #expect(throws: JSONSyntax.Failure.self) { try JSONSyntax.check(nested(1_000_000)) }
    }
}

/// Catches a line that is lost, joined, split or kept beyond its limit.
@Suite struct LineSplitterTests {
    /// Feeds the text in pieces of every size and collects the lines with their numbers.
    private func lines(_ text: String, limit: Int = 100, pieceSize: Int) -> [String] {
        var splitter = LineSplitter(limit: limit)
        var found: [String] = []
        func note(_ line: LineSplitter.Line) {
            switch line {
            case .text(let bytes): found.append("\(splitter.lineNumber):\(String(buffer: bytes))")
            case .tooLong: found.append("\(splitter.lineNumber):too long")
            }
        }
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieceSize) {
            splitter.append(ByteBuffer(bytes: bytes[start..<min(start + pieceSize, bytes.count)]))
            while let line = splitter.next() { note(line) }
        }
        if let line = splitter.last() { note(line) }
        return found
    }

    @Test(arguments: 1...12)
    func anySplitGivesTheSameLines(pieceSize: Int) {
        #expect(lines("ab\ncd\r\n\n  \nefg", pieceSize: pieceSize) == ["1:ab", "2:cd", "5:efg"])
        #expect(lines("", pieceSize: pieceSize) == [])
        #expect(lines("a\n", pieceSize: pieceSize) == ["1:a"])
        #expect(
            lines("12345\n123456\n12345\r\n1234567890123\nx\n123456", limit: 5, pieceSize: pieceSize)
                == ["1:12345", "2:too long", "3:12345", "4:too long", "5:x", "6:too long"])
    }

    @Test func aLineWithoutEndIsNotKept() {
        var splitter = LineSplitter(limit: 1000)
        for _ in 0..<10_000 {
            splitter.append(ByteBuffer(repeating: 0x61, count: 1000))
            #expect(splitter.next() == nil)
        }
        #expect(splitter.bufferedBytes <= 2001)
        splitter.append(ByteBuffer(string: "\nok\n"))
        #expect(splitter.next() == .tooLong)
        #expect(splitter.next() == .text(ByteBuffer(string: "ok")))
    }
}

/// Catches frames that a client of server-sent events would read otherwise than they were meant.
@Suite struct ServerSentEventsTests {
    @Test func everyLineOfTheDataIsPrefixed() {
        let frame = ServerSentEvents.frame(event: "progress", data: ByteBuffer(string: "a\nb"))
        #expect(String(buffer: frame) == "event: progress\ndata: a\ndata: b\n\n")
        #expect(String(buffer: ServerSentEvents.frame(data: ByteBuffer(string: "x"))) == "data: x\n\n")
        #expect(String(buffer: ServerSentEvents.done) == "data: [DONE]\n\n")
    }
}

/// Catches fields whose wire names or nulls are not the contract's.
@Suite struct WireJSONTests {
    private struct Sample: Encodable {
        @Nullable var finishReason: String?
        var tokenLogprobs: [Double?]
        var topLogprobs: [String: Double]
        var left: String?
    }

    @Test func namesAreSnakeCaseButDataIsUntouched() throws {
        let sample = Sample(finishReason: nil, tokenLogprobs: [nil, -1], topLogprobs: ["camelCase": 1], left: nil)
        let text = String(buffer: try WireJSON.encode(sample))
        #expect(text == #"{"finish_reason":null,"token_logprobs":[null,-1],"top_logprobs":{"camelCase":1}}"#)
    }

    @Test(arguments: [
        ([UInt8]("né".utf8), "né"), ([0xE2, 0x82], "bytes:\\xe2\\x82"), ([0x0A], "\n"), ([], "<|5|>"),
        ([0x05, 0xFF], "bytes:\\x05\\xff"),
    ])
    func tokensAreAlwaysStrings(bytes: [UInt8], text: String) {
        #expect(TokenText.describe(bytes, id: 5) == text)
    }
}

/// Catches values with units read wrong.
@Suite struct OptionValueTests {
    @Test(arguments: [
        ("0", 0), ("512", 512), ("8MiB", 8 << 20), ("8M", 8 << 20), ("1 GiB", 1 << 30), ("64k", 65_536),
        ("10_000", 10_000),
    ])
    func bytes(text: String, expected: Int) { #expect(OptionValue.bytes(text) == expected) }

    @Test(arguments: ["", "MiB", "1.5M", "8XB", "9999999999999999999G", "-"])
    func notBytes(text: String) { #expect(OptionValue.bytes(text) == nil) }

    @Test(arguments: [
        ("30", 30.0), ("1.5s", 1.5), ("500ms", 0.5), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("0", 0),
    ])
    func durations(text: String, seconds: Double) throws {
        #expect(abs(try #require(OptionValue.duration(text)).seconds - seconds) < 1e-9)
    }

    @Test(arguments: ["", "s", "-1", "inf", "nan", "1y", "1e30"])
    func notDurations(text: String) { #expect(OptionValue.duration(text) == nil) }
}
