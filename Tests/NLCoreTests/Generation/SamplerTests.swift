import Foundation
import NLCore
import Testing

@testable import NLCore

/// Which tokens each filter leaves, that draws follow the exact probabilities, and that a stored sampler goes on.
@Suite struct SamplerTests {
    /// Logits of these probabilities, in single precision.
    private func logits(_ probabilities: [Double]) -> Tensor<Float> {
        Tensor(probabilities.map { Float(log($0)) + 3 }, shape: [probabilities.count])
    }

    /// What stays of the distribution, renormalised, by token.
    private func distribution(_ logits: Tensor<Float>, _ parameters: SamplingParameters) -> [Int: Double] {
        logits.withElements { row in
            let candidates = Candidates(row, parameters)
            let shares = candidates.weights.map { $0 / candidates.total }
            return Dictionary(uniqueKeysWithValues: zip(candidates.tokens, shares))
        }
    }

    private func expect(
        _ actual: [Int: Double], _ expected: [Int: Double], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(Set(actual.keys) == Set(expected.keys), sourceLocation: sourceLocation)
        for (token, share) in expected {
            #expect(abs((actual[token] ?? 0) - share) < 1e-6, "token \(token)", sourceLocation: sourceLocation)
        }
    }

    private let probabilities = [0.05, 0.4, 0.1, 0.3, 0.15]

    // MARK: - Filters

    @Test func withoutFiltersEveryTokenKeepsItsProbability() throws {
        let all = Dictionary(uniqueKeysWithValues: probabilities.enumerated().map { ($0.offset, $0.element) })
        expect(distribution(logits(probabilities), try SamplingParameters()), all)
        expect(distribution(logits(probabilities), try SamplingParameters(topK: 5)), all)
    }

    @Test func temperatureRaisesProbabilitiesToItsInverse() throws {
        let powers = probabilities.map { pow($0, 2) }
        let sum = powers.reduce(0, +)
        let expected = Dictionary(uniqueKeysWithValues: powers.enumerated().map { ($0.offset, $0.element / sum) })
        expect(distribution(logits(probabilities), try SamplingParameters(temperature: 0.5)), expected)
        let cold = distribution(logits(probabilities), try SamplingParameters(temperature: .leastNonzeroMagnitude))
        #expect(cold[1] == 1)
    }

    @Test func topKKeepsTheLikeliest() throws {
        expect(distribution(logits(probabilities), try SamplingParameters(topK: 2)), [1: 0.4 / 0.7, 3: 0.3 / 0.7])
        expect(distribution(logits(probabilities), try SamplingParameters(topK: 1)), [1: 1])
        // Of equal ones the lower ids.
        expect(distribution(logits([0.25, 0.25, 0.25, 0.25]), try SamplingParameters(topK: 2)), [0: 0.5, 1: 0.5])
    }

    @Test func topPKeepsTheFewestThatReachIt() throws {
        expect(distribution(logits(probabilities), try SamplingParameters(topP: 0.39)), [1: 1])
        expect(distribution(logits(probabilities), try SamplingParameters(topP: 0.41)), [1: 0.4 / 0.7, 3: 0.3 / 0.7])
        let three = [1: 0.4 / 0.85, 3: 0.3 / 0.85, 4: 0.15 / 0.85]
        expect(distribution(logits(probabilities), try SamplingParameters(topP: 0.8)), three)
        expect(distribution(logits(probabilities), try SamplingParameters(topP: 1e-9)), [1: 1])
    }

    @Test func minPIsAShareOfTheLargest() throws {
        // 0.4 · 0.3 = 0.12: tokens 0 and 2 go.
        let three = [1: 0.4 / 0.85, 3: 0.3 / 0.85, 4: 0.15 / 0.85]
        expect(distribution(logits(probabilities), try SamplingParameters(minP: 0.3)), three)
        expect(distribution(logits(probabilities), try SamplingParameters(minP: 1)), [1: 1])
    }

    @Test func filtersFollowOneAnother() throws {
        // Top-k leaves 0.4, 0.3, 0.15 of 0.85, of which 0.8 is reached by the first two (0.7 / 0.85 = 0.82); on the
        // whole distribution 0.8 would take three.
        expect(
            distribution(logits(probabilities), try SamplingParameters(topK: 3, topP: 0.8)),
            [1: 0.4 / 0.7, 3: 0.3 / 0.7])
        // The temperature comes first: squared, 0.16 and 0.09 are 0.25 of 0.285, above 0.87.
        expect(
            distribution(logits(probabilities), try SamplingParameters(temperature: 0.5, topP: 0.87)),
            [1: 0.16 / 0.25, 3: 0.09 / 0.25])
        expect(
            distribution(logits(probabilities), try SamplingParameters(topK: 4, topP: 0.95, minP: 0.5)),
            [1: 0.4 / 0.7, 3: 0.3 / 0.7])
    }

    // MARK: - Draws

