public import Foundation
public import NLCore

/// One file of golden vectors: inputs, parameters, logits, gradients and states that the PyTorch reference computed
/// in float64 (`Tests/Fixtures/Reference/hope_golden.py`).
public struct Golden {
    /// The file's tensors.
    public let file: SafetensorsFile
    /// The geometry it was made with.
    public let configuration: HopeConfiguration

    /// Opens `Tests/Fixtures/Hope/<name>.safetensors`.
    public init(named name: String) throws {
        file = try SafetensorsFile(contentsOf: Fixtures.directory("Hope").appending(path: "\(name).safetensors"))
        let reference = try JSONDecoder().decode(
            ReferenceConfiguration.self, from: Data((file.metadata["config"] ?? "").utf8))
        configuration = reference.configuration
    }

    /// A tensor of the file.
    public func tensor(_ name: String) throws -> Tensor<Double> {
        guard let description = file.tensor(named: name) else { throw GoldenError.missing(name) }
        return Tensor(try file.doubles(named: name), shape: Shape(description.shape))
    }

    /// Token ids, row-major.
    public func tokens(_ name: String) throws -> [Int32] { try file.integers(named: name).map { Int32($0) } }

    /// Streams in the case.
    public var batch: Int { file.tensor(named: "tokens")?.shape[0] ?? 0 }

    /// Every parameter under its checkpoint name.
    public func parameters() throws -> ParameterSet<Double> {
        var set = ParameterSet<Double>()
        _ = try HopeParameters<Void>(configuration) { name, _ in set[name] = try tensor("parameter.\(name)") }
        return set
    }

    /// The states before (`initial`) or after (`state`) the tokens, nil if the file has none.
    public func states(_ prefix: String) throws -> [TitansState<Double>]? {
        guard file.tensor(named: "\(prefix).0.conv") != nil else { return nil }
        return try (0..<configuration.layers).map { layer in
            var state = TitansState<Double>(configuration, batch: batch)
            state.history = try tensor("\(prefix).\(layer).conv")
            for kind in MemoryKind.allCases {
                let name = "\(prefix).\(layer).delta.\(kind.rawValue)"
                let (w1, w2) = (state.delta[kind].w1.shape, state.delta[kind].w2.shape)
                state.delta[kind].w1 = try tensor("\(name).w1").reshaped(w1)
                state.delta[kind].w2 = try tensor("\(name).w2").reshaped(w2)
            }
            return state
        }
    }

    /// Names of the model cases, without the optimizer's file.
    public static let modelCases: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: Fixtures.directory("Hope").path)) ?? []
        return files.filter { $0.hasSuffix(".safetensors") && !$0.hasPrefix("adamw") && !$0.hasPrefix("clip") }
            .map { String($0.dropLast(".safetensors".count)) }.sorted()
    }()
}

/// Where the committed fixtures are.
public enum Fixtures {
    /// `Tests/Fixtures/<name>`.
    public static func directory(_ name: String) -> URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures").appending(path: name)
    }
}

/// A golden file that lacks something.
public enum GoldenError: Error { case missing(String) }

/// The reference's `Config`, under its own names.
private struct ReferenceConfiguration: Decodable {
    let vocabulary: Int
    let width: Int
    let layers: Int
    let heads: Int
    let memory_multiple: Int
    let chunk: Int
    let projection_chunk: Int
    let conv_window: Int
    let step_size_max: Double
    let radius: Double
    let cms_hidden_multiples: [Double]
    let cms_gated: Bool
    let delta: Bool
    let retain: Bool
    let adaptive: [String]

    var configuration: HopeConfiguration {
        let levels = cms_hidden_multiples.enumerated().map {
            var level = HopeConfiguration.Level(name: "level\($0.offset)", chunkSize: 64)
            level.intermediateWidth = Int(($0.element * Double(width)).rounded())
            level.isGated = cms_gated
            return level
        }
        var c = HopeConfiguration(
            vocabularySize: vocabulary, width: width, layers: layers, heads: heads, levels: levels)
        c.memoryHiddenMultiple = memory_multiple
        c.chunkSize = chunk
        c.projectionChunkSize = projection_chunk
        c.convolutionWindow = conv_window
        c.stepSizeMaximum = step_size_max
        c.memoryRadius = radius
        c.ablations = (delta ? [] : ["delta"]) + (retain ? [] : ["retain"])
        c.ablations += MemoryKind.projections.map(\.rawValue).filter { !adaptive.contains($0) }
        return c
    }
}
