import TestSupport
import Testing

@testable import NLCore

/// The fast level learns inside a training sequence, and the loss is taken after it did.
@Suite struct FastLevelStepTests {
    private static func configuration(rate: Double) -> HopeConfiguration {
        var result = HopeConfiguration(
            vocabularySize: 17, width: 8, layers: 2, heads: 2,
            levels: [
                .init(name: "fast", hiddenMultiple: 2, chunkSize: 8, optimizer: "sgd", learningRate: rate),
                .init(name: "medium", hiddenMultiple: 1, chunkSize: 16),
                .init(name: "slow", hiddenMultiple: 1, chunkSize: 32),
            ])
        result.chunkSize = 4
        result.projectionChunkSize = 8
        return result
    }

    /// One window on a tape of its own.
    private func read(
        _ configuration: HopeConfiguration, _ parameters: ParameterSet<Float>, _ tokens: ArraySlice<Int32>,
        _ states: [MixerState<Float>]?
    ) -> (loss: Double, gradients: ParameterSet<Float>, states: [MixerState<Float>]) {
        let tape = Tape<Float>()
        let model = HopeModel(configuration, parameters, on: tape) { _ in true }
        let (logits, after) = model(Array(tokens.dropLast()), batch: 1, states: states)
        let (loss, rows) = logits.crossEntropy(
            Array(tokens.dropFirst()), weights: [Float](repeating: 1, count: tokens.count - 1))
        tape.backward(from: loss)
        return (rows.reduce(0) { $0 + Double($1) }, model.gradients(), after)
    }

    @Test func isTheSumOfWindowsEachAfterWhatTheOnesBeforeItTaught() throws {
        let configuration = Self.configuration(rate: 0.7)
        let parameters = ParameterSet<Float>.initial(configuration, seed: 3)
        let tokens = PretrainingStepTests.tokens(21, seed: 5)
        let outcome = try FastLevelStep(configuration)(parameters, tokens: tokens, batch: 1)

        // By hand: windows of 8, 8 and 4, and two plain steps of gradient descent on the fast links between them.
        let fast = try LevelDefinition.levels(of: configuration)[0].trained.map(\.name)
        #expect(
            fast == [
                "blocks.0.levels.0.up", "blocks.0.levels.0.down", "blocks.1.levels.0.up", "blocks.1.levels.0.down",
            ])
        var (moved, states): (ParameterSet<Float>, [MixerState<Float>]?) = (parameters, nil)
        var (loss, sum) = (0.0, parameters.zeros())
        for window in [0..<8, 8..<16, 16..<20] {
            let (nats, gradients, after) = read(
                configuration, moved, tokens[window.lowerBound...window.upperBound], states)
            (loss, states) = (loss + nats, after)
            sum.add(gradients)
            var own = ParameterSet<Float>()
            for name in fast { own[name] = gradients[name]?.copy() }
            let norm = own.norm / Double(window.count)
            moved = moved.copy()
            moved.add(own, scaledBy: -0.7 / Float(window.count) * Float(min(1, 1 / norm)))
        }
        expectClose([outcome.loss], [loss / 20], .float, "loss")
        sum.scale(by: 1 / 20)
        for (name, gradient) in sum.entries {
            expectClose(try #require(outcome.gradients[name]), gradient, .floatGradient, name)
        }
        // It did move something.
        let still = try FastLevelStep(Self.configuration(rate: 0))(parameters, tokens: tokens, batch: 1)
        #expect(abs(still.loss - outcome.loss) > 1e-4)
    }

    @Test func oneWindowWithoutStepsIsThePlainStep() throws {
        let configuration = Self.configuration(rate: 0)
        let parameters = ParameterSet<Float>.initial(configuration, seed: 3)
        let tokens = PretrainingStepTests.tokens(3 * 9, seed: 7)
        let outcome = try FastLevelStep(configuration)(parameters, tokens: tokens, batch: 3)
        let plain = PretrainingStep(configuration, microBatch: 1)(parameters, tokens: tokens, batch: 3)
        expectClose([outcome.loss], [plain.loss], .float, "loss")
        for (name, gradient) in plain.gradients.entries {
            expectClose(try #require(outcome.gradients[name]), gradient, .floatGradient, name)
        }
    }

    @Test func lossThatIsNotFiniteIsSaidAsOne() throws {
        let configuration = Self.configuration(rate: 0.1)
        let parameters = ParameterSet<Float>.initial(configuration, seed: 3)
        parameters["gain"]?.pointer[0] = .infinity
        let outcome = try FastLevelStep(configuration)(
            parameters, tokens: PretrainingStepTests.tokens(2 * 9, seed: 7), batch: 2)
        #expect(outcome.loss.isNaN)
    }

    @Test func needsTheLevelsOfADaemon() {
        #expect(throws: ConfigurationError.self) { try FastLevelStep(PretrainingStepTests.configuration()) }
    }
}
