import Foundation
import TestSupport
import Testing

@testable import NLCore

/// A real, trained model: its greedy text equals that of the program it comes from, letter for letter.
@Suite struct Stories260KTests {
    private let directory = Fixtures.directory("stories260K")

    @Test func greedyTextIsTheOneOfTheOriginal() throws {
        let model = try ImportedModel(directory: directory)
        let tokenizer = try Tokenizer(contentsOf: directory.appending(path: "tokenizer.json"))
        let weights = try HopeWeights(model.configuration, model.parameters())
        var inputs = [StreamInput(state: StreamState<Float>(model.configuration), tokens: [1])]
        var ids: [Int] = []
        for _ in 0..<200 {
            let logits = try StreamingHope.advance(&inputs, weights: weights)[0].elements
            let best = try #require(logits.indices.max { logits[$0] < logits[$1] })
            ids.append(best)
            inputs[0].tokens = [Int32(best)]
        }
        let expected = try String(contentsOf: directory.appending(path: "expected-greedy-200.txt"), encoding: .utf8)
        #expect(tokenizer.decode(ids, skipSpecialTokens: true) == expected.trimmingCharacters(in: .newlines))
    }

    @Test func promptsAreReadAsTheOriginalReadsThem() throws {
        let tokenizer = try Tokenizer(contentsOf: directory.appending(path: "tokenizer.json"))
        let ids = tokenizer.encode("Once upon a time, there was a little girl", addSpecialTokens: true)
        #expect(ids == [1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421])
    }
}
