import TestSupport
import Testing

@testable import NLCore

/// A level updates when its chunk is complete, by the rule it names, and never by half (NL Eq. 71).
@Suite struct LevelStateTests {
    private let definitions: [LevelDefinition]
    private let parameters = TinyModel.parameters()

    init() throws { definitions = try LevelDefinition.levels(of: TinyModel.configuration) }

    private func gradients(_ level: LevelDefinition, value: Float) -> ParameterSet<Float> {
        var set = ParameterSet<Float>()
        for tensor in level.tensors { set[tensor.name] = Tensor(repeating: value, shape: tensor.shape) }
        return set
    }

    @Test func rolesAndTensorsFollowTheConfiguration() {
        #expect(definitions.map(\.role) == [.reading, .acquisition, .consolidation])
        #expect(
            definitions[0].tensors.map(\.name)
                == (0..<2).flatMap { ["blocks.\($0).levels.0.up", "blocks.\($0).levels.0.down"] })
        #expect(definitions[1].tensors.count == 2 * (2 + 10))
        #expect(definitions[1].tensors.filter(\.isInitialState).count == 20)
    }

    @Test func updatesOnceForEachCompleteChunk() throws {
        var level = LevelState(definitions[1])
        var updates = 0
        for _ in 0..<10 { updates += try level.gather(gradients(definitions[1], value: 0.1), tokenCount: 4) ? 1 : 0 }
        #expect(updates == 40 / 16)
        #expect(level.counters.updates == 2)
        #expect(level.counters.pendingTokens == 8)
        #expect(level.counters.tokensRead == 40)
        #expect(try level.close())
        #expect(try !level.close())
        #expect(level.counters.pendingTokens == 0)
    }

    @Test func theStepIsAdamWOnTheMeanGradient() throws {
        var level = LevelState(definitions[1])
        // The sum over 16 tokens, short enough not to be clipped.
        let sum = gradients(definitions[1], value: 0.016)
        #expect(try level.gather(sum, tokenCount: 16))
        let g = 0.016 / 16.0
        let optimizer = definitions[1].optimizer
        for tensor in definitions[1].tensors {
            let rate = optimizer.learningRate * (tensor.isInitialState ? optimizer.initialStateShare : 1)
            // First step: both corrected moments are g and g², whatever the decays.
            let expected = -rate * g / (g + 1e-8)
            let own = try #require(level.delta[tensor.name])
            expectClose(own, Tensor<Double>(repeating: expected, shape: own.shape), .float, tensor.name)
        }
    }

    @Test func longGradientsAreShortened() throws {
        var configuration = TinyModel.configuration
        configuration.levels[1].optimizer = "sgd"
        configuration.levels[1].learningRate = 0.5
        configuration.levels[1].adapts = ["cms"]
        let definition = try LevelDefinition.levels(of: configuration)[1]
        var level = LevelState(definition)
        #expect(try level.gather(gradients(definition, value: 1000), tokenCount: 16))
        #expect(abs(level.delta.norm - 0.5) < 1e-4)
    }

    @Test func aCopyDoesNotChangeWithTheOriginal() throws {
        var level = LevelState(definitions[1])
        _ = try level.gather(gradients(definitions[1], value: 0.1), tokenCount: 4)
        let copy = level
        let before = copy.gradientSum.entries.map { $0.tensor.elements }
        _ = try level.gather(gradients(definitions[1], value: 0.1), tokenCount: 16)
        #expect(copy.delta.norm == 0)
        #expect(copy.gradientSum.entries.map { $0.tensor.elements } == before)
        #expect(level.delta.norm > 0)
    }

    @Test func aGradientThatIsNotFiniteChangesNothing() throws {
        var level = LevelState(definitions[1])
        _ = try level.gather(gradients(definitions[1], value: 0.1), tokenCount: 4)
        let before = level
        #expect(throws: NumericsError.self) { try level.gather(gradients(definitions[1], value: .nan), tokenCount: 16) }
        #expect(level.counters == before.counters)
        #expect(level.gradientSum.norm == before.gradientSum.norm)
    }

    @Test func absorbingLeavesTheEffectiveParametersWhereTheyWere() throws {
        var space = try SpaceLevels(TinyModel.configuration, base: parameters)
        for role in [LevelDefinition.Role.acquisition, .consolidation] {
            try space.update(role) { level throws(NumericsError) in
                try level.gather(gradients(level.definition, value: 0.3), tokenCount: 64)
            }
        }
        let before = space
        space.absorb(keeping: 0)
        #expect(space["medium"]?.delta.norm == 0)
        for (name, tensor) in space.effective.entries {
            let ownLink = name.contains(".levels.1.")
            let reference = ownLink ? space.base[name] : before.effective[name]
            expectClose(tensor, try #require(reference), .kernel, name)
        }
    }

    @Test(arguments: [["nonsense"], ["cms", "blocks.*.mixer.w9.*"]])
    func aPatternThatNamesNothingIsRefused(adapts: [String]) {
        var configuration = TinyModel.configuration
        configuration.levels[1].adapts = adapts
        #expect(throws: ConfigurationError.self) { try LevelDefinition.levels(of: configuration) }
    }

    @Test func aSessionsLevelAdaptsOnlyLinks() {
        var configuration = TinyModel.configuration
        configuration.levels[0].adapts = ["initial_states"]
        #expect(throws: ConfigurationError.self) { try LevelDefinition.levels(of: configuration) }
    }
}
