import NLCore
import Testing

@testable import NLCore

/// Every typed error of the serving form, and that a refused call moves nothing.
@Suite struct StreamingErrorTests {
    private let configuration = StreamingCases.smallConfiguration()

    @Test func aRefusedBatchMovesNoStream() throws {
        let weights = try HopeWeights(configuration, .initial(configuration, seed: 1))
        let read = try StreamingCases.read([1, 2, 3], [3], weights).state
        func expect(_ error: StreamError, _ second: StreamInput<Float>) {
            var inputs = [StreamInput(state: read, tokens: [4]), second]
            #expect(throws: error) { try StreamingHope.advance(&inputs, weights: weights) }
            #expect(inputs[0].state.position == 3)
            #expect(inputs[0].state.bits == read.bits)
        }
        expect(.noTokens(stream: 1), StreamInput(state: read, tokens: []))
        expect(.unknownToken(160, stream: 1, vocabularySize: 160), StreamInput(state: read, tokens: [5, 160]))
        expect(.unknownToken(-1, stream: 1, vocabularySize: 160), StreamInput(state: read, tokens: [-1]))
        var other = configuration
        other.projectionChunkSize = 12
        expect(.otherGeometry(stream: 1), StreamInput(state: StreamState(other), tokens: [5]))
        other = configuration
        other.levels.removeLast()
        expect(
            .otherGeometry(stream: 1),
            StreamInput(state: read, tokens: [5], fast: try FastWeights(other, ParameterSet<Float>())))
    }

    @Test func noStreamsAreNoWork() throws {
        let weights = try HopeWeights(configuration, .initial(configuration, seed: 1))
        var inputs: [StreamInput<Float>] = []
        #expect(try StreamingHope.advance(&inputs, weights: weights).isEmpty)
    }

    @Test func parametersOfAnotherShapeAreNamed() {
        var parameters = ParameterSet<Float>.initial(configuration, seed: 1)
        parameters["blocks.1.gain"] = .zeros([47])
        #expect(throws: HopeWeightsError(name: "blocks.1.gain", expected: [48], found: [47])) {
            try HopeWeights(configuration, parameters)
        }
        parameters["blocks.1.gain"] = nil
        #expect(throws: HopeWeightsError(name: "blocks.1.gain", expected: [48], found: nil)) {
            try HopeWeights(configuration, parameters)
        }
    }

    @Test func aDamagedStateIsRefused() throws {
        let weights = try HopeWeights(configuration, .initial(configuration, seed: 1))
        let whole = try StreamingCases.read([1, 2, 3, 4, 5], [5], weights).state.encoded()
        func expect(_ error: StreamStateError, _ damage: (inout EncodedStreamState<Float>) -> Void) {
            var encoded = whole
            damage(&encoded)
            #expect(throws: error) { try StreamState(decoding: encoded, configuration) }
        }
        let name = "layers.1.open.key"
        let at = try #require(whole.tensors.firstIndex { $0.name == name })
        let shape = [2, 5, 24]
        #expect(whole.tensors[at].shape == shape)
        expect(.missing(name)) { $0.tensors.remove(at: at) }
        expect(.unexpected(name)) { $0.tensors.append($0.tensors[at]) }
        expect(.unexpected("extra")) { $0.tensors.append(("extra", [1], [0])) }
        expect(.shape(name: name, expected: shape, found: [2, 6, 24], count: 240)) {
            $0.tensors[at].shape = [2, 6, 24]
        }
        expect(.shape(name: name, expected: shape, found: shape, count: 239)) { $0.tensors[at].values.removeLast() }
        expect(.shape(name: "layers.0.open.key", expected: [2, 6, 24], found: shape, count: 240)) {
            $0.position = 6
            $0.openTokens.append(0)
        }
        expect(.openTokens(position: 6, found: 5)) { $0.position = 6 }
        expect(.openTokens(position: -1, found: 5)) { $0.position = -1 }
        expect(.unknownToken(160, vocabularySize: 160)) { $0.openTokens[2] = 160 }
        expect(.missing("logits")) { $0.tensors.removeLast() }
    }
}
