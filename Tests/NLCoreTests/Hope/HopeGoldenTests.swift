import NLCore
import TestSupport
import Testing

@testable import NLCore

/// The model against the independent PyTorch reference: logits, loss, every gradient, every closed state.
@Suite struct HopeGoldenTests {
    @Test(arguments: Golden.modelCases, SelfModifyingTitans<Double>.Form.allCases)
    func doubleMatchesTheReference(name: String, form: SelfModifyingTitans<Double>.Form) throws {
        let golden = try Golden(named: name)
        try check(golden, golden.parameters(), states: golden.states("initial"), form, .double, .double)
    }

    @Test(arguments: Golden.modelCases, [SelfModifyingTitans<Float>.Form.fused, .chunked])
    func floatMatchesTheReference(name: String, form: SelfModifyingTitans<Float>.Form) throws {
        let golden = try Golden(named: name)
        let parameters = try golden.parameters()
        var converted = ParameterSet<Float>()
        for (name, tensor) in parameters.entries { converted[name] = tensor.converted() }
        let states = try golden.states("initial")?.map { state in
            TitansState<Float>(
                history: state.history.converted(),
                delta: PerMemory {
                    MemoryWeights(w1: state.delta[$0].w1.converted(), w2: state.delta[$0].w2.converted())
                })
        }
        try check(golden, converted, states: states, form, .float, .floatGradient)
    }

    @Test func thereAreCasesForEverySwitch() {
        #expect(Golden.modelCases.count >= 20)
    }

    private func check<S: TensorScalar>(
        _ golden: Golden, _ parameters: ParameterSet<S>, states: [TitansState<S>]?,
        _ form: SelfModifyingTitans<S>.Form, _ tolerance: Tolerance, _ gradientTolerance: Tolerance
    ) throws {
        let tape = Tape<S>()
        var model = HopeModel(golden.configuration, parameters, on: tape) { _ in true }
        model.form = form
        let result = model(try golden.tokens("tokens"), batch: golden.batch, states: states?.map { .titans($0) })
        expectClose(result.logits.value, try golden.tensor("logits"), tolerance, "logits")
        let targets = try golden.tokens("targets")
        let weights = [S](repeating: 1 / S(targets.count), count: targets.count)
        let (loss, _) = result.logits.crossEntropy(targets, weights: weights)
        expectClose(loss.value, try golden.tensor("loss"), tolerance, "loss")
        tape.backward(from: loss)
        let gradients = model.gradients()
        for (name, gradient) in gradients.entries {
            expectClose(gradient, try golden.tensor("gradient.\(name)"), gradientTolerance, "gradient of \(name)")
        }
        for (layer, expected) in try #require(try golden.states("state")).enumerated() {
            let state = try #require(result.states[layer].titans)
            expectClose(state.history, expected.history, tolerance, "history of layer \(layer)")
            for kind in MemoryKind.allCases {
                let (own, other) = (state.delta[kind], expected.delta[kind])
                expectClose(own.w1, other.w1, tolerance, "W1 of \(kind), layer \(layer)")
                expectClose(own.w2, other.w2, tolerance, "W2 of \(kind), layer \(layer)")
            }
        }
    }
}
