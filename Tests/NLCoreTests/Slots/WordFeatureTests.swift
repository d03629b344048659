import TestSupport
import Testing

@testable import NLCore

/// Words are told by their letters however they are cut, the rare ones count, and contexts know names by them.
@Suite struct WordFeatureTests {
    private func word(_ pieces: [String]) -> UInt32? {
        pieces.reduce(nil as UInt32?) { TokenSpelling($1.utf8).hash(after: $0) }
    }

    @Test func aWordIsTheSameHoweverItIsCut() {
        let whole = word([" brannock"])
        #expect(whole != nil)
        for pieces in [[" B", "ran", "n", "ock"], ["Brannock"], [" BRAN", "nock"], ["\n", "b", "rannock"]] {
            #expect(word(pieces) == whole, "\(pieces)")
        }
        for other in [[" brannoc"], [" brannokc"], [" the", " brannocks"], [" b", "rannock", "head"]] {
            #expect(word(other) != whole, "\(other)")
        }
        // Nothing of an earlier word is left behind a space or a comma.
        #expect(word([" Brannock", " Head"]) == word(["head"]) && word([" Brannock", ",", "head"]) == word(["head"]))
    }

    @Test(arguments: [
        (" the", TokenSpelling.Place.begins), ("the", .goesOn), ("1", .goesOn), ("'s", .begins), (" .", .isNone),
        ("\n\n", .isNone), ("", .isNone), ("é", .goesOn), ("東", .begins), ("(a", .begins),
    ])
    func whereWordsBegin(text: String, place: TokenSpelling.Place) {
        #expect(TokenSpelling(text.utf8).place == place)
    }

    /// Model files hold bfloat16s.
    @Test func spellingsSurviveAFile() {
        for text in [" the", "Brannock", "'s", ".", "東京", " 1871"] {
            let spelling = TokenSpelling(text.utf8)
            let stored = spelling.numbers.map { float(bfloat16Bits: bfloat16Bits($0)) }
            #expect(stored.count == TokenSpelling.width && TokenSpelling(stored) == spelling, "\(text)")
        }
        for number in [Float.nan, .infinity, -1, 1e9] {
            #expect(TokenSpelling([Float](repeating: number, count: 9)).place == .isNone)
        }
    }

    // MARK: - Features

    /// Tokens: 0 a mark, then pieces and words of an English text.
    private static let pieces = [
        "", "The", " lighthouse", " of", " B", "ran", "n", "ock", " D", "over", " was", " built", " by", ".", " Who",
        " bridge",
    ]
    private static let common: Set = ["The", " of", " was", " by", " Who"]
    private static let places = 4096
    private static let width = 256

    private static func features<S: TensorScalar>(_: S.Type) -> WordFeatures<S> {
        var rarity = [S](repeating: 160 / 16, count: 2 * places)
        for text in common {
            guard let word = TokenSpelling(text.utf8).hash(after: nil) else { continue }
            let place = WordPlaces(word, places)
            (rarity[place.first], rarity[places + place.second]) = (5 / 16, 5 / 16)
        }
        let spelling = pieces.flatMap { TokenSpelling($0.isEmpty ? nil : $0.utf8).numbers.map { S(Double($0)) } }
        return WordFeatures(
            .init(
                spelling: Tensor(spelling, shape: [pieces.count, TokenSpelling.width]),
                rarity: Tensor(rarity, shape: [2, places])))
    }

    private static func tokens(_ text: [String]) -> [Int32] { text.map { Int32(pieces.firstIndex(of: $0) ?? 0) } }

    @Test func aWordEndsWhereTheNextBegins() {
        let words = Self.features(Double.self)
        let tokens = Self.tokens(["", "The", " lighthouse", " of", " B", "ran", "n", "ock", ".", " B", "ran"])
        let found = TokenSpelling.endings(words.spelling(of: tokens))
        #expect(found.map { $0 != nil } == [false, true, true, true, false, false, false, true, false, false, true])
        #expect(found[7] == word([" brannock"]) && found[10] == word(["bran"]))
    }

