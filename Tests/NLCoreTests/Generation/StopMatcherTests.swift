import NLCore
import Testing

/// A text in any pieces gives the same output: everything before the first stop string, and not a byte of it.
@Suite struct StopMatcherTests {
    private func run(_ stops: [String], _ pieces: [String]) -> (text: String, outputs: [String], stop: String?) {
        var matcher = StopMatcher(stops)
        var outputs: [String] = []
        var stop: String?
        for piece in pieces {
            let output = matcher.push(piece)
            outputs.append(output.text)
            stop = output.stop
        }
        outputs.append(matcher.finish())
        return (outputs.joined(), outputs, stop)
    }

    @Test func aStopStringOverSeveralPiecesIsNotEmitted() {
        let result = run(["</end>"], ["Hello", " <", "/e", "nd", "> more", "!"])
        #expect(result.outputs == ["Hello", " ", "", "", "", "", ""])
        #expect(result.stop == "</end>")
    }

    @Test func whatTurnsOutToBeNoStopStringIsReleased() {
        let result = run(["</end>"], ["a <", "/e", "go", "</"])
        #expect(result.outputs == ["a ", "", "</ego", "", "</"])
        #expect(result.stop == nil)
    }

    @Test func theLongestPossibleBeginningIsHeld() {
        // After "aa" the next "a" may still begin one place later.
        #expect(run(["aab"], ["x", "a", "a", "a", "b", "y"]).outputs == ["x", "", "", "a", "", "", ""])
        #expect(run(["abcabd"], ["abcab", "cabd"]).text == "abc")
    }

    @Test func theFirstOfSeveralStopStringsEndsTheText() {
        let result = run(["world", "o w", "\n"], ["hello wo", "rld\n"])
        #expect(result.text == "hell")
        #expect(result.stop == "o w")
    }

    @Test func aPieceMayHoldAStopStringAndMore() {
        #expect(run(["\n\n"], ["one\n\ntwo\n\nthree"]).text == "one")
        #expect(run(["x"], ["x"]).text == "")
    }

    @Test func scalarsStayWholeAndAreComparedAsBytes() {
        // é and è share their first byte, which must neither be held for long nor be emitted alone.
        let result = run(["é"], ["caf", "è", " ", "é", "!"])
        #expect(result.outputs == ["caf", "è", " ", "", "", ""])
        #expect(run(["👍🏽"], ["ok 👍", "🏽 no"]).text == "ok ")
        #expect(run(["👍🏽"], ["ok 👍", "🏿 yes"]).text == "ok 👍🏿 yes")
        #expect(run(["e\u{301}"], ["\u{e9}"]).text == "\u{e9}")
    }

    @Test func withoutStopStringsNothingIsHeld() {
        #expect(run([], ["a", "b"]).outputs == ["a", "b", ""])
        #expect(run([""], ["a", "b"]).outputs == ["a", "b", ""])
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func anyCutOfATextGivesTheSameOutput(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let letters = ["a", "b", "é", "😀"]
        for _ in 0..<300 {
            let text = (0..<30).map { _ in letters[random.nextIndex(below: 4)] }
            let stops = (0..<2).map { _ in
                (0...2 + random.nextIndex(below: 3)).map { _ in letters[random.nextIndex(below: 4)] }.joined()
            }
            let whole = text.joined()
            // Independent of the matcher: the earliest place where one of them stands.
            let scalars = Array(whole.utf8)
            let place = scalars.indices.first { start in stops.contains { scalars[start...].starts(with: $0.utf8) } }
            let expected = String(decoding: scalars[..<(place ?? scalars.count)], as: UTF8.self)
            var pieces: [String] = []
            var rest = text[...]
            while !rest.isEmpty {
                let count = 1 + random.nextIndex(below: min(6, rest.count))
                pieces.append(rest.prefix(count).joined())
                rest = rest.dropFirst(count)
            }
            let result = run(stops, pieces)
            #expect(result.text == expected, "stops \(stops), pieces \(pieces)")
            #expect((result.stop != nil) == (place != nil))
        }
    }
}