    @Test(arguments: [UInt64(1), 2, 3])
    func drawsFollowTheProbabilities(seed: UInt64) throws {
        let parameters = try SamplingParameters(temperature: 0.8, topK: 4, minP: 0.1)
        let row = logits(probabilities)
        let expected = distribution(row, parameters)
        var sampler = Sampler(seed: seed)
        let draws = 40_000
        var counts = [Int](repeating: 0, count: probabilities.count)
        for _ in 0..<draws { counts[Int(try sampler.sample(row, parameters).token)] += 1 }
        // Pearson's χ² with 3 degrees of freedom: above 21.1 once in 10,000 seeds.
        #expect(expected.count == 4)
        var statistic = 0.0
        for (token, count) in counts.enumerated() {
            guard let share = expected[token] else {
                #expect(count == 0, "token \(token) was drawn, and can't be")
                continue
            }
            let mean = share * Double(draws)
            statistic += (Double(count) - mean) * (Double(count) - mean) / mean
        }
        #expect(statistic < 21.1)
    }

    @Test func greedyTakesTheLowestOfTheLikeliestAndDrawsNothing() throws {
        var sampler = Sampler(seed: 9)
        let row = Tensor<Float>([1, 5, 2, 5, 5, -1], shape: [1, 6])
        #expect(try sampler.sample(row, .greedy).token == 1)
        #expect(sampler.state == 9)
    }

    @Test func aStoredSamplerGoesOnWithTheSameTokens() throws {
        let row = logits((1...50).map { Double($0) / 1275 })
        var sampler = Sampler(seed: 4)
        let parameters = try SamplingParameters()
        for _ in 0..<10 { _ = try sampler.sample(row, parameters) }
        var restored = Sampler(seed: sampler.state)
        let decoded = try JSONDecoder().decode(Sampler.self, from: JSONEncoder().encode(sampler))
        #expect(decoded == sampler)
        var different = Sampler(seed: 5)
        func next(_ sampler: inout Sampler) throws -> [Int32] {
            try (0..<20).map { _ in try sampler.sample(row, parameters).token }
        }
        let tokens = try next(&sampler)
        #expect(try next(&restored) == tokens)
        #expect(try next(&different) != tokens)
    }

    // MARK: - Log-probabilities

    @Test func logProbabilitiesAreThoseBeforeTemperatureAndFilters() throws {
        var sampler = Sampler(seed: 1)
        let sample = try sampler.sample(
            logits(probabilities), try SamplingParameters(temperature: 0.1, topK: 1), alternatives: 3)
        #expect(sample.token == 1)
        #expect(abs(sample.logProbability - log(0.4)) < 1e-6)
        #expect(sample.alternatives.map(\.token) == [1, 3, 4])
        for (alternative, probability) in zip(sample.alternatives, [0.4, 0.3, 0.15]) {
            #expect(abs(alternative.logProbability - log(probability)) < 1e-6)
        }
        let all = try sampler.sample(logits(probabilities), .greedy, alternatives: 9).alternatives
        #expect(all.map(\.token) == [1, 3, 4, 2, 0])
    }

    @Test func largeLogitsDoNotOverflow() throws {
        let row = Tensor<Float>([3e38, 3e38, -3e38], shape: [3])
        var sampler = Sampler(seed: 1)
        let sample = try sampler.sample(row, try SamplingParameters(temperature: 0.01))
        #expect(sample.token != 2)
        #expect(abs(sample.logProbability - log(0.5)) < 1e-6)
    }

    @Test func scoresAreLogProbabilitiesByRow() throws {
        let rows = Tensor<Float>((probabilities + probabilities.reversed()).map { Float(log($0)) }, shape: [2, 5])
        let scores = try LogSoftmax.logProbabilities(of: [1, 0], rows)
        #expect(abs(scores[0] - log(0.4)) < 1e-6 && abs(scores[1] - log(0.15)) < 1e-6)
    }

    // MARK: - Errors

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func logitsThatAreNotFiniteAreRefused(value: Float) throws {
        var sampler = Sampler(seed: 7)
        for parameters in [try SamplingParameters(topP: 0.9), .greedy] {
            #expect(throws: LogitsError.notFinite(value, token: 2)) {
                try sampler.sample(Tensor([0, 1, value, 2], shape: [4]), parameters)
            }
        }
        #expect(throws: LogitsError.empty) { try sampler.sample(Tensor([], shape: [0]), .greedy) }
        #expect(sampler.state == 7)
    }

    @Test func parametersOutOfRangeAreRefused() {
        #expect(throws: SamplingParametersError.self) { try SamplingParameters(temperature: -0.1) }
        #expect(throws: SamplingParametersError.self) { try SamplingParameters(temperature: .nan) }
        #expect(throws: SamplingParametersError.self) { try SamplingParameters(temperature: .infinity) }
        #expect(throws: SamplingParametersError.self) { try SamplingParameters(topK: -1) }
        #expect(throws: SamplingParametersError.self) { try SamplingParameters(topP: 0) }
        #expect(throws: SamplingParametersError.self) { try SamplingParameters(topP: 1.01) }
        #expect(throws: SamplingParametersError.self) { try SamplingParameters(minP: -1) }
        #expect(throws: SamplingParametersError.self) { try SamplingParameters(minP: .nan) }
        #expect(throws: SamplingParametersError.self) {
            try JSONDecoder().decode(SamplingParameters.self, from: Data(#"{"top_p": 7}"#.utf8))
        }
    }

    @Test func storedParametersTakeDefaultsForWhatIsMissing() throws {
        let parameters = try JSONDecoder().decode(SamplingParameters.self, from: Data(#"{"top_k": 7}"#.utf8))
        #expect(parameters == (try SamplingParameters(topK: 7)))
    }
}
