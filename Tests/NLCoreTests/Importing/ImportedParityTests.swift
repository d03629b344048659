import Foundation
import TestSupport
import Testing

@testable import NLCore

/// Logits of every supported family and variant against Hugging Face `transformers`, which wrote the models
/// (`Tests/Fixtures/Reference/transformers_golden.py`).
@Suite struct ImportedParityTests {
    static let cases = [
        "llama", "llama-linear", "llama-dynamic", "llama-llama3", "llama-yarn", "llama-bias-mqa", "mistral-window",
        "qwen2", "qwen3", "smollm2",
    ]

    private struct Golden {
        let model: ImportedModel
        let parameters: ParameterSet<Float>
        let tokens: [Int32]
        let logits: [Double]

        init(_ name: String) throws {
            let directory = Fixtures.directory("Imported").appending(path: name)
            model = try ImportedModel(directory: directory)
            parameters = try model.parameters()
            let file = try SafetensorsFile(contentsOf: directory.appending(path: "golden.safetensors"))
            tokens = try file.integers(named: "tokens").map { Int32($0) }
            logits = try file.floats(named: "logits").map(Double.init)
        }
    }

    @Test(arguments: cases)
    func onTheTape(name: String) throws {
        let golden = try Golden(name)
        let logits = AttentionCases.onTape(golden.model.configuration, golden.parameters, golden.tokens)
        expectClose(logits.map(Double.init), golden.logits, .otherLibrary, name)
    }

    @Test(arguments: cases)
    func asAStreamHoweverCut(name: String) throws {
        let golden = try Golden(name)
        let weights = try HopeWeights(golden.model.configuration, golden.parameters)
        for split in StreamingCases.splits(of: golden.tokens.count, random: 2, seed: 1).filter({ $0.count != 2 }) {
            let logits = try StreamingCases.read(golden.tokens, split, weights).logits
            expectClose(logits.map(Double.init), golden.logits, .otherLibrary, "\(name), \(split)")
        }
    }

    /// What is written is what was read, in the precision it came in.
    @Test(arguments: cases)
    func theWrittenModelIsTheSame(name: String) throws {
        let golden = try Golden(name)
        let file = FileManager.default.temporaryDirectory.appending(path: "import-\(UUID().uuidString).safetensors")
        defer { try? FileManager.default.removeItem(at: file) }
        try golden.model.writeWeights(to: file, metadata: [:])
        let written = try SafetensorsFile(contentsOf: file)
        #expect(written.names == golden.parameters.names)
        for (name, tensor) in golden.parameters.entries {
            #expect(try written.floats(named: name) == tensor.elements, "\(name)")
        }
        let kinds: [String: TensorDataType] = ["smollm2": .bfloat16, "llama-bias-mqa": .float16]
        #expect(Set(written.tensors.map(\.dataType)) == [kinds[name] ?? .float32])
    }
}
