import Testing

@testable import NLCore

/// Would catch any text being cut elsewhere than by the regular expression, also where no merge would show it.
@Suite struct GPT2ScannerTests {
    private func pieceLengths(_ text: String) -> [Int] {
        let bytes = text.utf8.span
        var lengths: [Int] = []
        var start = 0
        while start < bytes.count {
            let end = GPT2Scanner.pieceEnd(in: bytes, from: start)
            lengths.append(end - start)
            start = end
        }
        return lengths
    }

    @Test func cutsAsTheReference() throws {
        for expected in try TokenizerFixture.plain.cases() {
            #expect(pieceLengths(expected.text) == expected.pieceLengths, "\(expected.text.debugDescription)")
        }
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func piecesAreWholeCharactersAndTileTheText(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let text = oddText(&generator)
            var rest = Substring(text).utf8
            for length in pieceLengths(text) {
                #expect(length > 0)
                #expect(String(rest.prefix(length)) != nil, "\(text.debugDescription)")
                rest = rest.dropFirst(length)
            }
            #expect(rest.isEmpty)
        }
    }
}
