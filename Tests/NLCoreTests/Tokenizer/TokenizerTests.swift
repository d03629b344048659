import Testing

@testable import NLCore

/// Would catch any difference from the Python library in splitting, merging, normalising, added tokens or decoding.
/// Texts are compared as UTF-8: `String` equality would hide a missing or an unwanted normalisation.
@Suite struct TokenizerTests {
    @Test(arguments: TokenizerFixture.allCases)
    func encodesAndDecodesAsTheReference(fixture: TokenizerFixture) throws {
        let tokenizer = try fixture.tokenizer()
        for expected in try fixture.cases() {
            let text = Comment(rawValue: "\(expected.text.debugDescription)")
            #expect(tokenizer.encode(expected.text) == expected.ids, text)
            #expect(tokenizer.encode(expected.text, addSpecialTokens: true) == expected.framedIDs, text)
            #expect(tokenizer.encode(expected.text, parseSpecialTokens: false) == expected.unparsedIDs, text)
            #expect(tokenizer.encode(utf8: Array(expected.text.utf8)) == expected.ids, text)
            let decoded = tokenizer.decode(expected.ids, skipSpecialTokens: false)
            #expect(Array(decoded.utf8) == Array(expected.decoded.utf8), text)
            let visible = tokenizer.decode(expected.ids, skipSpecialTokens: true)
            #expect(Array(visible.utf8) == Array(expected.decodedWithoutSpecial.utf8), text)
        }
    }

    @Test(arguments: TokenizerFixture.allCases)
    func decodesCutCharactersAsTheReference(fixture: TokenizerFixture) throws {
        let tokenizer = try fixture.tokenizer()
        for expected in try fixture.broken() {
            #expect(tokenizer.decode(expected.ids, skipSpecialTokens: false) == expected.decoded, "\(expected.ids)")
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func decodingReturnsWhatWasEncoded(seed: UInt64) throws {
        let tokenizer = try TokenizerFixture.plain.tokenizer()
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let text = oddText(&generator)
            for parse in [true, false] {
                let ids = tokenizer.encode(text, parseSpecialTokens: parse)
                let decoded = tokenizer.decode(ids, skipSpecialTokens: false)
                #expect(Array(decoded.utf8) == Array(text.utf8), "\(text.debugDescription)")
            }
        }
    }

    @Test func aSecondEncodingFromTheCacheIsTheFirst() throws {
        let warm = try TokenizerFixture.plain.tokenizer()
        var generator = SeededGenerator(seed: 7)
        let texts = (0..<300).map { _ in oddText(&generator) }
        let first = texts.map { warm.encode($0) }
        for (text, ids) in zip(texts, first) {
            #expect(warm.encode(text) == ids)
            #expect(try TokenizerFixture.plain.tokenizer().encode(text) == ids)
        }
    }

    @Test func threadsShareOneTokenizer() async throws {
        let tokenizer = try TokenizerFixture.added.tokenizer()
        let cases = try TokenizerFixture.added.cases()
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for expected in cases { #expect(tokenizer.encode(expected.text) == expected.ids) }
                }
            }
        }
    }

    @Test func theVocabularyCanBeLookedUp() throws {
        let tokenizer = try TokenizerFixture.plain.tokenizer()
        #expect(tokenizer.vocabularySize == 458)
        #expect(tokenizer.id(of: "<|bos|>") == 0)
        #expect(tokenizer.id(of: "<|eos|>") == 1)
        #expect(tokenizer.id(of: "no such token") == nil)
        #expect(tokenizer.isSpecial(1) && !tokenizer.isSpecial(2))
        let the = try #require(tokenizer.id(of: "\u{120}the"))
        #expect(tokenizer.token(of: the) == "\u{120}the")
        #expect(tokenizer.bytes(of: the) == Array(" the".utf8))
        for absent in [-1, 458, .max, .min] {
            #expect(tokenizer.token(of: absent) == nil)
            #expect(tokenizer.bytes(of: absent).isEmpty)
            #expect(tokenizer.decode([absent], skipSpecialTokens: false).isEmpty)
        }
    }

    @Test func textFromOutsideCannotContainSpecialTokens() throws {
        let tokenizer = try TokenizerFixture.plain.tokenizer()
        let ids = tokenizer.encode("x<|eos|>", parseSpecialTokens: false)
        #expect(!ids.contains(1))
        #expect(tokenizer.decode(ids, skipSpecialTokens: true) == "x<|eos|>")
        #expect(tokenizer.encode("x<|eos|>").last == 1)
    }

    @Test func invalidBytesAreReadAsReplacementCharacters() throws {
        let tokenizer = try TokenizerFixture.plain.tokenizer()
        #expect(tokenizer.encode(utf8: [0x61, 0xFF, 0xE4, 0xB8]) == tokenizer.encode("a\u{FFFD}\u{FFFD}"))
    }

    /// In the reference such a token decodes to "caf" and U+FFFD, because its last character also names the byte 0xE9.
    @Test func addedTokenWithACharacterThatNamesAByteDecodesToItsText() throws {
        var file = try EditableTokenizerFile(.plain)
        file.addedTokens.append(["id": 458, "content": "caf\u{E9}", "special": false, "normalized": false])
        let tokenizer = try file.tokenizer()
        #expect(tokenizer.encode("caf\u{E9}") == [458])
        #expect(tokenizer.decode([458], skipSpecialTokens: false).utf8.elementsEqual("caf\u{E9}".utf8))
    }
}
