import TestSupport
import Testing

@testable import NLCore

/// Streams with a cache of keys and values: any cut gives the same bits, the cache is bounded, states come back exactly.
@Suite struct AttentionStreamingTests {
    @Test(arguments: [nil, 5, 20])
    func anySplitIsTheTape(window: Int?) throws {
        let configuration = AttentionCases.configuration(context: 24, window: window)
        let parameters = AttentionCases.parameters(configuration)
        let weights = try HopeWeights(configuration, parameters)
        let tokens = StreamingCases.tokens(53, of: configuration.vocabularySize, seed: 9)
        let expected = AttentionCases.onTape(configuration, parameters, tokens)
        let whole = try StreamingCases.read(tokens, [tokens.count], weights)
        expectClose(whole.logits.map(Double.init), expected.map(Double.init), .float, "window \(window ?? 0)")
        for split in StreamingCases.splits(of: tokens.count, random: 6, seed: 1) {
            let result = try StreamingCases.read(tokens, split, weights)
            expectSame(result.logits, whole.logits, "split \(split)")
            #expect(result.state.cache.pages.map(\.index) == whole.state.cache.pages.map(\.index))
        }
    }

    @Test func theCacheIsBounded() throws {
        let configuration = AttentionCases.configuration(context: 24)
        let weights = try HopeWeights(configuration, AttentionCases.parameters(configuration))
        let largest = StreamState<Float>.largestElementCount(configuration)
        var state = StreamState<Float>(configuration)
        for round in 0..<40 {
            let tokens = StreamingCases.tokens(7, of: configuration.vocabularySize, seed: UInt64(round))
            state = try StreamingCases.read(tokens, [7], weights, from: state).state
            let count = state.encoded().tensors.reduce(0) { $0 + $1.values.count }
            #expect(count <= largest)
            #expect(state.cache.pages.count <= AttentionCache<Float>.largestCount(configuration))
        }
        #expect(state.position == 280)
    }

    @Test(arguments: [1, 7, 8, 31])
    func aStateComesBackToTheBit(length: Int) throws {
        let configuration = AttentionCases.configuration(context: 16)
        let weights = try HopeWeights(configuration, AttentionCases.parameters(configuration))
        let tokens = StreamingCases.tokens(length + 12, of: configuration.vocabularySize, seed: 2)
        let before = try StreamingCases.read(Array(tokens[..<length]), [length], weights).state
        let restored = try StreamState(decoding: before.encoded(), configuration)
        #expect(restored.bits == before.bits)
        let rest = Array(tokens[length...])
        let own = try StreamingCases.read(rest, [5, 7], weights, from: before)
        let other = try StreamingCases.read(rest, [5, 7], weights, from: restored)
        #expect(own.logits == other.logits)
        #expect(own.state.bits == other.state.bits)
        #expect(before.bits == restored.bits, "a snapshot that others read on from has changed")
    }

    @Test func damagedStatesAreRefusedByName() throws {
        let configuration = AttentionCases.configuration(context: 16)
        let weights = try HopeWeights(configuration, AttentionCases.parameters(configuration))
        let tokens = StreamingCases.tokens(13, of: configuration.vocabularySize, seed: 2)
        let state = try StreamingCases.read(tokens, [13], weights).state
        var encoded = state.encoded()
        encoded.tensors.removeFirst()
        #expect(throws: StreamStateError.missing("pages.0")) { try StreamState(decoding: encoded, configuration) }
        encoded = state.encoded()
        encoded.tensors.append(("pages.9", [1], [0]))
        #expect(throws: StreamStateError.unexpected("pages.9")) { try StreamState(decoding: encoded, configuration) }
    }

    /// What a session's learning starts from: the tape continues the stream's last multiple of C_p.
    @Test func theBoundaryIsWhatTheTapeContinues() throws {
        let configuration = AttentionCases.configuration(context: 20)
        let parameters = AttentionCases.parameters(configuration)
        let weights = try HopeWeights(configuration, parameters)
        let tokens = StreamingCases.tokens(45, of: configuration.vocabularySize, seed: 6)
        let state = try StreamingCases.read(tokens, [45], weights).state
        #expect(state.openTokens == Array(tokens[40...]))
        let names = MixerState.parts(of: state.boundary)
        let stored = Dictionary(uniqueKeysWithValues: names.map { ($0.name, $0.tensor) })
        let restored = try MixerState<Float>.states(configuration, names: stored.keys) {
            name, shape throws(MissingPart) in
            guard let tensor = stored[name], tensor.shape == shape else { throw MissingPart() }
            return tensor
        }
        let expected = AttentionCases.onTape(configuration, parameters, tokens).suffix(5 * configuration.vocabularySize)
        for boundary in [state.boundary, restored] {
            let model = HopeModel(configuration, parameters, on: Tape<Float>()) { _ in false }
            let logits = model(state.openTokens, batch: 1, states: boundary).logits.value.elements
            expectClose(logits.map(Double.init), expected.map(Double.init), .float, "after the boundary")
        }
    }

    private struct MissingPart: Error {}

    @Test func aSessionsOwnWeightsAreAddedToTheMLPs() throws {
        let configuration = AttentionCases.configuration()
        let parameters = AttentionCases.parameters(configuration)
        let weights = try HopeWeights(configuration, parameters)
        let level = try LevelDefinition.levels(of: configuration)[0]
        #expect(level.tensors.map(\.name) == ["gate", "up", "down"].map { "blocks.3.mlp.\($0)" })
        let delta = StreamingCases.randomDelta(level, seed: 8)
        let tokens = StreamingCases.tokens(20, of: configuration.vocabularySize, seed: 1)
        let own = try StreamingCases.read(tokens, [20], weights, fast: FastWeights(configuration, delta)).logits
        let expected = AttentionCases.onTape(configuration, parameters.adding([delta]), tokens)
        expectClose(own.map(Double.init), expected.map(Double.init), .float, "with a fast level")
        let part = try #require(delta["blocks.3.mlp.up"])
        var single = ParameterSet<Float>()
        single["blocks.3.mlp.up"] = part
        let upOnly = try StreamingCases.read(tokens, [20], weights, fast: FastWeights(configuration, single)).logits
        expectClose(
            upOnly.map(Double.init),
            AttentionCases.onTape(configuration, parameters.adding([single]), tokens).map(Double.init), .float,
            "up alone")
    }
}
