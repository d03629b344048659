import NLCore
import TestSupport
import Testing

@testable import NLCore

/// What serving rests on, at a size where products are cut and vectors filled: independence of the batch, of the split,
/// of stopping; a session's own weights; errors that change nothing.
@Suite struct StreamingHopeTests {
    private let configuration = StreamingCases.smallConfiguration()

    private func weights() throws -> HopeWeights<Float> {
        try HopeWeights(configuration, StreamingCases.lively(configuration, seed: 3))
    }

    @Test(arguments: [1, 2])
    func splitsAgreeWithOnePassAndWithTheTape(memoryMultiple: Int) throws {
        let configuration = StreamingCases.smallConfiguration(memoryMultiple: memoryMultiple)
        let parameters = StreamingCases.lively(configuration, seed: 5)
        let weights = try HopeWeights(configuration, parameters)
        let tokens = StreamingCases.tokens(101, of: configuration.vocabularySize, seed: 1)
        let whole = try StreamingCases.read(tokens, [tokens.count], weights)
        let onTape = StreamingCases.readOnTape(configuration, parameters, tokens)
        expectClose(
            whole.logits.map { Double($0) }, onTape.logits.map { Double($0) }, .float, "one pass against the tape")
        for split in StreamingCases.splits(of: tokens.count, random: 12, seed: 7) {
            let result = try StreamingCases.read(tokens, split, weights)
            expectSame(result.logits, whole.logits, "logits of split \(split)")
            expectSame(
                result.state.bits.map { Float($0) }, whole.state.bits.map { Float($0) }, "state of split \(split)")
        }
    }

    @Test func aStreamDoesNotDependOnTheOthersInItsBatch() throws {
        let weights = try weights()
        let vocabulary = configuration.vocabularySize
        let tokens = StreamingCases.tokens(61, of: vocabulary, seed: 2)
        let split = [1, 6, 17, 1, 1, 24, 11]
        let alone = try StreamingCases.read(tokens, split, weights)
        for others in [1, 2, 5, 9] {
            var random = SeededRandom(seed: UInt64(others))
            let place = random.nextIndex(below: others + 1)
            var inputs = (0...others).map { _ in StreamInput(state: StreamState<Float>(configuration), tokens: []) }
            var logits: [Float] = []
            var start = 0
            for count in split {
                for index in inputs.indices {
                    let length = index == place ? count : 1 + random.nextIndex(below: 30)
                    inputs[index].tokens = StreamingCases.tokens(length, of: vocabulary, seed: random.next())
                    inputs[index].wantsAllLogits = index == place || random.nextIndex(below: 2) == 0
                }
                inputs[place].tokens = Array(tokens[start..<start + count])
                logits += try StreamingHope.advance(&inputs, weights: weights)[place].elements
                start += count
            }
            expectSame(logits, alone.logits, "logits beside \(others) others")
            expectSame(
                inputs[place].state.bits.map { Float($0) }, alone.state.bits.map { Float($0) },
                "state beside \(others) others")
        }
    }

    @Test func lastLogitsAreTheLastRowOfAllLogits() throws {
        let weights = try weights()
        let tokens = StreamingCases.tokens(30, of: configuration.vocabularySize, seed: 4)
        let all = try StreamingCases.read(tokens, [30], weights)
        var inputs = [StreamInput(state: StreamState<Float>(configuration), tokens: tokens)]
        let last = try #require(try StreamingHope.advance(&inputs, weights: weights).first)
        #expect(last.shape == [1, configuration.vocabularySize])
        #expect(last.elements.count == configuration.vocabularySize)
        expectSame(last.elements, Array(all.logits.suffix(configuration.vocabularySize)), "last row")
        #expect(inputs[0].state.logits?.elements == last.elements)
    }

    @Test func aCopyOfAStateIsASnapshot() throws {
        let weights = try weights()
        let tokens = StreamingCases.tokens(120, of: configuration.vocabularySize, seed: 9)
        let snapshot = try StreamingCases.read(Array(tokens[..<37]), [37], weights).state
        let before = snapshot.bits
        let rest = Array(tokens[37...])
        let first = try StreamingCases.read(rest, [1, 10, 30, rest.count - 41], weights, from: snapshot)
        #expect(snapshot.bits == before)
        #expect(snapshot.position == 37)
        let second = try StreamingCases.read(rest, [1, 10, 30, rest.count - 41], weights, from: snapshot)
        #expect(second.logits == first.logits)
    }

