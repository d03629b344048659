import NLCore
import TestSupport
import Testing

@testable import NLCore

/// Sums of W_0 and Δ that a stream carries with it: a stream that has none, or those of other weights, or shares them
/// with a copy, must read what it would have read.
@Suite struct ProjectionSumsTests {
    private let configuration = StreamingCases.smallConfiguration()
    private var tokens: [Int32] { StreamingCases.tokens(90, of: configuration.vocabularySize, seed: 12) }

    private func weights(seed: UInt64) throws -> HopeWeights<Float> {
        try HopeWeights(configuration, StreamingCases.lively(configuration, seed: seed))
    }

    /// A stream that has closed a projection chunk (of 24) and goes on in the next.
    private func started(_ weights: HopeWeights<Float>) throws -> StreamState<Float> {
        try StreamingCases.read(Array(tokens.prefix(40)), [30, 10], weights).state
    }

    private var rest: [Int32] { Array(tokens.dropFirst(40)) }

    /// With the weights it began with, and with others.
    @Test(arguments: [3, 4]) func sumsAreWhatWouldBeDerived(goingOnWith seed: UInt64) throws {
        let kept = try started(weights(seed: 3))
        #expect(kept.layers.allSatisfy { $0.sums?.isFilled == true })
        var dropped = kept
        dropped.dropDerived()
        #expect(dropped.layers.allSatisfy { $0.sums == nil })
        let weights = try weights(seed: seed)
        let (one, other) = (
            try StreamingCases.read(rest, [1, 49], weights, from: kept),
            try StreamingCases.read(rest, [1, 49], weights, from: dropped)
        )
        #expect(one.logits == other.logits && one.state.bits == other.state.bits)
    }

    @Test func aCopyKeepsItsOwnWhenTheOriginalClosesAChunk() throws {
        let weights = try weights(seed: 3)
        let state = try started(weights)
        let first = try StreamingCases.read(rest, [20, 30], weights, from: state)
        let again = try StreamingCases.read(rest, [20, 30], weights, from: state)
        #expect(first.logits == again.logits && first.state.bits == again.state.bits)
    }
}
