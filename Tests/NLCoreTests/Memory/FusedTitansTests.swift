import TestSupport
import Testing

@testable import NLCore

/// The fused recurrence against the chunked form, whose gradients the tape derives operation by operation.
@Suite struct FusedTitansTests {
    /// More rows than a block of the triangular products has, in main chunks and in spans.
    static let longChunks = [
        MixerCase(heads: 2, headWidth: 5, chunk: 17, projectionChunk: 34, batch: 2, length: 75, seed: 1001),
        MixerCase(
            heads: 1, headWidth: 8, multiple: 2, chunk: 33, projectionChunk: 33, batch: 1, length: 70, seed: 1002),
        MixerCase(
            heads: 1, headWidth: 6, chunk: 14, projectionChunk: 70, batch: 1, length: 150, radius: 0.3, seed: 1003),
    ]

    @Test(arguments: (0..<60).map { MixerCase(seed: $0) } + longChunks)
    func doubleMatchesTheChunkedForm(_ mixer: MixerCase) {
        let expected: MixerCase.Outcome<Double> = mixer.run(.chunked)
        expectClose(mixer.run(.fused) as MixerCase.Outcome<Double>, expected, .fused, .fused)
    }

    @Test(arguments: (0..<20).map { MixerCase(seed: $0) } + longChunks)
    func floatMatchesTheChunkedFormInDouble(_ mixer: MixerCase) {
        let expected: MixerCase.Outcome<Double> = mixer.run(.chunked)
        expectClose(mixer.run(.fused) as MixerCase.Outcome<Float>, expected, .float, .floatGradient)
    }

    /// Some memory of some cases ends on the ball, and none outside.
    @Test func theCasesHitTheBall() {
        var hits = 0
        for mixer in (0..<60).map({ MixerCase(seed: $0) }) {
            let state = (mixer.run(.fused) { _ in false } as MixerCase.Outcome<Double>).state
            let delta = state.delta[.main].w1
            let size = delta.count / delta.shape[0]
            for group in 0..<delta.shape[0] {
                let squares = delta.elements[group * size..<(group + 1) * size].map { $0 * $0 }
                let share = squares.reduce(0, +).squareRoot() / mixer.configuration.memoryRadius
                #expect(share <= 1, "\(mixer)")
                if share > 0.999 { hits += 1 }
            }
        }
        #expect(hits > 5)
    }

    /// Steps that nobody wants are left out; those that remain give the same bits.
    @Test(
        arguments: [
            { (name: String) in name == "u" }, { name in name.contains(".w1.") || name.contains(".w2.") },
            { name in name.contains("w2.step_size") }, { name in name.contains("bias") }, { _ in false },
        ] as [@Sendable (String) -> Bool])
    func unwantedGradientsChangeNothing(_ trains: @Sendable (String) -> Bool) {
        for seed in 0..<10 as Range<UInt64> {
            let mixer = MixerCase(seed: seed)
            let all: MixerCase.Outcome<Double> = mixer.run(.fused)
            let some: MixerCase.Outcome<Double> = mixer.run(.fused, trains: trains)
            #expect(all.output.elements == some.output.elements)
            #expect(some.state.isIdentical(to: all.state))
            for (name, gradient) in all.gradients.filter({ trains($0.name) }) {
                #expect(some.gradients.contains { $0.name == name && $0.tensor.elements == gradient.elements })
            }
        }
    }

    @Test func bitsDoNotDependOnTheNumberOfThreads() {
        let mixer = MixerCase(
            heads: 3, headWidth: 8, chunk: 4, projectionChunk: 8, batch: 5, length: 37, seed: 2001)
        let outcomes: [MixerCase.Outcome<Float>] = [1, 2, 5].map { threads in
            let pool = WorkerPool(threads: threads, name: "test", nice: 0)
            defer { pool.stop() }
            return pool.asCurrent { mixer.run(.fused) }
        }
        for outcome in outcomes.dropFirst() {
            #expect(outcome.output.elements == outcomes[0].output.elements)
            #expect(outcome.state.isIdentical(to: outcomes[0].state))
            for (own, first) in zip(outcome.gradients, outcomes[0].gradients) {
                #expect(own.tensor.elements == first.tensor.elements, "\(own.name)")
            }
        }
    }

    private func expectClose<A, B>(
        _ actual: MixerCase.Outcome<A>, _ expected: MixerCase.Outcome<B>, _ tolerance: Tolerance,
        _ gradientTolerance: Tolerance
    ) {
        TestSupport.expectClose(actual.output, expected.output, tolerance, "output")
        expectClose(actual.state, expected.state, tolerance)
        for ((name, gradient), (_, reference)) in zip(actual.gradients, expected.gradients) {
            TestSupport.expectClose(gradient, reference, gradientTolerance, "gradient of \(name)")
        }
    }

    private func expectClose<A, B>(_ actual: TitansState<A>, _ expected: TitansState<B>, _ tolerance: Tolerance) {
        for kind in MemoryKind.allCases {
            TestSupport.expectClose(actual.delta[kind].w1, expected.delta[kind].w1, tolerance, "W1 of \(kind)")
            TestSupport.expectClose(actual.delta[kind].w2, expected.delta[kind].w2, tolerance, "W2 of \(kind)")
        }
    }
}

extension Tolerance {
    /// Two forms of one computation in double precision: ten times tighter than against another program.
    fileprivate static var fused: Tolerance {
        var tolerance = Tolerance.double
        tolerance.relative /= 10
        tolerance.absolute /= 10
        return tolerance
    }
}

extension TitansState {
    fileprivate func isIdentical(to other: TitansState) -> Bool {
        MemoryKind.allCases.allSatisfy { kind in
            delta[kind].w1.elements == other.delta[kind].w1.elements
                && delta[kind].w2.elements == other.delta[kind].w2.elements
        }
    }
}