    @Test(arguments: [3, 24, 29, 48, 71])
    func continuingADecodedStateIsNeverHavingStopped(position: Int) throws {
        let weights = try weights()
        let tokens = StreamingCases.tokens(120, of: configuration.vocabularySize, seed: 11)
        let state = try StreamingCases.read(tokens, [position], weights).state
        let decoded = try StreamState(decoding: state.encoded(), configuration)
        #expect(decoded.bits == state.bits)
        #expect(decoded.openTokens == state.openTokens)
        #expect(decoded.logits?.elements == state.logits?.elements)
        let rest = Array(tokens[position...])
        let split = [1, 1, rest.count - 2]
        let stopped = try StreamingCases.read(rest, split, weights, from: decoded)
        let running = try StreamingCases.read(rest, split, weights, from: state)
        #expect(stopped.logits == running.logits)
        #expect(stopped.state.bits == running.state.bits)
    }

    @Test func theSizeOfAStateDoesNotGrowWithWhatWasRead() throws {
        let weights = try weights()
        var state = StreamState<Float>(configuration)
        var sizes: Set<Int> = []
        let largest = StreamState<Float>.largestElementCount(configuration)
        for round in 0..<6 {
            let tokens = StreamingCases.tokens(48, of: configuration.vocabularySize, seed: UInt64(round))
            state = try StreamingCases.read(tokens, [17, 31], weights, from: state).state
            sizes.insert(state.bits.count)
            let open = try StreamingCases.read(tokens, [23], weights, from: state).state
            #expect(open.bits.count <= largest)
            #expect(open.bits.count > largest * 9 / 10)
        }
        #expect(sizes.count == 1)
    }

    // MARK: - A session's own weights

    @Test func fastWeightsEqualTheModelWithThemAdded() throws {
        let parameters = StreamingCases.lively(configuration, seed: 3)
        let weights = try HopeWeights(configuration, parameters)
        let delta = fastDelta(seed: 21)
        let fast = try FastWeights(configuration, delta)
        let tokens = StreamingCases.tokens(60, of: configuration.vocabularySize, seed: 6)
        let expected = StreamingCases.readOnTape(configuration, parameters.adding([delta]), tokens)
        let plain = StreamingCases.readOnTape(configuration, parameters, tokens)
        let own = try StreamingCases.read(tokens, [7, 1, 52], weights, fast: fast)
        expectClose(own.logits.map { Double($0) }, expected.logits.map { Double($0) }, .float, "own weights")
        let change = zip(expected.logits, plain.logits).map { abs($0 - $1) }.max() ?? 0
        #expect(change > 0.01)  // else the comparison says nothing
    }

    @Test func fastWeightsTouchTheirOwnStreamAlone() throws {
        let weights = try weights()
        let tokens = StreamingCases.tokens(60, of: configuration.vocabularySize, seed: 6)
        let (one, other) = (
            try FastWeights(configuration, fastDelta(seed: 1)), try FastWeights(configuration, fastDelta(seed: 2))
        )
        let fasts = [nil, one, other, nil]
        let alone = try fasts.map { try StreamingCases.read(tokens, [60], weights, fast: $0).logits }
        var inputs = fasts.map {
            StreamInput(state: StreamState<Float>(configuration), tokens: tokens, fast: $0, wantsAllLogits: true)
        }
        let together = try StreamingHope.advance(&inputs, weights: weights)
        for (index, logits) in together.enumerated() { expectSame(logits.elements, alone[index], "stream \(index)") }
        #expect(alone[0] != alone[1] && alone[1] != alone[2] && alone[0] == alone[3])
    }

    private func fastDelta(seed: UInt64) -> ParameterSet<Float> {
        var random = SeededRandom(seed: seed)
        var set = ParameterSet<Float>()
        let width = configuration.width
        for (name, shape) in [
            ("blocks.0.levels.0.up", [2 * width, width] as Shape), ("blocks.0.levels.0.down", [width, 2 * width]),
            ("blocks.0.levels.0.gain", [width]), ("blocks.1.levels.0.down", [width, 2 * width]),
            ("blocks.1.levels.1.up", [136, width]), ("blocks.0.levels.1.gate", [136, width]),
        ] {
            set[name] = Tensor((0..<shape.count).map { _ in Float(random.nextNormal()) * 0.2 }, shape: shape)
        }
        return set
    }

    @Test func fastWeightsOfAnythingButALinkAreRefused() {
        let width = configuration.width
        var set = ParameterSet<Float>()
        set["blocks.0.levels.0.up"] = .zeros([2 * width, width])
        set["blocks.0.mixer.query_projection"] = .zeros([width, width])
        #expect(throws: FastWeightsError.notALink(name: "blocks.0.mixer.query_projection")) {
            try FastWeights(configuration, set)
        }
        set["blocks.0.mixer.query_projection"] = nil
        set["blocks.1.levels.1.up"] = .zeros([2 * width, width])
        #expect(
            throws: FastWeightsError.shape(
                name: "blocks.1.levels.1.up", expected: [136, width], found: [2 * width, width])
        ) {
            try FastWeights(configuration, set)
        }
    }
}
