import TestSupport
import Testing

@testable import NLCore

/// Slots beside a link: the right ones are found, what they hold has its gradient, reading in any form agrees, and
/// what is learned into them leaves other texts alone.
@Suite struct AssociativeSlotsTests {
    /// The tiny model with slots beside the links of `medium`, laid out over random texts.
    private static func slotted(blocks: Int? = nil) -> (HopeConfiguration, ParameterSet<Float>) {
        var configuration = TinyModel.configuration
        var layout = SlotLayout(configuration, TinyModel.parameters(), level: 1)
        for seed in UInt64(100)..<120 { layout.read(TinyModel.text(seed: seed, length: 50)) }
        configuration.levels[1].slots = .init(halfKeys: 24, active: 6, blocks: blocks)
        configuration.levels[1].learningRate = 0.03
        return (configuration, layout.parameters(for: configuration, seed: 3))
    }

    // MARK: - Finding

    /// All n² sums, sorted.
    private func naive(_ scores: [Double], half: Int, active: Int) -> (slots: [Int], strengths: [Double]) {
        var sums: [(score: Double, slot: Int)] = []
        for i in 0..<half { for j in 0..<half { sums.append((scores[i] + scores[half + j], i * half + j)) } }
        sums.sort { $0.score > $1.score }
        let strengths = sums[..<active].map { $0.score - sums[active].score }
        let length = (strengths.reduce(0) { $0 + $1 * $1 } + 1e-6).squareRoot()
        return (sums[..<active].map(\.slot), strengths.map { $0 / length })
    }

    @Test(arguments: [(2, 1), (3, 2), (7, 6), (16, 5), (64, 16)])
    func theSearchFindsWhatSortingAllFinds(half: Int, active: Int) {
        var random = SeededRandom(seed: UInt64(half))
        let rows = 37
        let scores = Tensor((0..<rows * 2 * half).map { _ in random.nextNormal() }, shape: [rows, 2 * half])
        let bias = Tensor((0..<2 * half).map { _ in random.nextNormal() }, shape: [2 * half])
        let found = SlotAddresses(scores, bias: bias, active: active)
        for row in 0..<rows {
            let own = scores.elements[row * 2 * half..<(row + 1) * 2 * half]
            let expected = naive(zip(own, bias.elements).map { $0 + $1 }, half: half, active: active)
            let range = row * active..<(row + 1) * active
            #expect(found.slots.elements[range].map { Int($0) } == expected.slots)
            expectClose(Array(found.strengths.elements[range]), expected.strengths, .double, "strengths of row \(row)")
        }
    }

    @Test func equalScoresAreNoTrouble() {
        let scores = Tensor<Double>.zeros([2, 8])
        let found = SlotAddresses(scores, bias: .zeros([8]), active: 3)
        #expect(Set(found.slots.elements[..<3]).count == 3)
        #expect(found.strengths.elements.allSatisfy { $0 == 0 })
    }

    @Test func valuesHaveTheirGradient() {
        var random = SeededRandom(seed: 5)
        let scores = Tensor((0..<2 * 5 * 8).map { _ in random.nextNormal() }, shape: [2, 5, 8])
        checkGradient("recall", inputs: [[16, 3]]) {
            Variable.recall(scores, bias: .zeros([8]), values: $0[0], active: 3)
        }
    }

    // MARK: - In the model

    @Test func emptySlotsChangeNothing() {
        let (configuration, parameters) = Self.slotted()
        let tokens = TinyModel.text(seed: 9, length: 30).inputs
        let without = StreamingCases.readOnTape(TinyModel.configuration, TinyModel.parameters(), tokens)
        let with = StreamingCases.readOnTape(configuration, parameters, tokens)
        expectSame(with.logits, without.logits, "logits")
    }

    @Test(arguments: [nil, 1])
    func streamsAgreeWithTheTapeAndWithEachOther(blocks: Int?) throws {
        var (configuration, parameters) = Self.slotted(blocks: blocks)
        var random = SeededRandom(seed: 4)
        for (name, tensor) in parameters.entries where HopeParameters<Void>.isZeroInBase(name) {
            parameters[name] = Tensor((0..<tensor.count).map { _ in Float(random.nextNormal()) }, shape: tensor.shape)
        }
        configuration.levels[1].slots?.blocks = blocks
        let tokens = TinyModel.text(seed: 9, length: 60).inputs
        let weights = try HopeWeights(configuration, parameters)
        let whole = try StreamingCases.read(tokens, [tokens.count], weights)
        let onTape = StreamingCases.readOnTape(configuration, parameters, tokens)
        let empty = StreamingCases.readOnTape(TinyModel.configuration, TinyModel.parameters(), tokens)
        #expect(onTape.logits != empty.logits)
        expectClose(whole.logits.map { Double($0) }, onTape.logits.map { Double($0) }, .float, "stream against tape")
        for split in StreamingCases.splits(of: tokens.count, random: 4, seed: 7) {
            expectSame(try StreamingCases.read(tokens, split, weights).logits, whole.logits, "split \(split)")
        }
    }

