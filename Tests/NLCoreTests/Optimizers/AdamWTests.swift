import NLCore
import TestSupport
import Testing

/// The rule against five steps of `torch.optim.AdamW` in float64; what decays; what one step may touch.
@Suite struct AdamWTests {
    private static let names = ["matrix", "gain"]

    private func settings() -> AdamW<Double>.Settings { AdamW<Double>.Settings() }

    @Test func doubleMatchesPyTorch() throws { try replay(Double.self, .double) }
    @Test func floatMatchesPyTorch() throws { try replay(Float.self, .float) }

    private func replay<S: TensorScalar>(_: S.Type, _ tolerance: Tolerance) throws {
        let golden = try OptimizerGolden()
        var parameters = ParameterSet<S>()
        for name in Self.names { parameters[name] = try golden.tensor("parameter.\(name)").converted() }
        var optimizer = AdamW<S>(AdamW.Settings(), for: parameters)
        for (step, rate) in try golden.tensor("learning_rates").elements.enumerated() {
            var gradients = ParameterSet<S>()
            for name in Self.names { gradients[name] = try golden.tensor("step.\(step).gradient.\(name)").converted() }
            optimizer.step(parameters: parameters, gradients: gradients, learningRate: rate) { $0 == "matrix" }
            for name in Self.names {
                let actual = [
                    ("parameter", parameters[name]), ("first_moment", optimizer.firstMoments[name]),
                    ("second_moment", optimizer.secondMoments[name]),
                ]
                for (kind, tensor) in actual {
                    let key = "step.\(step).\(kind).\(name)"
                    expectClose(try #require(tensor), try golden.tensor(key), tolerance, key)
                }
            }
        }
        #expect(optimizer.stepCount == 5)
    }

    @Test func theGoldenFileWasMadeWithTheDefaults() throws {
        let golden = try OptimizerGolden()
        #expect(golden.beta1 == settings().beta1 && golden.beta2 == settings().beta2)
        #expect(golden.epsilon == settings().epsilon && golden.weightDecay == settings().weightDecay)
    }

    /// Clipping by factor equals stepping with gradients already multiplied.
    @Test func gradientScaleMultipliesTheGradient() throws {
        func stepped(_ gradient: [Double], scale: Double) -> [Double] {
            var (parameters, gradients) = (ParameterSet<Double>(), ParameterSet<Double>())
            parameters["x"] = Tensor([1, -2, 3], shape: [3])
            gradients["x"] = Tensor(gradient, shape: [3])
            var optimizer = AdamW<Double>(settings(), for: parameters)
            // ε is not scaled with the gradient, so the two must be compared at a gradient comparable with it.
            optimizer.step(
                parameters: parameters, gradients: gradients, learningRate: 0.1, gradientScale: scale,
                decays: { _ in false })
            return parameters["x"]?.elements ?? []
        }
        let small = [2e-8, -4e-8, 0]
        #expect(stepped(small, scale: 0.5) == stepped(small.map { $0 * 0.5 }, scale: 1))
        #expect(stepped(small, scale: 0.5) != stepped(small, scale: 1))
    }

    @Test func onlyFeatureMixingMatricesDecay() {
        let configuration = HopeConfiguration(
            vocabularySize: 8, width: 4, layers: 1, heads: 2,
            levels: [.init(name: "fast", hiddenMultiple: 2, chunkSize: 64)])
        let names = ParameterSet<Float>.initial(configuration, seed: 1).names
        let mixer = "blocks.0.mixer."
        let decaying: Set = [
            "embedding", mixer + "query_projection", mixer + "key_projection", mixer + "value_projection",
            mixer + "gate_projection", mixer + "output_projection", "blocks.0.levels.0.up", "blocks.0.levels.0.down",
        ]
        #expect(Set(names.filter(AdamW<Float>.decaysWeight)) == decaying)
    }

    /// A Transformer is treated as Hope is, or the two could not be compared: what decays, and where all begins.
    @Test func ofATransformerOnlyGainsAndBiasesDoNotDecay() {
        var configuration = AttentionCases.configuration()
        (configuration.levels, configuration.layerLevels) = ([], [String](repeating: "base", count: 4))
        let set = ParameterSet<Float>.initial(configuration, seed: 1)
        #expect(set.names.contains("blocks.0.mlp.gate") && set.names.contains("head"))
        for name in set.names {
            let (isGain, isBias) = (name.hasSuffix("gain"), name.hasSuffix("bias"))
            #expect(AdamW<Float>.decaysWeight(name) == !(isGain || isBias), "\(name)")
            #expect(!isGain || set[name]?.elements.allSatisfy { $0 == 1 } == true, "\(name)")
            #expect(!isBias || set[name]?.elements.allSatisfy { $0 == 0 } == true, "\(name)")
        }
    }

    /// A checkpoint holds the moments and the step: continuing from them is continuing.
    @Test func aRestoredOptimizerContinues() throws {
        func gradients(_ step: Int) -> ParameterSet<Float> {
            var set = ParameterSet<Float>()
            set["x"] = Tensor((0..<40_000).map { Float(($0 + step) % 7) - 3 }, shape: [40_000])
            return set
        }
        var one = ParameterSet<Float>()
        one["x"] = Tensor((0..<40_000).map { Float($0 % 11) }, shape: [40_000])
        let two = one.copy()
        var whole = AdamW<Float>(AdamW.Settings(), for: one)
        for step in 0..<4 { whole.step(parameters: one, gradients: gradients(step), learningRate: 0.01) }
        var first = AdamW<Float>(AdamW.Settings(), for: two)
        for step in 0..<2 { first.step(parameters: two, gradients: gradients(step), learningRate: 0.01) }
        var second = AdamW<Float>(
            first.settings, firstMoments: first.firstMoments.copy(), secondMoments: first.secondMoments.copy(),
            stepCount: first.stepCount)
        for step in 2..<4 { second.step(parameters: two, gradients: gradients(step), learningRate: 0.01) }
        #expect(one["x"]?.elements == two["x"]?.elements)
    }
}
