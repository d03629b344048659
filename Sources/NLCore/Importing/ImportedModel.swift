public import Foundation

/// A model in a Hugging Face directory: its weights mapped, in one file or in shards, under our names.
///
/// A tensor costs memory only while it is read.
public struct ImportedModel: Sendable {
    /// Our configuration of it.
    public let configuration: HopeConfiguration
    /// Every tensor of ours, in the order of the checkpoint, and where it lies.
    let tensors: [Source]

    struct Source: Sendable {
        let name: String
        let shape: Shape
        let file: SafetensorsFile
        let tensor: String
        let dataType: TensorDataType
    }

    /// Opens and checks a directory: every tensor the configuration asks for, and no other.
    ///
    /// - Throws: ``ImportError``, naming the file, key or tensor at fault.
    public init(directory: URL, _ options: ImportOptions = ImportOptions()) throws(ImportError) {
        let json = try Self.read(directory, "config.json")
        configuration = try ImportedConfiguration(json: json).configuration(options)
        var stored: [String: (file: SafetensorsFile, tensor: TensorDescription)] = [:]
        for file in try Self.weightFiles(directory) {
            for tensor in file.tensors {
                guard stored.updateValue((file, tensor), forKey: tensor.name) == nil else {
                    throw .tensors("the weights hold \"\(tensor.name)\" twice")
                }
            }
        }
        var wanted: [(name: String, shape: Shape)] = []
        _ = HopeParameters<Void>(configuration) { name, shape in
            if HopeParameters<Void>.isPretrained(name) { wanted.append((name, shape)) }
        }
        var found: [Source] = []
        for (name, shape) in wanted {
            let foreign = Self.foreignName(name)
            guard let (file, tensor) = stored.removeValue(forKey: foreign) else {
                throw .tensors("the weights lack \"\(foreign)\", which config.json asks for")
            }
            guard tensor.shape == shape.axes else {
                throw .tensors("\"\(foreign)\" has shape \(tensor.shape); config.json asks for \(shape.axes)")
            }
            let readable: [TensorDataType] = [.float32, .float16, .bfloat16]
            guard readable.contains(tensor.dataType) else {
                throw .tensors(
                    "\"\(foreign)\" is stored as \(tensor.dataType.rawValue); F32, F16 and BF16 are accepted")
            }
            found.append(
                Source(name: name, shape: shape, file: file, tensor: foreign, dataType: tensor.dataType))
        }
        // A tied head may be stored once more, and old files keep the frequencies, which follow from config.json.
        let idle = stored.keys.filter { !$0.hasSuffix("rotary_emb.inv_freq") && $0 != "lm_head.weight" }.sorted()
        if let name = idle.first {
            throw .tensors("the weights hold \"\(name)\", which no model of config.json's kind has")
        }
        tensors = found
    }

    /// Scalars of the largest tensor.
    public var largestTensorCount: Int { tensors.map(\.shape.count).max() ?? 0 }

    /// All parameters but slots; each is read from its file when someone needs its elements.
    public func parameters() throws(SafetensorsError) -> ParameterSet<Float> {
        var set = ParameterSet<Float>()
        for source in tensors { set[source.name] = try source.file.deferred(source.tensor, shape: source.shape) }
        return set
    }

    /// Writes our `model.safetensors`, one tensor in memory at a time, each in the precision it came in.
    ///
    /// - Parameter slots: what finds slots (``SlotLayout/tensors(for:seed:)``): W and b in single precision, the
    ///   rest, of which nothing is lost that matters, in bfloat16.
    public func writeWeights(
        to url: URL, metadata: [String: String], slots: ParameterSet<Float> = ParameterSet()
    ) throws(SafetensorsError) {
        var writer = SafetensorsWriter(metadata: metadata)
        for source in tensors {
            try writer.add(
                source.name, shape: source.shape.axes, as: source.dataType, from: source.file, tensor: source.tensor)
        }
        for (name, tensor) in slots.entries {
            let isExact = name.hasSuffix(".whitening") || name.hasSuffix(".bias")
            let type: TensorDataType = isExact ? .float32 : .bfloat16
            try writer.add(name, shape: tensor.shape.axes, as: type, floats: tensor.elements)
        }
        try writer.write(to: url)
    }

    // MARK: - Files

    private static func read(_ directory: URL, _ name: String) throws(ImportError) -> [UInt8] {
        do throws(SystemError) {
            return try FileMapping(path: directory.appending(path: name).path).withBytes(Array.init)
        } catch {
            throw .file(name, reason: "\(error.operation) failed: \(systemErrorMessage(error.code))")
        }
    }

    private static func weightFiles(_ directory: URL) throws(ImportError) -> [SafetensorsFile] {
        let whole = "model.safetensors"
        let index = "model.safetensors.index.json"
        var names = [whole]
        if !FileManager.default.fileExists(atPath: directory.appending(path: whole).path) {
            guard FileManager.default.fileExists(atPath: directory.appending(path: index).path) else {
                throw .file(
                    whole, reason: "neither it nor \(index) is there; weights in safetensors format are accepted")
            }
            guard let map = try? JSONValue(parsing: try read(directory, index)).object?["weight_map"]?.object else {
                throw .file(index, reason: "it has no \"weight_map\"")
            }
            names = Set(map.members.compactMap(\.value.string)).sorted()
            for name in names where name.contains("/") || name.hasPrefix(".") {
                throw .file(index, reason: "it names \"\(name)\"; files beside it are accepted")
            }
        }
        var files: [SafetensorsFile] = []
        for name in names {
            do throws(SafetensorsError) {
                files.append(try SafetensorsFile(contentsOf: directory.appending(path: name)))
            } catch {
                throw .file(name, reason: "\(error)")
            }
        }
        return files
    }

    /// What Hugging Face calls a tensor of ours.
    private static func foreignName(_ name: String) -> String {
        switch name {
        case "embedding": return "model.embed_tokens.weight"
        case "head": return "lm_head.weight"
        case "gain": return "model.norm.weight"
        default: break
        }
        let parts = name.split(separator: ".", maxSplits: 2).map(String.init)
        let part =
            switch parts[2] {
            case "gain": "input_layernorm.weight"
            case "mlp.gain": "post_attention_layernorm.weight"
            case "mlp.gate": "mlp.gate_proj.weight"
            case "mlp.up": "mlp.up_proj.weight"
            case "mlp.down": "mlp.down_proj.weight"
            case "mixer.query_projection": "self_attn.q_proj.weight"
            case "mixer.key_projection": "self_attn.k_proj.weight"
            case "mixer.value_projection": "self_attn.v_proj.weight"
            case "mixer.output_projection": "self_attn.o_proj.weight"
            case "mixer.query_bias": "self_attn.q_proj.bias"
            case "mixer.key_bias": "self_attn.k_proj.bias"
            case "mixer.value_bias": "self_attn.v_proj.bias"
            case "mixer.output_bias": "self_attn.o_proj.bias"
            case "mixer.query_gain": "self_attn.q_norm.weight"
            case "mixer.key_gain": "self_attn.k_norm.weight"
            default: preconditionFailure("no Transformer has \(name)")
            }
        return "model.layers.\(parts[1]).\(part)"
    }
}
