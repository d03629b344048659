import TestSupport
import Testing

@testable import NLCore

/// Would catch: a state that is copied where it was handed over, and rows or norms that are others.
@Suite struct StreamStateServingTests {
    private let weights: HopeWeights<Float>

    init() throws { weights = try HopeWeights(TinyModel.configuration, TinyModel.parameters()) }

    private func read(_ state: StreamState<Float>, _ tokens: [Int32]) throws -> StreamState<Float> {
        var inputs = [StreamInput(state: state, tokens: tokens)]
        _ = try StreamingHope.advance(&inputs, weights: weights)
        return inputs[0].state
    }

    @Test func aStateHandedOverIsReadOnWithInPlace() throws {
        var state = try read(StreamState(TinyModel.configuration), [0, 5, 6])
        let open = state.layers.map { ObjectIdentifier($0.open) }
        let sums = try state.layers.map { ObjectIdentifier(try #require($0.sums)) }
        var inputs = [StreamInput(state: state.handOver(), tokens: [7])]
        _ = try StreamingHope.advance(&inputs, weights: weights)
        #expect(inputs[0].state.layers.map { ObjectIdentifier($0.open) } == open)
        #expect(inputs[0].state.layers.compactMap { $0.sums.map(ObjectIdentifier.init) } == sums)
        #expect(inputs[0].state.position == 4)
        // What is left can't be taken for a state.
        #expect(state.position == 0 && state.logits == nil && state.openTokens.isEmpty)
        #expect(throws: StreamError.otherGeometry(stream: 0)) { try read(state, [7]) }
    }

    @Test func theNormIsThatOfWhatTheMemoriesLearned() throws {
        let state = try read(StreamState(TinyModel.configuration), TinyModel.text(seed: 1, length: 30).inputs)
        var sum = 0.0
        for part in state.encoded().tensors where part.name.contains(".delta.") {
            for value in part.values { sum += Double(value) * Double(value) }
        }
        #expect(sum > 0)
        #expect(abs(state.deltaNorm - sum.squareRoot()) < 1e-6 * sum.squareRoot())
        #expect(StreamState<Float>(TinyModel.configuration).deltaNorm == 0)
    }

    @Test func rowsAreCopied() {
        let matrix = Tensor<Float>([1, 2, 3, 4, 5, 6], shape: [3, 2])
        #expect(matrix.rows(1..<3).elements == [3, 4, 5, 6])
        #expect(matrix.rows(0..<1).shape == [1, 2])
        #expect(matrix.rows(2..<2).count == 0)
    }
}
