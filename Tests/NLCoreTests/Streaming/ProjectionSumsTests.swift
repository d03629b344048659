import NLCore
import TestSupport
import Testing

@testable import NLCore

/// Sums of W_0 and Δ that a stream carries with it: a stream that has none, or those of other weights, or shares them
/// with a copy, must read what it would have read.
@Suite struct ProjectionSumsTests {
    private let configuration = StreamingCases.smallConfiguration()
    private var tokens: [Int32] { StreamingCases.tokens(90, of: configuration.vocabularySize, seed: 12) }

    private func weights(seed: UInt64, _ precision: WeightPrecision = .f32) throws -> HopeWeights<Float> {
        try HopeWeights(configuration, StreamingCases.lively(configuration, seed: seed), precision: precision)
    }

    /// A stream that has closed a projection chunk (of 24) and goes on in the next.
    private func started(_ weights: HopeWeights<Float>) throws -> StreamState<Float> {
        try StreamingCases.read(Array(tokens.prefix(40)), [30, 10], weights).state
    }

    private var rest: [Int32] { Array(tokens.dropFirst(40)) }

    /// With the weights it began with, and with others.
    @Test(arguments: [3, 4], [WeightPrecision.f32, .bf16])
    func sumsAreWhatWouldBeDerived(goingOnWith seed: UInt64, precision: WeightPrecision) throws {
        let kept = try started(weights(seed: 3, precision))
        #expect(kept.layers.allSatisfy { $0.sums?.isFilled == true })
        var dropped = kept
        dropped.dropDerived()
        #expect(dropped.layers.allSatisfy { $0.sums == nil })
        let weights = try weights(seed: seed, precision)
        let (one, other) = (
            try StreamingCases.read(rest, [1, 49], weights, from: kept),
            try StreamingCases.read(rest, [1, 49], weights, from: dropped)
        )
        #expect(one.logits == other.logits && one.state.bits == other.state.bits)
    }

    @Test(arguments: [WeightPrecision.f32, .bf16])
    func aCopyKeepsItsOwnWhenTheOriginalClosesAChunk(precision: WeightPrecision) throws {
        let weights = try weights(seed: 3, precision)
        let state = try started(weights)
        let first = try StreamingCases.read(rest, [20, 30], weights, from: state)
        let again = try StreamingCases.read(rest, [20, 30], weights, from: state)
        #expect(first.logits == again.logits && first.state.bits == again.state.bits)
    }

    /// Sums in bfloat16 are the rounded sums, whatever the sizes and where in memory they begin: the bits of the product
    /// of floats with them.
    @Test(arguments: InstructionSet.usable)
    func roundedSumsHaveTheBitsOfTheProductOfFloats(instructions: InstructionSet) {
        for (rows, inputs, outputs, offset) in [
            (1, 64, 64, 0), (3, 33, 31, 1), (64, 24, 48, 3), (2, 1, 5, 2), (5, 7, 130, 1),
        ] {
            let a: [Float] = randomNumbers(offset + inputs * outputs, seed: 1)
            let b: [Float] = randomNumbers(offset + inputs * outputs, seed: 2)
            let x: [Float] = randomNumbers(rows * (inputs + 5), seed: 3)
            let before: [Float] = randomNumbers(rows * outputs, seed: 4)
            let rounded = zip(a, b).dropFirst(offset).map { float(bfloat16Bits: bfloat16Bits($0 + $1)) }
            let form = SumForm.bfloat16(instructions)
            // What was there before must not matter.
            let sum = Tensor(
                [Float](repeating: .nan, count: offset + form.count(inputs, outputs)),
                shape: [offset + form.count(inputs, outputs)])
            a.withUnsafeBufferPointer { a in
                b.withUnsafeBufferPointer { b in
                    form.add(
                        inputs, outputs, a.baseAddress! + offset, b.baseAddress! + offset, into: sum.pointer + offset)
                }
            }
            for accumulate in [false, true] {
                var (found, expected) = (before, before)
                form.multiply(
                    rows, inputs, outputs, x, inputs + 5, sum.pointer + offset, into: &found, accumulate: accumulate)
                BuiltInProduct.multiply(
                    on: instructions, ProductShape(m: rows, n: outputs, k: inputs), x, inputs + 5, rounded, outputs,
                    &expected, outputs, accumulate: accumulate)
                let same = zip(found, expected).allSatisfy { $0.bitPattern == $1.bitPattern }
                #expect(same, "\(rows)×\(inputs) by \(outputs) on \(instructions)")
            }
        }
    }
}
