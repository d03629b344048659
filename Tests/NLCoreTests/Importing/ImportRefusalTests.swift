import Foundation
import TestSupport
import Testing

@testable import NLCore

/// What is not supported is refused, and the message names the key.
@Suite struct ImportRefusalTests {
    struct Change: Sendable, CustomTestStringConvertible {
        let key: String
        let json: String
        var testDescription: String { "\(key) = \(json)" }
    }

    private static let unsupported = [
        Change(key: "model_type", json: #""gpt2""#),
        Change(key: "hidden_act", json: #""gelu""#),
        Change(key: "mlp_bias", json: "true"),
        Change(key: "partial_rotary_factor", json: "0.5"),
        Change(key: "quantization_config", json: "{}"),
        Change(key: "dtype", json: #""float8""#),
        Change(key: "rope_parameters.rope_type", json: #"{"rope_type":"longrope","rope_theta":1e4,"factor":2}"#),
        Change(key: "rope_parameters.full_attention", json: #"{"full_attention":{"rope_type":"default"}}"#),
    ]

    @Test(arguments: unsupported)
    func foreignKeys(change: Change) throws {
        let error = #expect(throws: ImportError.self) { try Self.configuration(change) }
        guard case .unsupported(let key, _, _) = error else {
            Issue.record("\(change.key): \(String(describing: error))")
            return
        }
        #expect(key == change.key)
    }

    private static let malformed = [
        Change(key: "hidden_size", json: "null"),
        Change(key: "num_hidden_layers", json: #""three""#),
        Change(key: "num_key_value_heads", json: "3"),
        Change(key: "eos_token_id", json: "null"),
        Change(key: "rope_parameters.factor", json: #"{"rope_type":"linear","rope_theta":1e4}"#),
        Change(key: "rope_scaling", json: #"{"rope_type":"llama3","factor":8}"#),
    ]

    @Test(arguments: malformed)
    func keysThatContradict(change: Change) throws {
        let error = #expect(throws: ImportError.self) { try Self.configuration(change) }
        guard case .malformed(let key, _) = error else {
            Issue.record("\(change.key): \(String(describing: error))")
            return
        }
        #expect(key == change.key)
    }

    /// The case's config.json with one key changed; a key with a dot changes the one before it.
    private static func configuration(_ change: Change) throws -> HopeConfiguration {
        let file = Fixtures.directory("Imported").appending(path: "llama-yarn/config.json")
        let read = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
        var object = try #require(read as? [String: Any])
        let key = String(change.key.split(separator: ".")[0])
        if key == "rope_scaling" { object["rope_parameters"] = nil }
        object[key] = try JSONSerialization.jsonObject(with: Data(change.json.utf8), options: .fragmentsAllowed)
        let json = try JSONSerialization.data(withJSONObject: object)
        return try ImportedConfiguration(json: Array(json)).configuration(ImportOptions())
    }

    @Test func slidingWindowsOfSomeLayersAreRefused() throws {
        let file = Fixtures.directory("Imported").appending(path: "qwen2/config.json")
        let read = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
        var object = try #require(read as? [String: Any])
        object["layer_types"] = ["full_attention", "full_attention", "sliding_attention"]
        let json = try JSONSerialization.data(withJSONObject: object)
        let error = #expect(throws: ImportError.self) {
            try ImportedConfiguration(json: Array(json)).configuration(ImportOptions())
        }
        #expect(error?.description.contains("layer_types") == true)
    }

    @Test func missingFilesAndTensorsAreNamed() throws {
        let home = FileManager.default.temporaryDirectory.appending(path: "import-\(UUID().uuidString)")
        let fixture = Fixtures.directory("Imported").appending(path: "qwen2")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: home) }
        #expect(throws: ImportError.self) { try ImportedModel(directory: home) }
        try FileManager.default.copyItem(
            at: fixture.appending(path: "config.json"), to: home.appending(path: "config.json"))
        let none = #expect(throws: ImportError.self) { try ImportedModel(directory: home) }
        #expect(none?.description.contains("model.safetensors") == true)

        let file = try SafetensorsFile(contentsOf: fixture.appending(path: "model.safetensors"))
        func write(without missing: String?, with extra: String?) throws {
            var writer = SafetensorsWriter()
            for tensor in file.tensors where tensor.name != missing {
                try writer.add(tensor.name, shape: tensor.shape, floats: file.floats(named: tensor.name))
            }
            if let extra { try writer.add(extra, shape: [1], floats: [0]) }
            try writer.write(to: home.appending(path: "model.safetensors"))
        }
        try write(without: "model.layers.1.mlp.up_proj.weight", with: nil)
        let missing = #expect(throws: ImportError.self) { try ImportedModel(directory: home) }
        #expect(missing?.description.contains("model.layers.1.mlp.up_proj.weight") == true)
        try write(without: nil, with: "model.layers.0.self_attn.sinks")
        let extra = #expect(throws: ImportError.self) { try ImportedModel(directory: home) }
        #expect(extra?.description.contains("model.layers.0.self_attn.sinks") == true)
        try write(without: nil, with: nil)
        #expect(throws: Never.self) { try ImportedModel(directory: home) }
    }
}
