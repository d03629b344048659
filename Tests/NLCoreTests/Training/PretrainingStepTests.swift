import TestSupport
import Testing

@testable import NLCore

/// A batch cut into micro-batches is the batch; the same bits every time; and it learns.
@Suite struct PretrainingStepTests {
    static func configuration() -> HopeConfiguration {
        var result = HopeConfiguration(
            vocabularySize: 17, width: 8, layers: 2, heads: 2,
            levels: [.init(name: "fast", hiddenMultiple: 2, chunkSize: 8)])
        result.chunkSize = 4
        result.projectionChunkSize = 8
        return result
    }

    static func tokens(_ count: Int, seed: UInt64) -> [Int32] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in Int32(random.nextIndex(below: 17)) }
    }

    @Test(arguments: [1, 2, 3, 5, 8])
    func microBatchesGiveTheLossAndGradientsOfOneTape(microBatch: Int) throws {
        let (batch, length) = (5, 11)
        let configuration = Self.configuration()
        let parameters = ParameterSet<Float>.initial(configuration, seed: 3)
        let tokens = Self.tokens(batch * (length + 1), seed: 5)
        let outcome = PretrainingStep(configuration, microBatch: microBatch)(parameters, tokens: tokens, batch: batch)

        var exact = ParameterSet<Double>()
        for (name, tensor) in parameters.entries { exact[name] = tensor.converted() }
        let tape = Tape<Double>()
        let model = HopeModel(configuration, exact, on: tape) { _ in true }
        let rows = stride(from: 0, to: tokens.count, by: length + 1)
        let inputs = rows.flatMap { tokens[$0..<$0 + length] }
        let targets = rows.flatMap { tokens[$0 + 1...$0 + length] }
        let weights = [Double](repeating: 1 / Double(targets.count), count: targets.count)
        let (loss, _) = model(inputs, batch: batch).logits.crossEntropy(targets, weights: weights)
        tape.backward(from: loss)

        expectClose([outcome.loss], loss.value.elements, .float, "loss")
        #expect(outcome.gradients.names == parameters.names)
        for (name, gradient) in model.gradients().entries {
            expectClose(try #require(outcome.gradients[name]), gradient, .floatGradient, name)
        }
    }

    @Test func twoRunsGiveTheSameBits() {
        let configuration = Self.configuration()
        let parameters = ParameterSet<Float>.initial(configuration, seed: 3)
        let step = PretrainingStep(configuration, microBatch: 1)
        let tokens = Self.tokens(6 * 20, seed: 9)
        let first = step(parameters, tokens: tokens, batch: 6)
        for _ in 0..<5 {
            let again = step(parameters, tokens: tokens, batch: 6)
            #expect(again.loss == first.loss)
            for (name, gradient) in first.gradients.entries {
                #expect(again.gradients[name]?.elements == gradient.elements)
            }
        }
    }

    @Test func learnsASequence() throws {
        let configuration = Self.configuration()
        let parameters = ParameterSet<Float>.initial(configuration, seed: 3)
        let step = PretrainingStep(configuration, microBatch: 2)
        let tokens = Self.tokens(4 * 17, seed: 2)
        var optimizer = AdamW<Float>(AdamW.Settings(), for: parameters)
        let before = step(parameters, tokens: tokens, batch: 4).loss
        for _ in 0..<100 {
            let outcome = step(parameters, tokens: tokens, batch: 4)
            let clipping = try GradientClipping.factor(for: outcome.gradients, maximumNorm: 1)
            optimizer.step(
                parameters: parameters, gradients: outcome.gradients, learningRate: 1e-2, gradientScale: clipping.factor
            )
        }
        let after = step(parameters, tokens: tokens, batch: 4).loss
        #expect(before > 2.5 && after < 0.5, "from \(before) to \(after)")
    }
}
