import Foundation
import TestSupport
import Testing

@testable import NLCore

/// Levels whose matrices are moved as wholes: by their rule, what else they adapt by AdamW, and never slots, which are written.
@Suite struct LevelOptimizerTests {
    private func definition(_ optimizer: String, learningRate: Double? = nil) throws -> LevelDefinition {
        var configuration = TinyModel.configuration
        configuration.levels[1].optimizer = optimizer
        configuration.levels[1].learningRate = learningRate
        return try LevelDefinition.levels(of: configuration)[1]
    }

    private func gradients(_ level: LevelDefinition, seed: UInt64) -> ParameterSet<Float> {
        var random = SeededRandom(seed: seed)
        var set = ParameterSet<Float>()
        for tensor in level.tensors {
            // Short enough not to be clipped.
            set[tensor.name] = Tensor(
                (0..<tensor.shape.count).map { _ in Float(random.nextNormal() * 1e-3) }, shape: tensor.shape)
        }
        return set
    }

    private func learned(_ level: LevelDefinition, steps: Int, from state: LevelState? = nil) throws -> LevelState {
        var state = state ?? LevelState(level)
        for step in 0..<steps {
            let number = UInt64(state.counters.optimizerSteps + 7 * step / max(step, 1))
            #expect(try state.gather(gradients(level, seed: number), tokenCount: level.chunkSize))
        }
        return state
    }

    @Test(arguments: [("muon", 0.02), ("m3", 1e-3), ("m3_exponential", 2e-4)])
    func matricesFollowTheRuleAndTheRestAdamW(name: String, rate: Double) throws {
        let level = try definition(name)
        #expect(level.optimizer.rule.rawValue == name && level.optimizer.learningRate == rate)
        let state = try learned(level, steps: 1)
        let gradients = gradients(level, seed: 0)
        let scale = 1 / Double(level.chunkSize)
        for tensor in level.tensors {
            let own = try #require(state.delta[tensor.name])
            let gradient = try #require(gradients[tensor.name])
            let expected = Tensor<Float>.zeros(tensor.shape)
            if !Muon<Float>.takes(tensor.name, tensor.shape) {
                // AdamW's first step: every element moves by its rate, against the sign of its gradient.
                let share = tensor.isInitialState ? level.optimizer.initialStateShare : 1
                let steps = gradient.elements.map { element in
                    let g = Double(element) * scale
                    return Float(-rate * share * g / (abs(g) + 1e-8))
                }
                expectClose(own, Tensor(steps, shape: tensor.shape), .floatGradient, name)
                continue
            }
            if name == "muon" {
                var settings = Muon<Float>.Settings()
                settings.weightDecay = 0
                Muon<Float>.step(
                    .init(parameter: expected, gradient: gradient, momentum: .zeros(tensor.shape)), settings,
                    learningRate: rate, gradientScale: scale)
            } else {
                var settings = M3<Float>.Settings()
                settings.isExponential = name == "m3_exponential"
                M3<Float>.step(
                    expected, gradient,
                    .init(
                        fast: .zeros(tensor.shape), slow: .zeros(tensor.shape), recent: .zeros(tensor.shape),
                        squares: .zeros(tensor.shape)), number: 1, settings, learningRate: rate, gradientScale: scale)
            }
            #expect(own.elements == expected.elements && own.norm > 0, "\(tensor.name)")
        }
    }

    /// The slow momentum moves with every eighth step; a fresh optimizer has none.
    @Test func momentaAreStateAndAreForgotten() throws {
        let level = try definition("m3")
        let seven = try learned(level, steps: 7)
        #expect(seven.slowMoment.norm == 0 && seven.recentGradients.norm > 0)
        var eight = try learned(level, steps: 1, from: seven)
        #expect(eight.slowMoment.norm > 0 && eight.recentGradients.norm == 0)
        #expect(seven.slowMoment.norm == 0)  // a copy never changes with the original
        let again = try LevelState(
            level, delta: eight.delta, gradientSum: eight.gradientSum, firstMoment: eight.firstMoment,
            secondMoment: eight.secondMoment, slowMoment: eight.slowMoment, recentGradients: eight.recentGradients,
            counters: eight.counters)
        let (one, two) = (try learned(level, steps: 3, from: eight), try learned(level, steps: 3, from: again))
        for (name, tensor) in one.delta.entries { #expect(tensor.elements == two.delta[name]?.elements) }
        eight.forgetMoments()
        #expect(eight.slowMoment.names.isEmpty && eight.recentGradients.names.isEmpty)
        #expect(throws: LevelStateError.self) {
            var part = ParameterSet<Float>()
            part["x"] = Tensor.zeros([1])
            _ = try LevelState(
                level, delta: eight.delta, gradientSum: ParameterSet(), firstMoment: ParameterSet(),
                secondMoment: ParameterSet(), slowMoment: part, counters: LevelCounters())
        }
    }

