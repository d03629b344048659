import TestSupport
import Testing

@testable import NLCore

/// Slots in the model: what is written is known, by every way of reading, and leaves everything else as it was.
@Suite struct SlotLearningTests {
    @Test func emptySlotsChangeNothing() {
        let (configuration, parameters) = SlotCases.slotted()
        let tokens = TinyModel.text(seed: 9, length: 30).inputs
        let without = StreamingCases.readOnTape(TinyModel.configuration, TinyModel.parameters(), tokens)
        let with = StreamingCases.readOnTape(configuration, parameters, tokens)
        expectSame(with.logits, without.logits, "logits")
    }

    @Test func aTextIsLearnedAndOthersKeepTheirBits() throws {
        let start = try SlotCases.levels()
        // Of words of their own: random texts of the same 38 words resemble each other by chance.
        func text(_ seed: UInt64, _ length: Int, from first: Int32) -> LearningText {
            let words = TinyModel.text(seed: seed, length: length).targets.dropLast()
            return LearningText(words.map { first + $0 % 19 }, configuration: TinyModel.configuration)
        }
        let texts = (1...4).map { text($0, 24, from: 2) }
        let others = (11...14).map { text($0, 40, from: 21) }
        var levels = start
        for text in texts {
            let (after, outcome) = try SlotCases.learn(text, into: levels)
            #expect(outcome.targetReached && outcome.loss < outcome.baseLoss / 3, "\(outcome)")
            levels = after
        }
        let kept = try SlotCases.losses(texts, levels)
        #expect(kept.allSatisfy { $0 < 1.5 }, "after all: \(kept)")
        let (before, after) = (try SlotCases.losses(others, start), try SlotCases.losses(others, levels))
        #expect(before == after, "others were \(before), are \(after)")
        #expect(levels["medium"]?.counters.updates == 8)
        #expect(levels["slow"]?.delta.norm == 0)
    }

    @Test func streamsAgreeWithTheTapeAndWithEachOther() throws {
        let text = TinyModel.text(seed: 2, length: 90)
        let (levels, _) = try SlotCases.learn(text, into: SlotCases.levels())
        let weights = try HopeWeights(levels.configuration, levels.effective)
        let whole = try StreamingCases.read(text.inputs, [text.inputs.count], weights)
        let onTape = StreamingCases.readOnTape(levels.configuration, levels.effective, text.inputs)
        let empty = StreamingCases.readOnTape(levels.configuration, levels.base, text.inputs)
        #expect(onTape.logits != empty.logits)
        expectClose(whole.logits.map { Double($0) }, onTape.logits.map { Double($0) }, .float, "stream against tape")
        for split in StreamingCases.splits(of: text.inputs.count, random: 4, seed: 7).suffix(20) {
            expectSame(try StreamingCases.read(text.inputs, split, weights).logits, whole.logits, "split \(split)")
        }
        // A state that was stored and read again goes on as if it had not been.
        let first = try StreamingCases.read(text.inputs, [70], weights)
        let again = try StreamState(decoding: first.state.encoded(), levels.configuration)
        let rest = try StreamingCases.read(Array(text.inputs[70...]), [text.inputs.count - 70], weights, from: again)
        expectSame(rest.logits, Array(whole.logits.suffix(rest.logits.count)), "after storing")
    }

    @Test func theSameContextTaughtAgainSaysTheNewThing() throws {
        let first = TinyModel.text(seed: 5, length: 16)
        var tokens = Array(first.targets.dropLast())
        tokens[15] = tokens[15] == 7 ? 8 : 7
        let second = LearningText(tokens, configuration: TinyModel.configuration)
        var levels = try SlotCases.learn(first, into: SlotCases.levels()).levels
        let used = levels.slotMemory(SlotCases.link).count
        levels = try SlotCases.learn(second, into: levels).levels
        #expect(try SlotCases.losses([second], levels)[0] < SlotCases.losses([first], levels)[0])
        // All but what differs stands in the slots that were there.
        #expect(levels.slotMemory(SlotCases.link).count - used <= 2)
    }

