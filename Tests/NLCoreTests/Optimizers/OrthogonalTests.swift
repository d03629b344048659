import Foundation
import NLCore
import TestSupport
import Testing

/// Newton-Schulz, Muon and M3 against the same rules written in PyTorch in float64
/// (`Tests/Fixtures/Reference/orthogonal_golden.py`).
@Suite struct OrthogonalTests {
    private static let shapes = ["wide", "tall", "square"]
    private let file: SafetensorsFile

    init() throws {
        file = try SafetensorsFile(
            contentsOf: Fixtures.directory("Optimizers").appending(path: "orthogonal.safetensors"))
    }

    private func tensor(_ name: String) throws -> Tensor<Double> {
        Tensor(try file.doubles(named: name), shape: Shape(try #require(file.tensor(named: name)).shape))
    }

    @Test(arguments: shapes) func theIterationMatchesPyTorch(shape: String) throws {
        let (matrix, expected) = (try tensor("\(shape).gradient.0"), try tensor("\(shape).orthogonalized"))
        expectClose(NewtonSchulz.orthogonalized(matrix), expected, .double, shape)
        // The iteration magnifies what rounding adds to short directions.
        expectClose(NewtonSchulz.orthogonalized(matrix.converted(to: Float.self)), expected, .floatGradient, shape)
    }

    /// Every direction comes out near 1, however long it was; zeros stay zeros.
    @Test func singularValuesComeNearOne() {
        // A diagonal matrix shows its singular values.
        var diagonal = [Double](repeating: 0, count: 16)
        for (index, value) in [100, 10, 1, 0.5].enumerated() { diagonal[index * 5] = value }
        let result = NewtonSchulz.orthogonalized(Tensor(diagonal, shape: [4, 4])).elements
        for index in 0..<16 where index % 5 != 0 { #expect(abs(result[index]) < 1e-9) }
        #expect((0..<3).allSatisfy { (0.6...1.3).contains(result[$0 * 5]) }, "\(result)")
        #expect(NewtonSchulz.orthogonalized(Tensor<Double>.zeros([3, 5])).elements.allSatisfy { $0 == 0 })
    }

    @Test(arguments: shapes) func muonMatchesPyTorch(shape: String) throws {
        try replayMuon(shape, Double.self, .double)
        try replayMuon(shape, Float.self, .floatGradient)
    }

    private func replayMuon<S: TensorScalar>(_ shape: String, _: S.Type, _ tolerance: Tolerance) throws {
        var parameters = ParameterSet<S>()
        parameters["up"] = try tensor("\(shape).parameter").converted()
        let muon = Muon<S>(.init(), for: parameters)
        for (step, rate) in try tensor("learning_rates").elements.enumerated() {
            var gradients = ParameterSet<S>()
            // Clipping by factor equals stepping with gradients already multiplied.
            let gradient = try tensor("\(shape).gradient.\(step)")
            gradients["up"] = Tensor(gradient.elements.map { $0 * 2 }, shape: gradient.shape).converted()
            muon.step(parameters: parameters, gradients: gradients, learningRate: rate, gradientScale: 0.5)
            let key = "\(shape).muon.\(step)"
            expectClose(try #require(parameters["up"]), try tensor(key), tolerance, key)
        }
    }

    /// Matrices side by side, their loops over numbers vectorised: the bits of the rule as it is written, one by one.
    @Test func muonOfAllMatricesIsMuonOfEach() {
        let shapes: [Shape] = [[24, 40], [40, 24], [130, 70], [16, 16], [1, 9]]
        var random = SeededRandom(seed: 5)
        func numbers(_ shape: Shape) -> Tensor<Float> {
            Tensor((0..<shape.count).map { _ in Float(random.nextUnit()) - 0.5 }, shape: shape)
        }
        var (parameters, gradients) = (ParameterSet<Float>(), ParameterSet<Float>())
        for (index, shape) in shapes.enumerated() {
            parameters["\(index).up"] = numbers(shape)
            gradients["\(index).up"] = numbers(shape)
        }
        let muon = Muon<Float>(.init(), for: parameters)
        var (expected, momenta) = (parameters.copy(), parameters.zeros())
        for _ in 0..<3 {
            muon.step(parameters: parameters, gradients: gradients, learningRate: 0.02, gradientScale: 0.7)
            for (name, gradient) in gradients.entries {
                guard let own = expected[name], let before = momenta[name] else { continue }
                let momentum = Tensor(
                    zip(before.elements, gradient.elements).map { Float(0.95) * $0 + Float(0.7) * $1 },
                    shape: own.shape)
                let direction = NewtonSchulz.orthogonalized(momentum)
                let aspect = max(1, Double(own.shape[0]) / Double(own.shape[1])).squareRoot()
                let (keep, rate) = (Float(1 - 0.02 * 0.1), Float(0.02 * aspect))
                momenta[name] = momentum
                expected[name] = Tensor(
                    zip(own.elements, direction.elements).map { keep * $0 - rate * $1 }, shape: own.shape)
            }
            for (name, tensor) in expected.entries { #expect(parameters[name]?.elements == tensor.elements, "\(name)") }
        }
    }

    @Test(arguments: shapes, [false, true]) func m3MatchesPyTorch(shape: String, isExponential: Bool) throws {
        var settings = M3<Double>.Settings()
        settings.interval = 3  // as in the golden file: the slow momentum moves within it
        settings.isExponential = isExponential
        let parameter = try tensor("\(shape).parameter").copy()
        let zeros = { Tensor<Double>.zeros(parameter.shape) }
        let moments = M3<Double>.Moments(fast: zeros(), slow: zeros(), recent: zeros(), squares: zeros())
        for (step, rate) in try tensor("learning_rates").elements.enumerated() {
            M3.step(
                parameter, try tensor("\(shape).gradient.\(step)"), moments, number: step + 1, settings,
                learningRate: rate)
            let key = "\(shape).\(isExponential ? "m3_exponential" : "m3").\(step)"
            expectClose(parameter, try tensor(key), .double, key)
        }
    }

    @Test func onlyMatricesBetweenFeaturesAreTaken() {
        let configuration = HopeConfiguration(
            vocabularySize: 8, width: 4, layers: 1, heads: 2,
            levels: [.init(name: "fast", hiddenMultiple: 2, chunkSize: 64)])
        let taken = ParameterSet<Float>.initial(configuration, seed: 1).entries
            .filter { Muon<Float>.takes($0.name, $0.tensor.shape) }.map(\.name)
        let mixer = "blocks.0.mixer."
        #expect(
            Set(taken) == [
                mixer + "query_projection", mixer + "key_projection", mixer + "value_projection",
                mixer + "gate_projection", mixer + "output_projection", "blocks.0.levels.0.up",
                "blocks.0.levels.0.down",
            ])
        #expect(!Muon<Float>.takes("blocks.0.levels.0.slots.values", [16, 4]))
    }

    @Test func theGoldenFileWasMadeWithTheDefaults() throws {
        struct Constants: Decodable {
            var momentum: Double?
            var weight_decay: Double?
            var iterations: Int
            var beta1: Double?
            var beta2: Double?
            var beta3: Double?
            var slow_share: Double?
            var epsilon: Double?
        }
        func constants(_ rule: String) throws -> Constants {
            try JSONDecoder().decode(Constants.self, from: Data(try #require(file.metadata[rule]).utf8))
        }
        let (muon, m3) = (try constants("muon"), try constants("m3"))
        let (own, other) = (Muon<Double>.Settings(), M3<Double>.Settings())
        #expect(muon.momentum == own.momentum && muon.weight_decay == own.weightDecay)
        #expect(muon.iterations == own.iterations && m3.iterations == other.iterations)
        #expect(m3.beta1 == other.beta1 && m3.beta2 == other.beta2 && m3.beta3 == other.beta3)
        #expect(m3.slow_share == other.slowShare && m3.epsilon == other.epsilon)
    }
}