    @Test func momentumIsWhatTheConfigurationSays() throws {
        var configuration = TinyModel.configuration
        configuration.levels[1].optimizer = "muon"
        configuration.levels[1].momentum = 0.5
        let saved = try JSONDecoder().decode(HopeConfiguration.self, from: JSONEncoder().encode(configuration))
        #expect(saved == configuration)
        let level = try LevelDefinition.levels(of: saved)[1]
        let state = try learned(level, steps: 2)
        let name = try #require(level.tensors.first { Muon<Float>.takes($0.name, $0.shape) }).name
        let own = try #require(state.delta[name])
        var settings = Muon<Float>.Settings()
        (settings.momentum, settings.weightDecay) = (0.5, 0)
        let expected = Tensor<Float>.zeros(own.shape)
        let momentum = Tensor<Float>.zeros(own.shape)
        for seed in [UInt64(0), 8] {  // as ``learned(_:steps:)`` draws them
            let gradient = try #require(gradients(level, seed: seed)[name])
            Muon<Float>.step(
                .init(parameter: expected, gradient: gradient, momentum: momentum), settings,
                learningRate: level.optimizer.learningRate, gradientScale: 1 / Double(level.chunkSize))
        }
        expectClose(own, expected, .floatGradient, name)

        configuration.levels[1].optimizer = nil
        #expect(try LevelDefinition.levels(of: configuration)[1].optimizer.beta1 == 0.5)
        for (optimizer, momentum) in [("sgd", 0.5), ("muon", 1), ("muon", -0.1), ("adamw", .nan)] {
            configuration.levels[1].optimizer = optimizer
            configuration.levels[1].momentum = momentum
            let error = #expect(throws: ConfigurationError.self) { try LevelDefinition.levels(of: configuration) }
            #expect(error?.message.contains("momentum") == true, "\(optimizer) \(momentum)")
        }
    }

    @Test(arguments: ["muon", "m3", "m3_exponential", "dgd"]) func slotsAreLeftToTheirWriter(optimizer: String) throws {
        var configuration = TinyModel.configuration
        configuration.levels[1].slots = .init(capacity: 4, contextSize: 8)
        configuration.levels[1].optimizer = optimizer
        let level = try LevelDefinition.levels(of: configuration)[1]
        #expect(level.tensors.count == 4 && level.trained.isEmpty && level.observed.isEmpty)
        configuration.levels[1].adapts = ["initial_states"]
        if optimizer == "dgd" {
            #expect(throws: ConfigurationError.self) { try LevelDefinition.levels(of: configuration) }
        }
        // Links beside slots may be moved so.
        configuration.levels[1].adapts = ["cms"]
        #expect(try LevelDefinition.levels(of: configuration)[1].optimizer.rule.rawValue == optimizer)
    }

    /// Δ (I − η′X̄) − η′G/n, with X̄ from the inputs themselves.
    @Test func deltaGradientDescentTakesBackWhatItsInputsRecall() {
        var random = SeededRandom(seed: 4)
        func numbers(_ shape: Shape) -> Tensor<Double> {
            Tensor((0..<shape.count).map { _ in random.nextNormal() }, shape: shape)
        }
        let (delta, gradient, rows) = (numbers([3, 4]), numbers([3, 4]), numbers([6, 4]))
        let (eta, before) = (0.25, delta.elements)
        // The third row is read and not learned from.
        let weights: [Double] = [1, 1, 0, 1, 1, 1]
        let sum = Tensor<Double>.zeros([4, 4])
        DGD.addInputs(rows, weights: weights, to: sum)
        DGD.step(delta, gradient, inputs: sum, count: 5, learningRate: eta, gradientScale: 0.2)
        for row in 0..<3 {
            for column in 0..<4 {
                var expected = before[row * 4 + column] - 0.2 * 0.2 * gradient.elements[row * 4 + column]
                for token in [0, 1, 3, 4, 5] {
                    let x = Array(rows.elements[token * 4..<token * 4 + 4])
                    let length = x.reduce(0) { $0 + $1 * $1 }
                    let recalled = zip(before[row * 4..<row * 4 + 4], x).reduce(0) { $0 + $1.0 * $1.1 }
                    expected -= 0.2 / 5 * recalled * x[column] / length
                }
                #expect(abs(delta.elements[row * 4 + column] - expected) < 1e-5, "\(row), \(column)")
            }
        }
    }

