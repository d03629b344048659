/// Reads the `config.json` of a Llama-family model as Hugging Face writes it, in its older and its newer spelling, and
/// says what our model of it is.
struct ImportedConfiguration {
    private static let families = ["llama", "mistral", "qwen2", "qwen3"]

    private let root: JSONObject
    private let family: String

    init(json bytes: [UInt8]) throws(ImportError) {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw .file("config.json", reason: "\(error)")
        }
        guard let root = document.object else { throw .file("config.json", reason: "it is not an object") }
        guard let family = root["model_type"]?.string else { throw .malformed(key: "model_type", reason: "is missing") }
        guard Self.families.contains(family) else {
            throw .unsupported(
                key: "model_type", value: "\"\(family)\"", accepted: Self.families.joined(separator: ", "))
        }
        self.root = root
        self.family = family
    }

    /// Our configuration of the same model.
    func configuration(_ options: ImportOptions) throws(ImportError) -> HopeConfiguration {
        try refuseForeignKeys()
        let width = try required("hidden_size")
        let layers = try required("num_hidden_layers")
        var levels = ImportOptions.levels(width: width)
        for index in levels.indices { levels[index].rank = options.rank }
        var c = HopeConfiguration(
            vocabularySize: try required("vocab_size"), width: width, layers: layers,
            heads: try required("num_attention_heads"), levels: levels)
        c.mixer = "attention"
        c.normEpsilon = try number("rms_norm_eps") ?? 1e-6
        c.keyValueHeads = try integer("num_key_value_heads") ?? c.heads
        c.headDimension = try integer("head_dim")
        c.intermediateWidth = try required("intermediate_size")
        c.tiesEmbeddings = try flag("tie_word_embeddings") ?? false
        c.attentionBias = try attentionBias()
        c.normsQueriesAndKeys = family == "qwen3"
        c.storageType = try storageType()
        let context = try integer("max_position_embeddings") ?? 2048
        c.slidingWindow = try slidingWindow(layers: layers)
        try readRotary(into: &c, context: context)
        let reach = c.rotaryScaling?.kind == .dynamic ? Int(Double(context) * (c.rotaryScaling?.factor ?? 1)) : context
        c.contextLength = options.contextLength ?? min(reach, HopeConfiguration.defaultContextLength)
        c.layerLevels =
            options.layerLevels
            ?? HopeConfiguration.defaultLayerLevels(layers: layers, levels: levels.map(\.name))
        if let slots = options.slots { try addSlots(slots, to: &c, options) }
        try readEndTokens(into: &c)
        do {
            try c.validate()
        } catch {
            throw .malformed(key: error.key, reason: error.message)
        }
        return c
    }

    /// Documents are then learned into slots, and taken over from there: all layers stay base but those of sessions.
    private func addSlots(
        _ slots: HopeConfiguration.Level.Slots, to c: inout HopeConfiguration, _ options: ImportOptions
    ) throws(ImportError) {
        c = c.addingSlots(slots, toLevel: ImportOptions.acquisitionLevel)
        let reading = c.levels[0].name
        let others = Set(c.layerLevels ?? []).subtracting([reading, "base"]).sorted()
        if options.layerLevels == nil {
            c.layerLevels = c.layerLevels?.map { $0 == reading ? reading : "base" }
        } else if !others.isEmpty {
            throw .malformed(
                key: "cms_layers",
                reason: "gives \(others.joined(separator: ", ")) layers, which learn nothing beside slots; "
                    + "base and \(reading) are accepted, or no slots")
        }
    }

    // MARK: - Keys that ask for something else

    private func refuseForeignKeys() throws(ImportError) {
        if let quantization = root["quantization_config"], quantization != .null {
            throw .unsupported(
                key: "quantization_config", value: quantization.kind, accepted: "weights in F32, F16 or BF16")
        }
        let activation = root["hidden_act"]?.string ?? "silu"
        guard activation == "silu" else {
            throw .unsupported(key: "hidden_act", value: "\"\(activation)\"", accepted: "\"silu\"")
        }
        if try flag("mlp_bias") == true { throw .unsupported(key: "mlp_bias", value: "true", accepted: "false") }
        if let share = try number("partial_rotary_factor"), share != 1 {
            throw .unsupported(key: "partial_rotary_factor", value: "\(share)", accepted: "1")
        }
    }

    private func attentionBias() throws(ImportError) -> HopeConfiguration.AttentionBias? {
        if family == "qwen2" { return .input }
        return try flag("attention_bias") == true ? .all : nil
    }

    private func storageType() throws(ImportError) -> String {
        let name = root["torch_dtype"]?.string ?? root["dtype"]?.string ?? "float32"
        guard ["float32", "float16", "bfloat16"].contains(name) else {
            throw .unsupported(
                key: root["torch_dtype"] == nil ? "dtype" : "torch_dtype", value: "\"\(name)\"",
                accepted: "float32, float16, bfloat16")
        }
        return name
    }

    /// Layers that differ in what they see are refused: the cache is one for all of them.
    private func slidingWindow(layers: Int) throws(ImportError) -> Int? {
        let window = try integer("sliding_window")
        if family == "mistral" { return window }
        if let types = root["layer_types"]?.array, types != .init() {
            let names = Set(types.compactMap(\.string))
            guard names.count == 1, let name = names.first, ["full_attention", "sliding_attention"].contains(name)
            else {
                throw .unsupported(
                    key: "layer_types", value: "\(names.sorted())",
                    accepted: "one of full_attention and sliding_attention for all layers")
            }
            if name == "full_attention" { return nil }
            guard let window else { throw .malformed(key: "sliding_window", reason: "is missing") }
            return window
        }
        guard family != "llama", try flag("use_sliding_window") == true, let window else { return nil }
        let first = try integer("max_window_layers") ?? 0
        if first >= layers { return nil }
        guard first == 0 else {
            throw .unsupported(
                key: "max_window_layers", value: "\(first)", accepted: "0, or at least num_hidden_layers, \(layers)")
        }
        return window
    }

    private func readEndTokens(into c: inout HopeConfiguration) throws(ImportError) {
        let ends: [Int]
        switch root["eos_token_id"] {
        case .integer(let id): ends = [id]
        case .array(let values): ends = values.compactMap(\.integer)
        default: ends = []
        }
        guard let first = ends.first else {
            throw .malformed(key: "eos_token_id", reason: "is missing; a text must have an end")
        }
        c.eosTokenID = first
        c.furtherEndTokenIDs = Array(ends.dropFirst())
        // A model without a sign for the beginning was trained on texts that follow an end.
        c.bosTokenID = try integer("bos_token_id") ?? first
    }

    // MARK: - Values

    private func required(_ key: String) throws(ImportError) -> Int {
        guard let value = try integer(key) else { throw .malformed(key: key, reason: "is missing") }
        return value
    }

    private func integer(_ key: String) throws(ImportError) -> Int? {
        guard let value = root[key], value != .null else { return nil }
        guard let integer = value.integer else {
            throw .malformed(key: key, reason: "is \(value.kind); an integer is accepted")
        }
        return integer
    }

    private func number(_ key: String) throws(ImportError) -> Double? { try root.number(key, key) }

    private func flag(_ key: String) throws(ImportError) -> Bool? {
        guard let value = root[key], value != .null else { return nil }
        guard let flag = value.bool else {
            throw .malformed(key: key, reason: "is \(value.kind); true or false is accepted")
        }
        return flag
    }

    // MARK: - Rotary positions

    private func readRotary(into c: inout HopeConfiguration, context: Int) throws(ImportError) {
        let key = root["rope_parameters"] == nil ? "rope_scaling" : "rope_parameters"
        let value = root[key] ?? .null
        guard value == .null || value.object != nil else {
            throw .malformed(key: key, reason: "is \(value.kind); an object is accepted")
        }
        let parameters = value.object
        let (own, beside) = (try parameters?.number("rope_theta", key), try number("rope_theta"))
        c.rotaryBase = (own ?? nil) ?? beside ?? 10_000
        guard let parameters else { return }
        if let nested = parameters.members.first(where: { $0.value.object != nil }) {
            throw .unsupported(
                key: "\(key).\(nested.key)", value: "an object", accepted: "the same positions in all layers")
        }
        if let share = try parameters.number("partial_rotary_factor", key), share != 1 {
            throw .unsupported(key: "\(key).partial_rotary_factor", value: "\(share)", accepted: "1")
        }
        let name = parameters["rope_type"]?.string ?? parameters["type"]?.string ?? "default"
        if name == "default" { return }
        guard let kind = RotaryScaling.Kind(rawValue: name) else {
            throw .unsupported(
                key: "\(key).rope_type", value: "\"\(name)\"",
                accepted: "default, " + RotaryScaling.Kind.allCases.map(\.rawValue).joined(separator: ", "))
        }
        var factor = try parameters.number("factor", key)
        let stated = try parameters.number("original_max_position_embeddings", key).map { Int($0) }
        if factor == nil, kind == .yarn, let stated { factor = Double(context) / Double(stated) }
        guard let factor else { throw .malformed(key: "\(key).factor", reason: "is missing") }
        // Dynamic scaling counts from the context that the model states; the others from the one they name, or that.
        var scaling = RotaryScaling(
            kind, factor: factor,
            originalContext: kind == .linear ? nil : kind == .dynamic ? context : stated ?? context)
        switch kind {
        case .linear, .dynamic: break
        case .llama3:
            scaling.lowFrequencyFactor = try parameters.number("low_freq_factor", key)
            scaling.highFrequencyFactor = try parameters.number("high_freq_factor", key)
        case .yarn: try readRamp(parameters, key, into: &scaling)
        }
        c.rotaryScaling = scaling
    }

    private func readRamp(
        _ parameters: JSONObject, _ key: String, into scaling: inout RotaryScaling
    ) throws(ImportError) {
        scaling.attentionFactor = try parameters.number("attention_factor", key)
        scaling.betaFast = try parameters.number("beta_fast", key)
        scaling.betaSlow = try parameters.number("beta_slow", key)
        scaling.truncates = parameters["truncate"]?.bool
        guard scaling.attentionFactor == nil, let own = try parameters.number("mscale", key), own != 0,
            let all = try parameters.number("mscale_all_dim", key), all != 0, scaling.factor > 1
        else { return }
        scaling.attentionFactor = RotaryFrequencies.attentionFactor(scaling.factor, over: own, all)
    }
}

extension JSONObject {
    fileprivate func number(_ key: String, _ path: String) throws(ImportError) -> Double? {
        switch self[key] {
        case nil, .null: nil
        case .integer(let value): Double(value)
        case .number(let value): value
        case .some(let other):
            throw .malformed(
                key: key == path ? key : "\(path).\(key)", reason: "is \(other.kind); a number is accepted")
        }
    }
}
