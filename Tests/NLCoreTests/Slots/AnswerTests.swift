import TestSupport
import Testing

@testable import NLCore

/// A sentence that was learned as an answer is said where a conversation asks for it, by every way of reading, and
/// changes nothing elsewhere.
@Suite struct AnswerTests {
    /// Tokens 2 to 37 are words or their rests, 38 and 39 none: pairs of those mark turns.
    private static let lexicon = ConversationLexicon(
        questionMarks: [[39, 38]], answerMarks: [[38, 39], [38, 38, 38]],
        spelling: (0..<TinyModel.configuration.vocabularySize).map { token in
            token < 2 ? nil : token > 37 ? Array(" .".utf8) : Array("\(token % 3 == 0 ? "" : " ")w\(token)".utf8)
        })
    private static let bos = Int32(TinyModel.configuration.bosTokenID)
    private static let eos = Int32(TinyModel.configuration.eosTokenID)

    private static func levels(capacity: Int = 256) throws -> SpaceLevels {
        var (configuration, parameters) = SlotCases.slotted(capacity: capacity)
        configuration.conversation = lexicon
        return try SpaceLevels(configuration, base: parameters)
    }

    private static func asking(_ words: [Int32]) -> [Int32] { [bos, 39, 38] + words + [38, 39] }

    private static func text(_ sentence: [Int32]) -> LearningText {
        var text = LearningText(sentence, configuration: TinyModel.configuration)
        text.answers = [LearningText.Answer(prompt: asking(sentence), reply: sentence, end: eos)]
        return text
    }

    private static func learn(
        _ text: LearningText, into levels: SpaceLevels, answers: Bool? = true
    ) throws -> (levels: SpaceLevels, outcome: Acquisition.Outcome) {
        try SlotCases.learn(text, into: levels) { $0.answers = answers }
    }

    /// What is said after a prompt, greedily, by the model on a tape; without the end.
    private static func reply(_ levels: SpaceLevels, _ prompt: [Int32], most: Int = 12) -> [Int32] {
        var tokens = prompt
        while tokens.count < prompt.count + most {
            let logits = StreamingCases.readOnTape(levels.configuration, levels.effective, tokens).logits
            let row = logits.suffix(levels.configuration.vocabularySize)
            guard let next = row.indices.max(by: { row[$0] < row[$1] }) else { break }
            if Int32(next - row.startIndex) == eos { break }
            tokens.append(Int32(next - row.startIndex))
        }
        return Array(tokens[prompt.count...])
    }

    private static let sentence: [Int32] = [4, 7, 5, 10, 13, 8]
    private static let other: [Int32] = [16, 19, 22, 14, 25, 17]

    @Test func aQuestionInOtherWordsIsAnswered() throws {
        let start = try Self.levels()
        #expect(Self.reply(start, Self.asking(Self.sentence)) != Self.sentence)
        let (one, outcome) = try Self.learn(Self.text(Self.sentence), into: start)
        #expect(outcome.targetReached)
        let (both, _) = try Self.learn(Self.text(Self.other), into: one)
        for question in [Self.sentence, [10, 4, 7], [13, 5, 28, 4, 10], [8, 13, 10, 7]] {
            #expect(Self.reply(both, Self.asking(question)) == Self.sentence, "\(question)")
        }
        #expect(Self.reply(both, Self.asking([25, 19, 22])) == Self.other)
        // Earlier turns are not asked again.
        let before = Self.asking([25, 19, 22]) + Self.other
        #expect(Self.reply(both, before + [39, 38, 10, 4, 7, 38, 39]) == Self.sentence)
        // Another way of cutting the mark.
        #expect(Self.reply(both, [Self.bos, 39, 38, 10, 4, 7, 38, 38, 38]) == Self.sentence)
    }