    /// The inputs are gathered with the gradient, over all tokens and both matrices of a link, and go with it.
    @Test func inputsAreGatheredWithTheGradient() throws {
        var configuration = TinyModel.configuration
        (configuration.levels[1].optimizer, configuration.levels[1].adapts) = ("dgd", ["cms"])
        configuration.levels[1].chunkSize = 64
        let levels = try SpaceLevels(configuration, base: TinyModel.parameters())
        let text = TinyModel.text(seed: 1, length: 23)
        let level = try #require(levels["medium"]).definition
        let reading = try LearningWindow(configuration).read(
            text.inputs, targets: text.targets, states: nil, parameters: levels.effective,
            trained: levels.tensors(of: .acquisition), observed: level.observed)
        #expect(
            Set(reading.inputs.names)
                == Set((0..<2).flatMap { ["blocks.\($0).levels.1.up", "blocks.\($0).levels.1.down"] }))
        for (name, sum) in reading.inputs.entries {
            // A unit vector's outer product has the trace 1.
            let width = sum.shape[0]
            #expect(width == (name.hasSuffix("up") ? 16 : 32))
            let trace = (0..<width).reduce(0) { $0 + Double(sum.elements[$1 * width + $1]) }
            #expect(abs(trace - 24) < 0.01, "\(name): \(trace)")
        }
        var state = LevelState(level)
        #expect(try !state.gather(try #require(reading.gradients), inputs: reading.inputs, tokenCount: 24))
        #expect(state.inputSum.norm > 0)
        #expect(try state.close())
        #expect(state.inputSum.names.isEmpty && state.delta.norm > 0)
        #expect(throws: LevelStateError.self) {
            _ = try LevelState(
                level, delta: state.delta, gradientSum: ParameterSet(), firstMoment: ParameterSet(),
                secondMoment: ParameterSet(), inputSum: state.delta, counters: LevelCounters())
        }
    }

    @Test func anUnknownRuleIsRefusedWithTheKnownOnes() throws {
        let error = #expect(throws: ConfigurationError.self) { try definition("lion") }
        #expect(error?.message.contains("\"lion\"") == true && error?.message.contains("muon") == true)
    }

    /// A document is learned with each of them, and twice with the same bits.
    @Test(arguments: ["muon", "m3", "m3_exponential", "dgd"]) func aTextIsLearned(optimizer: String) throws {
        var configuration = TinyModel.configuration
        configuration.levels[1].optimizer = optimizer
        configuration.levels[1].learningRate = nil
        if optimizer == "dgd" { configuration.levels[1].adapts = ["cms"] }
        func learn() throws -> (SpaceLevels, Acquisition.Outcome) {
            var settings = Acquisition.Settings()
            settings.windowSize = 16
            settings.maximumPasses = 40
            var acquisition = Acquisition(
                TinyModel.text(seed: 1, length: 20),
                into: try SpaceLevels(configuration, base: TinyModel.parameters()),
                rehearsal: Rehearsal(journal: [], anchors: [], seed: 3), settings: settings)
            while true {
                if case .finished(let outcome) = try acquisition.step() { return (acquisition.levels, outcome) }
            }
        }
        let (one, two) = (try learn(), try learn())
        #expect(one.1 == two.1)
        #expect(one.1.loss < one.1.baseLoss / 2, "\(one.1)")
        for (name, tensor) in one.0.effective.entries { #expect(tensor.elements == two.0.effective[name]?.elements) }
    }
}

extension Tensor<Float> {
    fileprivate var norm: Double { squaredNorm.squareRoot() }
}