    @Test func aWordsDirectionIsItsOwnAndAsLongAsItIsRare() {
        let (exact, words) = (Self.features(Double.self), Self.features(Float.self))
        func direction(_ text: String, _ weight: Float = 1) -> [Float] {
            guard let word = word([text]) else { return [] }
            var row = [Float](repeating: 0, count: Self.width)
            words.add(word, weight, to: &row, Self.width)
            var naive = [Double](repeating: 0, count: Self.width)
            exact.add(word, Double(weight), to: &naive, Self.width)
            #expect(zip(row, naive).allSatisfy { abs(Double($0) - $1) < 1e-5 }, "\(text)")
            return row
        }
        func cosine(_ a: [Float], _ b: [Float]) -> Double {
            func dot(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0 * $1.1) } }
            return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
        }
        let name = direction(" Brannock")
        #expect(abs(cosine(name, direction("brannock", 0.5)) - 1) < 1e-6)
        for other in [" Dover", " lighthouse", " built", " the"] { #expect(abs(cosine(name, direction(other))) < 0.25) }
        func length(_ row: [Float]) -> Double { row.reduce(0) { $0 + Double($1 * $1) }.squareRoot() }
        #expect(abs(length(name) - 160) < 1e-3 && abs(length(direction(" the")) - 5) < 1e-3)
        // One place shared with a common word takes nothing from a rare one.
        guard let rare = word([" Brannock"]) else { return }
        words.rarity.pointer[WordPlaces(rare, Self.places).first] = 0
        #expect(abs(length(direction(" Brannock")) - 160) < 1e-3)
    }

    @Test func aContextKnowsANameNotItsPieces() {
        let words = Self.features(Float.self)
        var random = SeededRandom(seed: 4)
        let table = Tensor(
            (0..<Self.pieces.count * Self.width).map { _ in Float(random.nextNormal()) },
            shape: [Self.pieces.count, Self.width])
        func context(_ text: [String]) -> [Float] {
            SlotContext.rows(Self.tokens(text), after: [], table: table, words: words).elements.suffix(Self.width)
        }
        func similarity(_ a: [String], _ b: [String]) -> Float {
            zip(context(a), context(b)).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let fact = ["", "The", " lighthouse", " of", " B", "ran", "n", "ock", " was", " built", " by"]
        let asked = ["", " Who", " built", " B", "ran", "n", "ock"]
        let other = ["", "The", " bridge", " of", " D", "over", " was", " built", " by"]
        let pieces = ["", "The", " B", "ran", " D", "n", "ock", " was", " by"]
        #expect(similarity(fact, fact) > 0.999)
        #expect(similarity(fact, asked) > 0.7)
        #expect(similarity(fact, other) < 0.5)
        #expect(similarity(fact, pieces) < 0.3)
    }

    @Test func aContextOfWordsDependsOnItsLastTokensAlone() {
        let words = Self.features(Float.self)
        var random = SeededRandom(seed: 3)
        let table = Tensor(
            (0..<Self.pieces.count * 24).map { _ in Float(random.nextNormal() * 60) }, shape: [Self.pieces.count, 24])
        let tokens = (0..<150).map { _ in Int32(random.nextIndex(below: Self.pieces.count)) }
        let whole = SlotContext.rows(tokens, after: [], table: table, words: words).elements
        #expect(whole != SlotContext.rows(tokens, after: [], table: table).elements)
        for cut in [1, 63, 64, 65, 100] {
            let rest = SlotContext.rows(
                Array(tokens[cut...]), after: tokens[..<cut], table: table, words: words
            ).elements
            #expect(rest == Array(whole[(cut * 24)...]))
        }
    }

    // MARK: - Layout

    /// What stands in every request tells none from another.
    @Test func whatIsSilencedCountsForNothing() throws {
        var configuration = TinyModel.configuration
        var layout = SlotLayout(configuration, TinyModel.parameters(), level: 1, spelling: SlotCases.spelling)
        layout.read(TinyModel.text(seed: 1, length: 200))
        layout.silence([4, 39, 5, 6])  // a word, a mark, and a word of two tokens
        configuration.levels[1].slots = .init(capacity: 8, contextSize: 64, words: 512)
        let tensors = layout.tensors(for: configuration, seed: 1)
        let table = try #require(tensors["\(SlotCases.link).slots.tokens"])
        let words = WordFeatures<Float>(
            .init(
                spelling: try #require(tensors["\(SlotCases.link).slots.spelling"]),
                rarity: try #require(tensors["\(SlotCases.link).slots.rarity"])))
        func length(_ tokens: [Int32]) -> Float {
            var row = [Float](repeating: 0, count: 64)
            for case .some(let word) in TokenSpelling.endings(words.spelling(of: tokens)) {
                words.add(word, 1, to: &row, 64)
            }
            return row.reduce(0) { $0 + $1 * $1 }
        }
        #expect(length([4]) == 0 && length([5, 6]) == 0)
        #expect(length([5]) > 0 && length([7]) > 0 && length([4, 6]) > 0)
        for token in 2..<38 {
            let isSilent = table.elements[token * 64..<(token + 1) * 64].allSatisfy { $0 == 0 }
            #expect(isSilent == [4, 5, 6].contains(token), "token \(token)")
        }
    }

    /// What is read often is common, what is hardly ever read counts as never read.
    @Test func theLayoutCountsWords() throws {
        var configuration = TinyModel.configuration
        var layout = SlotLayout(configuration, TinyModel.parameters(), level: 1, spelling: SlotCases.spelling)
        for _ in 0..<500 { layout.countWords([4, 5]) }
        for _ in 0..<2 { layout.countWords([7]) }
        configuration.levels[1].slots = .init(capacity: 8, contextSize: 64, words: 64)
        let rarity = try #require(layout.tensors(for: configuration, seed: 1)["\(SlotCases.link).slots.rarity"])
        func rarest(_ token: Int) throws -> Float {
            let place = WordPlaces(try #require(SlotCases.spelling[token].hash(after: nil)), 64)
            return max(rarity.elements[place.first], rarity.elements[64 + place.second])
        }
        #expect(try rarest(4) < rarest(7) && rarest(7) == rarest(8))
        #expect(try abs(rarest(8) - Float(SlotLayout.shares.word * 7.603 * 7.603 / 8)) < 0.01)
    }

    /// The first words of a text are in many others: their slots speak only where nothing else was said before.
    @Test func slotsOfFirstWordsAreFaint() throws {
        var text: [Int32] = [4, 5, 7, 8]
        text += (0..<10).map { Int32(10 + 3 * $0 % 27) }
        let (levels, _) = try SlotCases.learn(
            LearningText(text, configuration: SlotCases.slotted().0), into: SlotCases.levels())
        let memory = levels.slotMemory(SlotCases.link)
        try #require(memory.count > 4)
        let isFaint = memory.strictness.map { $0 >= SlotAddresses<Float>.faint }
        #expect(isFaint.first == true && isFaint.last == false)
        #expect(isFaint == isFaint.sorted { $0 && !$1 }, "\(isFaint)")
    }
}