    @Test func whatFindsNoRoomIsNotLearnedAndHarmsNothing() throws {
        let full = try SlotCases.learn(TinyModel.text(seed: 1, length: 24), into: SlotCases.levels(capacity: 10))
        #expect(!full.outcome.targetReached)
        #expect(full.levels.slotMemory(SlotCases.link).count == 10)
        let (after, outcome) = try SlotCases.learn(TinyModel.text(seed: 2, length: 24), into: full.levels)
        #expect(!outcome.targetReached && outcome.loss == outcome.lossBefore)
        #expect(
            after.effective["\(SlotCases.link).slots.values"]?.elements
                == full.levels.effective["\(SlotCases.link).slots.values"]?.elements)
    }

    @Test func slotsNobodyFilledTakeNoMemory() throws {
        func rows(_ levels: SpaceLevels) -> [Set<Int>] {
            levels.levels.filter { $0.slots != nil }.map { Set($0.delta.entries.map(\.tensor.shape[0])) }
        }
        let start = try SlotCases.levels(capacity: 1 << 20)
        #expect(rows(start) == [[0], [0]] && start.effective.parameterCount < 100_000)
        let (first, _) = try SlotCases.learn(TinyModel.text(seed: 1, length: 24), into: start)
        let used = first.slotMemory(SlotCases.link).count
        #expect(used > 10 && rows(first) == [[used], [0]] && first["medium"]?.slots ?? (0, 0) == (used, 1 << 20))
        // Both levels hold some, and more are written behind them.
        var moved = first
        moved.absorb(keeping: 0)
        #expect(rows(moved) == [[0], [used]])
        let (second, outcome) = try SlotCases.learn(TinyModel.text(seed: 2, length: 24), into: moved)
        let all = second.slotMemory(SlotCases.link).count
        #expect(outcome.targetReached && rows(second) == [[all], [used]])
        let (direct, _) = try SlotCases.learn(TinyModel.text(seed: 2, length: 24), into: first)
        for (name, tensor) in direct.effective.entries {
            #expect(second.effective[name]?.elements == tensor.elements, "\(name)")
        }
    }

    @Test func aLongTextGetsSlotsForItsSurprisesAlone() throws {
        let text = TinyModel.text(seed: 3, length: 60)
        let (levels, outcome) = try SlotCases.learn(text, into: SlotCases.levels()) {
            ($0.shortLength, $0.longLength, $0.longTargetShare) = (20, 40, 0.7)
        }
        let used = levels.slotMemory(SlotCases.link).count
        #expect(outcome.targetReached && used > 5 && used < 40, "\(used) slots, \(outcome)")
    }

    /// Some tokens are so like others that no value tells them apart; the others are learned long before all steps are taken.
    @Test func aWindowEndsWhenStepsBringLittle() throws {
        // A word too common to count leads to other words each time.
        var tokens = TinyModel.text(seed: 3, length: 60).inputs
        for place in stride(from: 20, to: 60, by: 4) { tokens[place] = tokens[20] }
        var settings = Acquisition.Settings()
        (settings.windowSize, settings.shortLength, settings.longLength) = (64, 20, 40)
        settings.longTargetShare = 0.7
        var acquisition = Acquisition(
            LearningText(tokens, configuration: TinyModel.configuration), into: try SlotCases.levels(),
            rehearsal: Rehearsal(journal: [], anchors: [], seed: 3), settings: settings)
        var rounds = 0
        while true {
            let event = try acquisition.step()
            rounds += acquisition.phase == .writing ? 1 : 0
            guard case .finished(let outcome) = event else { continue }
            #expect(outcome.targetReached)
            break
        }
        // All steps are 16 rounds.
        #expect((2...12).contains(rounds), "\(rounds)")
    }

    @Test func consolidationHandsSlotsToTheSlowLevelAsTheyAre() throws {
        let text = TinyModel.text(seed: 1, length: 24)
        let levels = try SlotCases.learn(text, into: SlotCases.levels()).levels
        var consolidation = Consolidation(
            levels, new: [text], old: [], gate: [TinyModel.text(seed: 30, length: 30)],
            rehearsal: Rehearsal(journal: [], anchors: [], seed: 1), seed: 4, settings: .init())
        while true {
            guard case .finished(let outcome) = consolidation.step() else { continue }
            #expect(outcome.isAdopted && outcome.passes == 0)
            break
        }
        #expect(consolidation.levels["medium"]?.delta.norm == 0)
        for (name, tensor) in levels.effective.entries {
            #expect(consolidation.levels.effective[name]?.elements == tensor.elements, "\(name)")
        }
    }

    @Test func badGeometryIsNamed() {
        for (slots, word) in [
            (HopeConfiguration.Level.Slots(capacity: 0, contextSize: 64), "slots.capacity"),
            (.init(capacity: 8, contextSize: 4), "slots.context_size"),
        ] {
            var configuration = TinyModel.configuration
            configuration.levels[1].slots = slots
            #expect { try configuration.validate() } throws: { "\($0)".contains(word) }
            configuration.levels[1].slots = .init(capacity: 8, contextSize: 64)
            configuration.levels[2].slots = .init(capacity: 8, contextSize: 64)
            #expect { try configuration.validate() } throws: { "\($0)".contains("more than one level") }
        }
    }
}