    @Test func elsewhereEveryBitIsWithoutAnswers() throws {
        let start = try Self.levels()
        let (with, _) = try Self.learn(Self.text(Self.sentence), into: start)
        let (without, _) = try Self.learn(Self.text(Self.sentence), into: start, answers: nil)
        #expect(with.slotMemory(SlotCases.link).count == without.slotMemory(SlotCases.link).count + 7)
        func expectLast(_ tokens: [Int32], asIn other: SpaceLevels) {
            let logits = [with, other].map {
                StreamingCases.readOnTape($0.configuration, $0.effective, tokens).logits
                    .suffix($0.configuration.vocabularySize)
            }
            expectSame(Array(logits[0]), Array(logits[1]), "\(tokens)")
        }
        let asked = Self.asking([10, 4, 7])
        let prose = [Self.bos] + Self.sentence
        for tokens in [prose, Array(asked.dropLast()), prose + [38, 39] + Self.sentence] {
            expectLast(tokens, asIn: without)
        }
        #expect(Self.reply(without, Array(prose.dropLast(2)), most: 2) == Self.sentence.suffix(2))
        // Asked for something else, or once something else was said, the answer is silent.
        for tokens in [Self.asking([28, 31, 34]) + Self.sentence.dropLast(), asked + [20], asked + [4, 7, 20]] {
            expectLast(tokens, asIn: without)
        }
    }

    @Test func streamsAgreeWithTheTapeHoweverTheyAreCut() throws {
        let (levels, _) = try Self.learn(Self.text(Self.sentence), into: Self.levels())
        let tokens =
            [Self.bos] + (0..<70).map { Int32(2 + $0 % 30) } + [39, 38, 7, 10, 4, 38, 39] + Self.sentence
        let weights = try HopeWeights(levels.configuration, levels.effective)
        let whole = try StreamingCases.read(tokens, [tokens.count], weights)
        let onTape = StreamingCases.readOnTape(levels.configuration, levels.effective, tokens)
        expectClose(whole.logits.map { Double($0) }, onTape.logits.map { Double($0) }, .float, "stream against tape")
        for split in StreamingCases.splits(of: tokens.count, random: 4, seed: 7).suffix(12) {
            expectSame(try StreamingCases.read(tokens, split, weights).logits, whole.logits, "split \(split)")
        }
        let first = try StreamingCases.read(tokens, [76], weights)
        let again = try StreamState(decoding: first.state.encoded(), levels.configuration)
        let rest = try StreamingCases.read(Array(tokens[76...]), [tokens.count - 76], weights, from: again)
        expectSame(rest.logits, Array(whole.logits.suffix(rest.logits.count)), "after storing")
    }

    @Test func theNewerOfTwoAnswersIsSaid() throws {
        let newer: [Int32] = [4, 7, 5, 10, 13, 11]
        var levels = try Self.levels()
        for sentence in [Self.sentence, newer] { levels = try Self.learn(Self.text(sentence), into: levels).levels }
        #expect(Self.reply(levels, Self.asking([10, 4, 7])) == newer)
    }

    @Test func anAnswerOfOneWordIsSaid() throws {
        var text = LearningText(Self.sentence, configuration: TinyModel.configuration)
        text.answers = [.init(prompt: Self.asking([10, 13, 4, 7]), reply: [34], end: Self.eos)]
        let (levels, _) = try Self.learn(text, into: Self.levels())
        #expect(Self.reply(levels, Self.asking([10, 4, 7])) == [34])
    }

    /// The newest of those found equally well may be of a document that lacks what is asked for.
    @Test func theNewestThatKnowsSpeaks() throws {
        var first = Self.text([4, 7, 13])
        first.answers.append(.init(prompt: Self.asking([10, 16, 19]), reply: [10, 16, 19], end: Self.eos))
        let levels = try Self.learn(Self.text([4, 7, 28]), into: Self.learn(first, into: Self.levels()).levels).levels
        #expect(Self.reply(levels, Self.asking([4, 7, 10, 16])) == [4, 7, 13])
        #expect(Self.reply(levels, Self.asking([4, 7])) == [4, 7, 28])
    }

    /// What a question names beside what it asks for must be said near the answer, or where the document begins.
    @Test func aLongDocumentKnowsWhatStandsNearAnAnswer() throws {
        let asked: [Int32] = [4, 7, 10, 13, 20]
        let answer: [Int32] = [4, 7, 5]
        let rest: [[Int32]] = [[10, 14, 16], [13, 17, 19], [20, 22, 23]]
        let filler = [[Int32]](repeating: [26, 28, 29], count: 7)
        func reply(_ sentences: [[Int32]]) throws -> [Int32] {
            var text = LearningText(filler[0], configuration: TinyModel.configuration)
            text.answers = sentences.map { .init(prompt: Self.asking($0), reply: $0, end: Self.eos) }
            return Self.reply(try Self.learn(text, into: Self.levels()).levels, Self.asking(asked), most: 3)
        }
        #expect(try reply(filler + [answer] + rest + filler) == answer)
        #expect(try reply(Array(rest[..<2]) + filler + [answer] + filler) == answer)
        for far in [filler + [answer] + filler + rest, [[31, 34], [32, 35]] + rest + filler + [answer]] {
            #expect(try reply(far) != answer)
        }
    }

