import Foundation
import NLCore

/// Writes what `nlserver serve` reads: `config.json`, `model.safetensors` in the type that it states, `tokenizer.json`.
struct ModelOutput {
    let url: URL

    func write(
        _ parameters: ParameterSet<Float>, _ configuration: HopeConfiguration, tokenizer: Data,
        metadata: [String: String]
    ) throws {
        var writer = SafetensorsWriter(metadata: metadata)
        let type: TensorDataType =
            switch configuration.storageType {
            case "float32": .float32
            case "float16": .float16
            default: .bfloat16
            }
        for (name, tensor) in parameters.entries where !HopeParameters<Void>.isZeroInBase(name) {
            try writer.add(name, shape: tensor.shape.axes, as: type, floats: tensor.elements)
        }
        try writer.write(to: url.appending(path: "model.safetensors"))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try replace(try encoder.encode(configuration) + Data("\n".utf8), "config.json")
        try replace(tokenizer, "tokenizer.json")
    }

    private func replace(_ data: Data, _ name: String) throws {
        let file = url.appending(path: name)
        // The same bytes need no writing, and a reader's mapping stays the file's.
        if FileManager.default.contents(atPath: file.path) != data { try writeDurably(data, to: file) }
    }
}
