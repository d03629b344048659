import NLCore
import TestSupport
import Testing

@testable import NLCore

/// What the streaming tests share: cuts of a stream, single streams, the model on a tape as the measure.
enum StreamingCases {
    /// Ways to cut `length` tokens into calls: whole, one by one, every cut in two, and seeded random ones.
    static func splits(of length: Int, random count: Int, seed: UInt64) -> [[Int]] {
        var splits = [[length], [Int](repeating: 1, count: length)]
        splits += (1..<max(length, 1)).map { [$0, length - $0] }
        var random = SeededRandom(seed: seed)
        for _ in 0..<count {
            var split: [Int] = []
            var left = length
            while left > 0 {
                let part = 1 + random.nextIndex(below: left)
                split.append(part)
                left -= part
            }
            splits.append(split)
        }
        return splits
    }

    /// Reads tokens in calls of the given sizes: all logits, `[T, V]`, and the state after them.
    static func read<S>(
        _ tokens: [Int32], _ split: [Int], _ weights: HopeWeights<S>, from state: StreamState<S>? = nil,
        fast: FastWeights<S>? = nil
    ) throws -> (logits: [S], state: StreamState<S>) {
        var state = state ?? StreamState(weights.configuration)
        var logits: [S] = []
        var start = 0
        for count in split {
            var inputs = [
                StreamInput(
                    state: state, tokens: Array(tokens[start..<start + count]), fast: fast, wantsAllLogits: true)
            ]
            logits += try StreamingHope.advance(&inputs, weights: weights)[0].elements
            state = inputs[0].state
            start += count
        }
        return (logits, state)
    }

    /// The same through the model on a tape, one stream.
    static func readOnTape<S>(
        _ configuration: HopeConfiguration, _ parameters: ParameterSet<S>, _ tokens: [Int32]
    ) -> (logits: [S], states: [TitansState<S>]) {
        let tape = Tape<S>()
        let model = HopeModel(configuration, parameters, on: tape) { _ in false }
        let result = model(tokens, batch: 1)
        return (result.logits.value.elements, result.states.compactMap(\.titans))
    }

    /// A model of some size in which everything matters: step sizes, retention and readouts far from their first values.
    static func lively(_ configuration: HopeConfiguration, seed: UInt64) -> ParameterSet<Float> {
        var set = ParameterSet<Float>.initial(configuration, seed: seed)
        var random = SeededRandom(seed: seed &+ 1)
        for (name, tensor) in set.entries {
            let deviation: Float =
                name.hasSuffix("readout") ? 0.5 : name.contains(".w1.") ? 0.1 : name.hasSuffix("gain") ? 0.1 : 0
            let base: Float? = name.hasSuffix("retention_bias") ? 2 : name.hasSuffix("step_size_bias") ? 0 : nil
            set[name] = Tensor(
                tensor.elements.map { (base ?? $0) + deviation * Float(random.nextNormal()) }, shape: tensor.shape)
        }
        return set
    }

    /// A geometry with several chunks in a short text, links of both kinds, and matrices wider than a panel and than a vector.
    static func smallConfiguration(memoryMultiple: Int = 1) -> HopeConfiguration {
        var c = HopeConfiguration(
            vocabularySize: 160, width: 48, layers: 2, heads: 2,
            levels: [
                .init(name: "fast", hiddenMultiple: 2, chunkSize: 16),
                .init(name: "slow", hiddenMultiple: 3, chunkSize: 64),
            ])
        (c.levels[1].hiddenMultiple, c.levels[1].intermediateWidth, c.levels[1].isGated) = (0, 136, true)
        c.memoryHiddenMultiple = memoryMultiple
        c.chunkSize = 4
        c.projectionChunkSize = 24
        c.stepSizeMaximum = 0.5
        return c
    }

    /// Something learned: small random numbers in every tensor that a level holds.
    static func randomDelta(_ level: LevelDefinition, seed: UInt64) -> ParameterSet<Float> {
        var random = SeededRandom(seed: seed)
        var delta = ParameterSet<Float>()
        for tensor in level.tensors {
            delta[tensor.name] = Tensor(
                (0..<tensor.shape.count).map { _ in Float(random.nextNormal() * 0.1) }, shape: tensor.shape)
        }
        return delta
    }

    /// Seeded tokens.
    static func tokens(_ count: Int, of vocabulary: Int, seed: UInt64) -> [Int32] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in Int32(random.nextIndex(below: vocabulary)) }
    }
}

extension StreamState {
    /// Every number of the state, for comparisons to the bit.
    var bits: [Double] { encoded().tensors.flatMap { $0.values.map { Double($0) } } }
}

/// Expects equality to the bit where products treat each row alike, agreement to rounding elsewhere.
func expectSame(_ a: [Float], _ b: [Float], _ name: String, sourceLocation: SourceLocation = #_sourceLocation) {
    expectClose(a.map(Double.init), b.map(Double.init), .float, name, sourceLocation: sourceLocation)
    guard MatrixProduct.isRowInvariant else { return }
    let different = zip(a, b).enumerated().filter { $0.element.0.bitPattern != $0.element.1.bitPattern }.map(\.offset)
    #expect(
        different.isEmpty,
        "\(name): \(different.count) of \(a.count) numbers differ in their bits, first at \(different.first ?? 0)",
        sourceLocation: sourceLocation)
}