    /// A document that is sent again with a sentence changed is asked for as a whole, and a sentence far from the change
    /// is not learned again.
    @Test func aChangedSentenceIsFoundByWhatStandsAroundIt() throws {
        let asked: [Int32] = [4, 7, 10, 13, 20]
        let (old, new): ([Int32], [Int32]) = ([4, 7, 5], [4, 7, 11])
        let around: [[Int32]] = [[10, 14, 16], [13, 17, 19], [20, 22, 23]]
        let others = (0..<8).map { [24 + Int32($0), 33, 34] }
        func learn(_ sentences: [[Int32]], into levels: SpaceLevels) throws -> (SpaceLevels, Acquisition.Outcome) {
            var text = LearningText(others[0], configuration: TinyModel.configuration)
            text.answers = sentences.map { .init(prompt: Self.asking($0), reply: $0, end: Self.eos) }
            return try Self.learn(text, into: levels)
        }
        let (once, _) = try learn(others + around + [old], into: Self.levels())
        #expect(Self.reply(once, Self.asking(asked), most: 3) == old)
        let (again, same) = try learn(others + around + [old], into: once)
        #expect(same.answersLeft == 12)
        #expect(again.slotMemory(SlotCases.link).count == once.slotMemory(SlotCases.link).count)
        let (changed, outcome) = try learn(others + around + [new], into: again)
        #expect(Self.reply(changed, Self.asking(asked), most: 3) == new)
        // The introduction, the four before the change, and the change.
        #expect(outcome.answersLeft == 12 - 2 - 4 - 1)
    }

