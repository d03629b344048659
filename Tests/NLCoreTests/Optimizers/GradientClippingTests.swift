import NLCore
import TestSupport
import Testing

/// Clipping against `torch.nn.utils.clip_grad_norm_`, and what it says of numbers that are not finite.
@Suite struct GradientClippingTests {
    @Test(arguments: ["above", "below"])
    func matchesPyTorch(name: String) throws {
        let golden = try OptimizerGolden()
        var gradients = ParameterSet<Double>()
        for parameter in ["matrix", "gain"] {
            gradients[parameter] = try golden.tensor("clip.\(name).gradient.\(parameter)")
        }
        let maximum = try golden.tensor("clip.\(name).max_norm").elements[0]
        let (norm, factor) = try GradientClipping.factor(for: gradients, maximumNorm: maximum)
        expectClose([norm], try golden.tensor("clip.\(name).norm").elements, .double, "norm")
        #expect((factor < 1) == (name == "above"))
        for (parameter, gradient) in gradients.entries {
            let clipped = gradient.elements.map { $0 * factor }
            expectClose(clipped, try golden.tensor("clip.\(name).clipped.\(parameter)").elements, .double, parameter)
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func namesTheTensorThatIsNotFinite(value: Float) {
        var gradients = ParameterSet<Float>()
        gradients["good"] = Tensor([1, 2], shape: [2])
        gradients["bad"] = Tensor([1, value], shape: [2])
        #expect(throws: NumericsError.nonFiniteGradient("bad")) {
            try GradientClipping.factor(for: gradients, maximumNorm: 1)
        }
    }
}