    @Test func theLayoutSpreadsContextsOverTheSlots() {
        let (configuration, parameters) = Self.slotted(blocks: 1)
        let keys = Tensor(parameters["blocks.1.levels.1.slots.keys"]?.elements ?? [], shape: [48, 16])
        let bias = parameters["blocks.1.levels.1.slots.bias"] ?? .zeros([48])
        #expect(parameters["blocks.0.levels.1.slots.keys"] == nil)
        var used: Set<Float> = []
        let tape = Tape<Float>()
        var model = HopeModel(configuration, parameters, on: tape) { _ in false }
        model.observe = { block, link, input in
            guard block == 1 && link == 1 else { return }
            let scores = tape.constant(input).linear(tape.constant(keys)).value
            used.formUnion(SlotAddresses(scores, bias: bias, active: 6).slots.elements)
        }
        for seed in UInt64(200)..<210 { _ = model(TinyModel.text(seed: seed, length: 50).inputs, batch: 1) }
        // 510 contexts of 6 slots among 576.
        #expect(used.count > 250, "\(used.count) slots used")
    }

    // MARK: - Learning

    private func learn(_ text: LearningText, into levels: SpaceLevels) throws -> SpaceLevels {
        var settings = Acquisition.Settings()
        settings.windowSize = 16
        settings.maximumPasses = 200
        var acquisition = Acquisition(
            text, into: levels, rehearsal: Rehearsal(journal: [], anchors: [], seed: 3), settings: settings)
        while true {
            if case .finished(let outcome) = try acquisition.step() {
                #expect(outcome.targetReached)
                return acquisition.levels
            }
        }
    }

    private func losses(_ texts: [LearningText], _ levels: SpaceLevels) throws -> [Double] {
        var measurement = TextMeasurement(texts, configuration: levels.configuration, windowSize: 16)
        try measurement.finish(parameters: levels.effective)
        return measurement.losses
    }

    @Test func whatSlotsLearnLeavesOtherTextsAloneMoreThanWhatLinksLearn() throws {
        let texts = (1...3).map { TinyModel.text(seed: $0, length: 24) }
        let others = (11...14).map { TinyModel.text(seed: $0, length: 40) }
        let (configuration, parameters) = Self.slotted()
        let starts = [
            try SpaceLevels(TinyModel.configuration, base: TinyModel.parameters()),
            try SpaceLevels(configuration, base: parameters),
        ]
        #expect(
            starts[1].tensors(of: .acquisition) == ["blocks.0.levels.1.slots.values", "blocks.1.levels.1.slots.values"])
        var harm: [Double] = []
        var kept: [Double] = []
        for start in starts {
            var levels = start
            for text in texts { levels = try learn(text, into: levels) }
            let (before, after) = (try losses(others, start), try losses(others, levels))
            harm.append(zip(after, before).reduce(0) { $0 + $1.0 - $1.1 })
            kept.append(try losses(texts, levels).reduce(0, +) / 3)
        }
        #expect(harm[1] < harm[0] / 2, "links cost others \(harm[0]), slots \(harm[1])")
        #expect(kept[1] < kept[0] / 2, "links keep the texts at \(kept[0]), slots at \(kept[1])")
    }

    @Test func settlingWithdrawsOnlyTheDocumentsOwnShare() throws {
        let (configuration, parameters) = Self.slotted()
        let first = try learn(TinyModel.text(seed: 1, length: 24), into: SpaceLevels(configuration, base: parameters))
        var second = try learn(TinyModel.text(seed: 2, length: 24), into: first)
        second.withdraw(.acquisition, to: 0, since: first)
        let (now, then) = (try #require(second["medium"]).delta, try #require(first["medium"]).delta)
        for (name, tensor) in now.entries {
            expectClose(
                tensor.elements.map { Double($0) }, then[name]?.elements.map { Double($0) } ?? [], .float, name)
        }
    }

    @Test func badGeometryIsNamed() {
        for (slots, word) in [
            (HopeConfiguration.Level.Slots(halfKeys: 1, active: 1), "half_keys"),
            (.init(halfKeys: 8, active: 8), "active"), (.init(halfKeys: 8, active: 2, blocks: 3), "blocks"),
        ] {
            var configuration = TinyModel.configuration
            configuration.levels[1].slots = slots
            #expect { try configuration.validate() } throws: { "\($0)".contains("slots.\(word)") }
        }
    }
}
