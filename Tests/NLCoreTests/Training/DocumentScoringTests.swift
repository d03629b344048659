import TestSupport
import Testing

@testable import NLCore

/// Windows with carried state, and neighbours on the tape, change nothing about a document's score.
@Suite struct DocumentScoringTests {
    @Test(arguments: [(window: 8, batch: 1), (window: 8, batch: 3), (window: 24, batch: 2)])
    func equalsOnePassOverEachDocument(window: Int, batch: Int) throws {
        let configuration = PretrainingStepTests.configuration()
        var parameters = ParameterSet<Float>.initial(configuration, seed: 3)
        // Large step sizes, so that a lost state would show.
        for layer in 0..<2 {
            parameters["blocks.\(layer).mixer.step_size_bias"] = Tensor(repeating: 4, shape: [2])
        }
        let documents = [9, 2, 30, 1, 17, 25].enumerated().map { index, count in
            PretrainingStepTests.tokens(count, seed: UInt64(index + 1))
        }
        var exact = ParameterSet<Double>()
        for (name, tensor) in parameters.entries { exact[name] = tensor.converted() }
        let expected = documents.map { document -> Double in
            guard document.count > 1 else { return 0 }
            let model = HopeModel(configuration, exact, on: Tape<Double>()) { _ in false }
            let logits = model(Array(document.dropLast()), batch: 1).logits
            let weights = [Double](repeating: 1, count: document.count - 1)
            return logits.crossEntropy(Array(document.dropFirst()), weights: weights).loss.value.elements[0]
        }
        let actual = DocumentScoring(configuration, window: window, batch: batch)(parameters, documents)
        for (index, (actual, expected)) in zip(actual, expected).enumerated() {
            expectClose([actual], [expected], .float, "document \(index)")
        }
    }
}
