import NLCore
import TestSupport
import Testing

@testable import NLCore

/// A Δθ of low rank against the matrix it stands for: product, gradient, norm, serving, and what may not be configured.
@Suite struct LowRankTests {
    private func configuration(rank: Int?) -> HopeConfiguration {
        var c = AttentionCases.configuration()
        for index in c.levels.indices { c.levels[index].rank = rank }
        return c
    }

    /// A level with random factors.
    private func level(_ index: Int, rank: Int) throws -> LevelState {
        let definition = try LevelDefinition.levels(of: configuration(rank: rank))[index]
        let delta = StreamingCases.randomDelta(definition, seed: 5)
        return try LevelState(
            definition, delta: delta, gradientSum: ParameterSet(), firstMoment: ParameterSet(),
            secondMoment: ParameterSet(), counters: LevelCounters())
    }

    @Test func theChangeIsTheProductOfItsFactors() throws {
        let level = try level(1, rank: 3)
        #expect(level.definition.tensors.count == 6)
        let change = level.contribution()
        #expect(Set(change.names) == Set(level.definition.adapted.map(\.name)))
        var squares = 0.0
        for factors in level.definition.factored {
            let (outer, learned) = (
                try #require(level.delta[factors.outerName]), try #require(level.delta[factors.innerName])
            )
            let inner = factors.innerFactor(learned)
            #expect(inner.elements != factors.innerFactor(.zeros(learned.shape)).elements)
            let (rows, columns) = (factors.shape[0], factors.shape[1])
            var expected = [Double](repeating: 0, count: rows * columns)
            for row in 0..<rows {
                for column in 0..<columns {
                    for k in 0..<3 {
                        expected[row * columns + column] +=
                            Double(columns) / 3 * Double(outer.elements[row * 3 + k])
                            * Double(inner.elements[k * columns + column])
                    }
                }
            }
            squares += expected.reduce(0) { $0 + $1 * $1 }
            let found = try #require(change[factors.matrix]).elements.map(Double.init)
            expectClose(found, expected, .float, factors.matrix)
        }
        #expect(abs(level.deltaNorm - squares.squareRoot()) < 1e-5 * squares.squareRoot())
        var half = level
        half.decay(to: 0.5)
        for (name, tensor) in change.entries {
            expectClose(
                try #require(half.contribution()[name]).elements.map { 2 * Double($0) },
                tensor.elements.map(Double.init), .float, "half of \(name)")
        }
    }

    /// ⟨G, Δθ⟩ changes with each number of a factor as the factor's gradient says.
    @Test func gradientsFollowFromTheMatrix() throws {
        let level = try level(0, rank: 2)
        let factors = try #require(level.definition.factored.first)
        var random = SeededRandom(seed: 9)
        let gradient = Tensor<Float>(
            (0..<factors.shape.count).map { _ in Float(random.nextNormal()) }, shape: factors.shape)
        let found = try #require(factors.gradients(gradient, at: level.delta))
        func inner(_ delta: ParameterSet<Float>) throws -> Double {
            zip(try #require(factors.product(delta)).elements, gradient.elements)
                .reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        for (name, own) in [(factors.outerName, found.outer), (factors.innerName, found.inner)] {
            for index in [0, 1, own.count / 2, own.count - 1] {
                var (above, below) = (level.delta, level.delta)
                let tensor = try #require(level.delta[name])
                (above[name], below[name]) = (tensor.copy(), tensor.copy())
                above[name]?.pointer[index] += 0.05
                below[name]?.pointer[index] -= 0.05
                let slope = try (inner(above) - inner(below)) / 0.1
                #expect(abs(slope - Double(own.elements[index])) < 1e-3 * max(1, abs(slope)), "\(name) \(index)")
            }
        }
    }

    /// A session's factors are read as the whole matrix would be.
    @Test func servingReadsFactorsAsTheirProduct() throws {
        let level = try level(0, rank: 3)
        let c = configuration(rank: 3)
        let weights = try HopeWeights(c, AttentionCases.parameters(c))
        let tokens = StreamingCases.tokens(20, of: c.vocabularySize, seed: 1)
        func logits(_ fast: FastWeights<Float>?) throws -> [Float] {
            var inputs = [
                StreamInput(state: StreamState<Float>(c), tokens: tokens, fast: fast, wantsAllLogits: true)
            ]
            return try StreamingHope.advance(&inputs, weights: weights)[0].elements
        }
        let found = try logits(FastWeights(c, level))
        let whole = try logits(FastWeights(c, level.contribution()))
        #expect(found != (try logits(nil)))
        #expect(found == (try logits(FastWeights(c, level, precision: .bf16))), "factors are held as they are")
        expectClose(found.map(Double.init), whole.map(Double.init), .float, "logits")
    }

    @Test func aMatrixOfNoHigherRankIsHeldWhole() throws {
        let (plain, full) = (
            try LevelDefinition.levels(of: configuration(rank: nil)),
            try LevelDefinition.levels(of: configuration(rank: 24))
        )
        for (one, other) in zip(plain, full) { #expect(one.tensors == other.tensors) }
        #expect(try level(1, rank: 23).definition.tensors.count == 6)
    }

    /// Steps through factors lower the loss, and an open chunk gathers the same in any number of parts.
    @Test func learningLowersTheLoss() throws {
        let c = configuration(rank: 4)
        var levels = try SpaceLevels(c, base: AttentionCases.parameters(c))
        let tokens = StreamingCases.tokens(17, of: c.vocabularySize, seed: 4)
        let trained = levels.trainedTensors(of: .acquisition)
        #expect(trained == ["blocks.2.mlp.gate", "blocks.2.mlp.up", "blocks.2.mlp.down"])
        var losses: [Double] = []
        for _ in 0..<40 {
            let reading = try levels.learn(
                .acquisition, trained, by: LearningWindow(c), Array(tokens.dropLast()),
                targets: Array(tokens.dropFirst()),
                after: [], states: nil)
            losses.append(reading.losses.reduce(0.0) { $0 + Double($1) } / 16)
        }
        #expect(try #require(losses.last) < 0.5 * losses[0])
        let level = try #require(levels["medium"])
        #expect(level.counters.updates == 40 && level.deltaNorm > 0)
        #expect(level.firstMoment.parameterCount == level.definition.parameterCount)
        #expect(level.definition.parameterCount == 3 * 4 * (24 + 40))
    }

    @Test func whatFactorsCannotDoIsSaid() throws {
        var c = configuration(rank: 4)
        c.levels[1].optimizer = "muon"
        #expect { try LevelDefinition.levels(of: c) } throws: { "\($0)".contains("whole matrices") }
        c = configuration(rank: 4)
        c.levels[2].adapts = ["*.mlp.*"]
        #expect { try LevelDefinition.levels(of: c) } throws: { "\($0)".contains("only one may") }
        c.levels[2].adapts = nil
        c.chunkSize = c.projectionChunkSize
        c.levels[0].rank = 0
        #expect { try c.validate() } throws: { "\($0)".contains("rank is 0") }
    }
}