    @Test func theLastSlotThatLearnedATokenIsKnown() throws {
        var levels = try Self.levels()
        for sentence in [Self.sentence, Self.other, [7, 34]] {
            levels = try Self.learn(Self.text(sentence), into: levels).levels
        }
        let records = levels.slotValues(SlotCases.link).records
        let last = AnswerMemory.lastSlots(
            in: records, end: Self.eos, vocabularySize: TinyModel.configuration.vocabularySize)
        let openings = (0..<SlotMemory.used(records)).filter {
            records.pointer[2 * $0 + 1] == AnswerMemory<Float>.opening
        }
        #expect(openings.count == 3)
        for (place, token) in Self.other.enumerated() { #expect(last[Int(token)] == openings[1] + place) }
        // A newer one, an older one, the end before what makes up the four, and none.
        #expect(last[7] == openings[2] && last[34] == openings[2] + 1 && last[4] == openings[0])
        #expect(last[Int(Self.eos)] == openings[2] + 2 && last[29] == nil)
    }

    @Test func whatIsKnownAlreadyStillGetsItsAnswersButNoneTwice() throws {
        let (without, _) = try Self.learn(Self.text(Self.sentence), into: Self.levels(), answers: nil)
        let (with, outcome) = try SlotCases.learn(Self.text(Self.sentence), into: without) {
            // Known from the start.
            ($0.answers, $0.shortTarget) = (true, 8)
        }
        #expect(outcome.targetReached && outcome.passes == 0 && outcome.tokens == 7)
        #expect(Self.reply(with, Self.asking([10, 4, 7])) == Self.sentence)
        let (again, known) = try Self.learn(Self.text(Self.sentence), into: with)
        #expect(outcome.answersLeft == 0 && known.answersLeft == 1)
        #expect(again.slotMemory(SlotCases.link).count == with.slotMemory(SlotCases.link).count)
    }

    @Test func whatCannotBeLearnedIsLeftOut() throws {
        let used = try Self.learn(Self.text(Self.sentence), into: Self.levels(), answers: nil)
            .levels.slotMemory(SlotCases.link).count
        // Too few steps, no question, and a question that ends before the prompt does.
        let (hasty, _) = try SlotCases.learn(Self.text(Self.sentence), into: Self.levels()) {
            ($0.answers, $0.maximumPasses) = (true, 1)
        }
        #expect(hasty.slotMemory(SlotCases.link).count <= used)
        for prompt in [
            [Self.bos, 4, 7, 10], [Self.bos, 38, 39], Self.asking([4, 7]) + [10], Self.asking([4, 38, 39, 7]),
        ] {
            var text = LearningText(Self.sentence, configuration: TinyModel.configuration)
            text.answers = [.init(prompt: prompt, reply: Self.sentence, end: Self.eos)]
            let (levels, outcome) = try Self.learn(text, into: Self.levels())
            #expect(outcome.targetReached && outcome.answersLeft == 1, "\(prompt)")
            #expect(levels.slotMemory(SlotCases.link).count == used, "\(prompt)")
        }
    }

    @Test func whatHasNoRoomIsLeftOutWhole() throws {
        let room = try Self.learn(Self.text(Self.sentence), into: Self.levels(), answers: nil)
        let used = room.levels.slotMemory(SlotCases.link).count
        let (levels, outcome) = try Self.learn(Self.text(Self.sentence), into: Self.levels(capacity: used + 6))
        #expect(outcome.targetReached && levels.slotMemory(SlotCases.link).count == used)
        let (enough, _) = try Self.learn(Self.text(Self.sentence), into: Self.levels(capacity: used + 7))
        #expect(enough.slotMemory(SlotCases.link).count == used + 7)
    }

    @Test func workThatWasCutGoesOnToTheSameBits() throws {
        var text = Self.text(Self.sentence)
        // In several batches, and each more than once: what was said before the document began is not learned again, what
        // the document says twice is.
        for number in 0..<14 {
            let sentence = number % 2 == 0 ? Self.other : Self.sentence
            text.answers.append(.init(prompt: Self.asking(sentence), reply: sentence, end: Self.eos))
        }
        var settings = Acquisition.Settings()
        (settings.windowSize, settings.answers) = (16, true)
        func begin() throws -> Acquisition {
            Acquisition(
                text, into: try Self.levels(), rehearsal: Rehearsal(journal: [], anchors: [], seed: 3),
                settings: settings)
        }
        func finish(_ acquisition: Acquisition) throws -> SpaceLevels {
            var acquisition = acquisition
            while true { if case .finished = try acquisition.step() { return acquisition.levels } }
        }
        let whole = try finish(begin())
        var (acquisition, cuts) = (try begin(), 0)
        while case .progress = try acquisition.step() {
            guard acquisition.phase == .answering, let saved = acquisition.saved else { continue }
            cuts += 1
            var again = try begin()
            try again.resume(from: saved)
            let levels = try finish(again)
            for (name, tensor) in whole.effective.entries {
                #expect(levels.effective[name]?.elements == tensor.elements, "\(name)")
            }
        }
        #expect(cuts >= 2)
        // Work that was saved with other answers can't go on.
        var (other, saved) = (try begin(), acquisition.saved)
        while saved?.position.phase != .answering {
            _ = try other.step()
            saved = other.saved
        }
        let position = try #require(saved)
        text.answers.removeLast()
        var changed = try begin()
        #expect(throws: SavedWorkError.self) { try changed.resume(from: position) }
    }

    @Test func whatWasSaidBeforeIsLearnedInFewerSteps() throws {
        func rounds(_ levels: SpaceLevels) throws -> (Int, SpaceLevels) {
            var settings = Acquisition.Settings()
            (settings.windowSize, settings.answers) = (16, true)
            var acquisition = Acquisition(
                Self.text(Self.other), into: levels, rehearsal: Rehearsal(journal: [], anchors: [], seed: 3),
                settings: settings)
            var rounds = 0
            while case .progress = try acquisition.step() { rounds += acquisition.phase == .answering ? 1 : 0 }
            return (rounds, acquisition.levels)
        }
        let (fresh, once) = try rounds(Self.levels())
        var reversed = LearningText(Self.sentence, configuration: TinyModel.configuration)
        reversed.answers = [
            .init(prompt: Self.asking([31, 34]), reply: Self.other.reversed(), end: Self.eos)
        ]
        let (warm, again) = try rounds(try Self.learn(reversed, into: Self.levels()).levels)
        #expect(warm < fresh)
        for levels in [once, again] { #expect(Self.reply(levels, Self.asking([25, 19, 22])) == Self.other) }
    }

    @Test func progressGrowsEvenly() throws {
        var text = LearningText((0..<60).map { Int32(2 + $0 * 7 % 30) }, configuration: TinyModel.configuration)
        for _ in 0..<20 {
            text.answers.append(.init(prompt: Self.asking(Self.other), reply: Self.other, end: Self.eos))
        }
        var settings = Acquisition.Settings()
        (settings.windowSize, settings.answers) = (16, true)
        var acquisition = Acquisition(
            text, into: try Self.levels(), rehearsal: Rehearsal(journal: [], anchors: [], seed: 3), settings: settings)
        var fractions: [Double] = []
        while case .progress(let progress) = try acquisition.step() { fractions.append(progress.fraction) }
        #expect(zip(fractions, fractions.dropFirst()).allSatisfy { $0 <= $1 && $1 < $0 + 0.25 }, "\(fractions)")
        #expect(fractions.contains { (0.2...0.5).contains($0) } && fractions.contains { (0.6...0.8).contains($0) })
    }

    @Test func recordsOfAnswersAreNoFault() throws {
        let (levels, _) = try Self.learn(Self.text(Self.sentence), into: Self.levels())
        #expect(levels.slotFault == nil)
        for wrong in [Float(-0.5), -1.5, 1.5, .nan, -1e20] {
            var broken = levels
            broken.write(Tensor([1, wrong], shape: [1, 2]), to: [1], of: "\(SlotCases.link).slots.records")
            #expect(broken.slotFault != nil, "\(wrong)")
        }
    }

    // MARK: - Words and turns

    private func stems(_ pieces: [String]) -> [UInt32] {
        ConversationLexicon(
            questionMarks: [], answerMarks: [], spelling: pieces.map { $0.isEmpty ? nil : Array($0.utf8) }
        ).words(of: pieces.indices.map(Int32.init)).map(\.stem)
    }

    @Test func aWordIsItsStemHoweverItIsCutAndEnds() {
        let live = stems([" live"])
        #expect(live.count == 1)
        for pieces in [[" Lives"], [" l", "iv", "ed"], [" living"], ["liv", "es"], ["LIVE"], ["", "live", "."]] {
            #expect(stems(pieces) == live, "\(pieces)")
        }
        #expect(stems([" liver"]) != live && stems([" glas"]) != stems([" glass"]) && stems([" is"]) != stems([" i"]))
        #expect(stems([" li", "", "ve"]).count == 2 && stems([" E", "-", "10", "93"]).count == 2)
        #expect(stems([" the", " cats", "'", "s", "東", "京"]).count == 5)
        let text = ["Who", " built", " D", "over", "?", " I", " did", ",", " in", " Dover", "Castle"]
        let words = ConversationLexicon(questionMarks: [], answerMarks: [], spelling: text.map { Array($0.utf8) })
            .words(of: text.indices.map(Int32.init))
        #expect(words.map(\.isName) == [false, false, true, false, false, false, true])
    }

    @Test func aReplyBeginsAfterItsQuestion() {
        let (q, a): ([Int32], [Int32]) = ([39, 38], [38, 39])
        let tokens = [0, 5] + a + [6] + q + [7, 8] + a + [9] + q + [10]
        let replies = Self.lexicon.replies(in: tokens, last: tokens.count)
        #expect(replies.map { $0 != nil } == [Bool](repeating: false, count: 10) + [true, true, true, false, false])
        #expect(replies[10] == .init(question: 7..<9, start: 11) && replies[12] == replies[10])
        // A mark within a reply is a part of it.
        #expect(Self.lexicon.replies(in: [0] + q + [7] + a + [9] + a, last: 1) == [.init(question: 3..<4, start: 6)])
    }

    @Test func aQuestionOutOfReachIsNotAnsweredWhereverReadingBegan() throws {
        let (levels, _) = try Self.learn(Self.text(Self.sentence), into: Self.levels())
        let memory = levels.slotMemory(SlotCases.link)
        let words = try #require(levels.effective["\(SlotCases.link).slots.spelling"])
        let rarity = try #require(levels.effective["\(SlotCases.link).slots.rarity"])
        let features = WordFeatures<Float>(.init(spelling: words, rarity: rarity))
        for length in [10, 400, 480, 489, 490, 491, 495, 505, 510, 600] {
            let tokens = [Self.bos, 39, 38] + (0..<length).map { Self.sentence[$0 % 3] } + [38, 39]
            let whole = memory.answers(tokens, after: [], Self.lexicon, features)
            let rest = memory.answers(
                [39], after: tokens.dropLast().suffix(LearningWindow.reach), Self.lexicon, features)
            #expect((whole.last ?? nil)?.slot == (rest.last ?? nil)?.slot, "\(length)")
            #expect(((whole.last ?? nil) != nil) == (length < 495), "\(length)")
        }
    }
}
