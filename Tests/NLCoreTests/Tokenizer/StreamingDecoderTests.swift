import NLCore
import Testing

/// Would catch a stream that shows half a character, or differs from decoding at once.
@Suite struct StreamingDecoderTests {
    private func pieces(_ ids: [Int], _ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) -> [String] {
        var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: skipSpecialTokens)
        return ids.map { decoder.push($0) } + [decoder.finish()]
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func piecesJoinToTheTextAndNoneHasHalfACharacter(seed: UInt64) throws {
        let tokenizer = try TokenizerFixture.plain.tokenizer()
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<40 {
            let text = oddText(&generator).replacing("\u{FFFD}", with: "")
            let pieces = pieces(tokenizer.encode(text), tokenizer)
            #expect(pieces.joined().utf8.elementsEqual(text.utf8), "\(text.debugDescription)")
            #expect(pieces.allSatisfy { !$0.unicodeScalars.contains("\u{FFFD}") }, "\(text.debugDescription)")
        }
    }

    /// What an untrained model generates: bytes in no order, most of them not UTF-8.
    @Test(arguments: 0..<30 as Range<UInt64>)
    func anyIDsJoinToWhatDecodingGives(seed: UInt64) throws {
        let tokenizer = try TokenizerFixture.plain.tokenizer()
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            // 2..<258 are the single bytes: enough of them to meet every kind of cut and overlong sequence.
            let ids = (0..<Int.random(in: 0...20, using: &generator)).map { _ in
                Int.random(in: Bool.random(using: &generator) ? 130...257 : -1...460, using: &generator)
            }
            for skip in [true, false] {
                let joined = pieces(ids, tokenizer, skipSpecialTokens: skip).joined()
                let whole = tokenizer.decode(ids, skipSpecialTokens: skip)
                #expect(joined.utf8.elementsEqual(whole.utf8), "\(ids)")
            }
        }
    }

    @Test func aCharacterIsHeldBackOnlyUntilItIsWhole() throws {
        let tokenizer = try TokenizerFixture.plain.tokenizer()
        let bytes = ["\u{E2}", "\u{124}", "\u{AC}", "A"].compactMap { tokenizer.id(of: $0) }
        #expect(bytes.count == 4)
        // E2 82 AC is the euro sign; 82 is written U+0124 in the byte alphabet.
        #expect(pieces(bytes, tokenizer) == ["", "", "\u{20AC}", "A", ""])
        #expect(pieces([bytes[0], bytes[1]], tokenizer) == ["", "", "\u{FFFD}"])
        // Once nothing can complete it, it is shown at once: a letter, or a continuation no character has after E0.
        #expect(pieces([bytes[0], bytes[3]], tokenizer) == ["", "\u{FFFD}A", ""])
        let overlong = ["\u{E0}", "\u{122}"].compactMap { tokenizer.id(of: $0) }
        #expect(overlong.map { tokenizer.bytes(of: $0) } == [[0xE0], [0x80]])
        #expect(pieces(overlong, tokenizer) == ["", "\u{FFFD}\u{FFFD}", ""])
    }
}
