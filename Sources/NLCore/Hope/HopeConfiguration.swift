import Foundation

/// The geometry of a Hope model, as `config.json` states it (keys follow Hugging Face where one exists).
public struct HopeConfiguration: Sendable, Hashable, Codable {
    /// One level of the Continuum Memory System, in the order of the links: the fastest first.
    public struct Level: Sendable, Hashable, Codable {
        /// What the level is called in the API.
        public var name: String
        /// Hidden width of the level's link, in units of the model width; 0 where the links are a Transformer's MLPs, or
        /// ``intermediateWidth`` says it.
        public var hiddenMultiple: Int
        /// Hidden width of the level's link where it is no multiple of the model's.
        public var intermediateWidth: Int?
        /// Whether the level's link has a gate: W↓ (silu(W_gate u) ⊙ W↑ u).
        public var isGated = false
        /// C⁽ˡ⁾: tokens between two updates of the level.
        public var chunkSize: Int
        /// Which optimizer updates the level; nil takes the default.
        public var optimizer: String?
        /// The optimizer's learning rate; nil takes the level's default.
        public var learningRate: Double?
        /// β of the optimizer's momentum, of `muon` and `adamw`; nil takes the rule's default.
        public var momentum: Double?
        /// Which tensors the level adapts: `cms`, `slots`, `initial_states`, or patterns of tensor names; nil takes the default.
        public var adapts: [String]?
        /// r of a Δθ of low rank, of matrices that have more; nil learns whole matrices.
        public var rank: Int?
        /// An associative memory beside the level's link; nil has none.
        public var slots: Slots?

        /// The geometry of a level's slots (``HopeParameters/Slots``).
        public struct Slots: Sendable, Hashable, Codable {
            /// N: slots there are.
            public var capacity: Int
            /// C: length of a context.
            public var contextSize: Int
            /// M: places that the rarities of words are kept in (``WordFeatures``); nil knows contexts by tokens alone.
            public var words: Int?

            /// A geometry.
            public init(capacity: Int, contextSize: Int, words: Int? = nil) {
                self.capacity = capacity
                self.contextSize = contextSize
                self.words = words
            }

            enum CodingKeys: String, CodingKey {
                case capacity, words
                case contextSize = "context_size"
            }
        }

        /// Width of the hidden layer of the level's link in a model of a width.
        func linkWidth(ofModel width: Int) -> Int { intermediateWidth ?? hiddenMultiple * width }

        /// Weights of the matrices of the level's link, in one block of a model of a width.
        public func linkWeights(ofModel width: Int) -> Int { (isGated ? 3 : 2) * linkWidth(ofModel: width) * width }

        /// The level's slots in one of `layers` blocks: the last alone has them.
        func slots(inBlock block: Int, of layers: Int) -> Slots? { block == layers - 1 ? slots : nil }

        /// A level of the given name, width and chunk size.
        public init(
            name: String, hiddenMultiple: Int = 0, chunkSize: Int, optimizer: String? = nil,
            learningRate: Double? = nil, adapts: [String]? = nil
        ) {
            self.name = name
            self.hiddenMultiple = hiddenMultiple
            self.chunkSize = chunkSize
            self.optimizer = optimizer
            self.learningRate = learningRate
            self.adapts = adapts
        }

        enum CodingKeys: String, CodingKey {
            case name, optimizer, momentum, adapts, rank, slots
            case isGated = "gated"
            case intermediateWidth = "intermediate_size"
            case hiddenMultiple = "hidden_multiple"
            case chunkSize = "chunk_size"
            case learningRate = "learning_rate"
        }
    }

    /// Always `hope`.
    public var modelType = "hope"
    /// V.
    public var vocabularySize: Int
    /// D.
    public var width: Int
    /// L.
    public var layers: Int
    /// H.
    public var heads: Int
    /// ε of the norms; only 1e-6 is supported with self-modifying Titans.
    public var normEpsilon = 1e-6
    /// `self_modifying_titans`, or `attention` for Hope-Attention.
    public var mixer = "self_modifying_titans"
    /// m in units of d.
    public var memoryHiddenMultiple = 1
    /// C: tokens between two writes of the main memory.
    public var chunkSize = 16
    /// C_p: tokens between two writes of the key, value, step-size and retention memories; a multiple of C.
    public var projectionChunkSize = 64
    /// Taps of the causal convolution.
    public var convolutionWindow = 4
    /// η_max.
    public var stepSizeMaximum = 0.1
    /// ρ: no Δ is longer at a chunk's end.
    public var memoryRadius = 2.0
    /// Only `sequential` is supported.
    public var cmsWiring = "sequential"
    /// The CMS levels, fastest first.
    public var levels: [Level]
    /// The output head is the embedding; Hope-Attention models may have their own.
    public var tiesEmbeddings = true
    /// What is switched off (NL Table 6): `delta`, `retain`, and the memories that don't adapt: `key`, `value`,
    /// `step_size`, `retention`.
    public var ablations: [String] = []
    /// The token that begins a text.
    public var bosTokenID = 0
    /// The token that ends one.
    public var eosTokenID = 1
    /// Others that end one, as a chat model's end of a turn.
    public var furtherEndTokenIDs: [Int] = []
    /// How the weights are stored.
    public var storageType = "bfloat16"

    // Of Hope-Attention alone.

    /// Heads of keys and values; nil for as many as there are of queries.
    public var keyValueHeads: Int?
    /// d; nil is D/H.
    public var headDimension: Int?
    /// Hidden width of the MLPs; nil where blocks have links of the levels instead.
    public var intermediateWidth: Int?
    /// Positions a query sees where the model was trained so; nil is all.
    public var slidingWindow: Int?
    /// Positions the cache holds at most: older ones are dropped.
    public var contextLength: Int?
    /// Base of the rotary frequencies; nil is 10,000.
    public var rotaryBase: Double?
    /// How positions are stretched.
    public var rotaryScaling: RotaryScaling?
    /// Which projections have a bias; nil for none.
    public var attentionBias: AttentionBias?
    /// Whether queries and keys are normed by head (Qwen3).
    public var normsQueriesAndKeys: Bool?
    /// The level that each layer's MLP belongs to, or `base`.
    public var layerLevels: [String]?

    /// How its tokens tell a conversation, if anyone has said: no part of `config.json`.
    public var conversation: ConversationLexicon?

    /// Whether a token ends a text.
    public func endsText(_ id: Int) -> Bool { id == eosTokenID || furtherEndTokenIDs.contains(id) }

    /// d = D/H.
    public var headWidth: Int { width / heads }
    /// m.
    public var memoryHiddenWidth: Int { headWidth * memoryHiddenMultiple }
    /// Whether the −η W κ κᵀ term of DGD is in force.
    public var usesDelta: Bool { !ablations.contains("delta") }
    /// Whether retention is in force; otherwise α = 1.
    public var retains: Bool { !ablations.contains("retain") }
    /// The memories besides `main` that adapt in context.
    public var adaptiveMemories: [MemoryKind] {
        MemoryKind.projections.filter { !ablations.contains($0.rawValue) }
    }

    /// A geometry with the defaults of the shipped model where nothing is said.
    public init(vocabularySize: Int, width: Int, layers: Int, heads: Int, levels: [Level]) {
        self.vocabularySize = vocabularySize
        self.width = width
        self.layers = layers
        self.heads = heads
        self.levels = levels
    }

    enum CodingKeys: String, CodingKey {
        case mixer, ablations
        case modelType = "model_type"
        case vocabularySize = "vocab_size"
        case width = "hidden_size"
        case layers = "num_hidden_layers"
        case heads = "num_attention_heads"
        case normEpsilon = "rms_norm_eps"
        case memoryHiddenMultiple = "memory_hidden_multiple"
        case chunkSize = "chunk_size"
        case projectionChunkSize = "projection_chunk_size"
        case convolutionWindow = "conv_window"
        case stepSizeMaximum = "step_size_max"
        case memoryRadius = "memory_radius"
        case cmsWiring = "cms_wiring"
        case levels = "cms_levels"
        case tiesEmbeddings = "tie_word_embeddings"
        case bosTokenID = "bos_token_id"
        case eosTokenID = "eos_token_id"
        case storageType = "torch_dtype"
        case keyValueHeads = "num_key_value_heads"
        case headDimension = "head_dim"
        case intermediateWidth = "intermediate_size"
        case slidingWindow = "sliding_window"
        case contextLength = "context_length"
        case rotaryBase = "rope_theta"
        case rotaryScaling = "rope_scaling"
        case attentionBias = "attention_bias"
        case normsQueriesAndKeys = "qk_norm"
        case layerLevels = "cms_layers"
    }

    /// Checks that the numbers fit together and name nothing that is not there.
    ///
    /// - Throws: ``ConfigurationError`` with the key, what it says and what is accepted.
    public func validate() throws(ConfigurationError) {
        func check(_ holds: Bool, _ key: CodingKeys, _ message: String) throws(ConfigurationError) {
            if !holds { throw ConfigurationError(key: key.rawValue, message: message) }
        }
        try check(modelType == "hope", .modelType, "is \"\(modelType)\"; only \"hope\" is supported")
        try check(
            mixer == "self_modifying_titans" || usesAttention, .mixer,
            "is \"\(mixer)\"; \"self_modifying_titans\" and \"attention\" are supported")
        try check(cmsWiring == "sequential", .cmsWiring, "is \"\(cmsWiring)\"; only \"sequential\" is supported")
        try check(
            tiesEmbeddings || usesAttention, .tiesEmbeddings,
            "is false; the output head of a Hope model is its embedding")
        try check(
            normEpsilon == 1e-6 || usesAttention && normEpsilon > 0 && normEpsilon < 0.01, .normEpsilon,
            "is \(normEpsilon); " + (usesAttention ? "above 0 and below 0.01 is accepted" : "only 1e-6 is supported"))
        try check(
            (2...1 << 20).contains(vocabularySize), .vocabularySize, "is \(vocabularySize); 2 to 1048576 is accepted")
        try check((1...1 << 14).contains(width), .width, "is \(width); 1 to 16384 is accepted")
        try check((1...256).contains(layers), .layers, "is \(layers); 1 to 256 is accepted")
        if usesAttention {
            try validateAttention()
        } else {
            try check(heads >= 1 && width % heads == 0, .heads, "is \(heads); it must divide hidden_size, \(width)")
        }
        try check(
            (1...8).contains(memoryHiddenMultiple), .memoryHiddenMultiple,
            "is \(memoryHiddenMultiple); 1 to 8 is accepted")
        try check((1...1024).contains(chunkSize), .chunkSize, "is \(chunkSize); 1 to 1024 is accepted")
        try check(
            (chunkSize...4096).contains(projectionChunkSize) && projectionChunkSize % chunkSize == 0,
            .projectionChunkSize,
            "is \(projectionChunkSize); a multiple of chunk_size, \(chunkSize), up to 4096 is accepted")
        try check(
            (1...16).contains(convolutionWindow), .convolutionWindow, "is \(convolutionWindow); 1 to 16 is accepted")
        try check(
            stepSizeMaximum > 0 && stepSizeMaximum <= 1, .stepSizeMaximum,
            "is \(stepSizeMaximum); above 0 and up to 1 is accepted")
        try check(
            memoryRadius > 0 && memoryRadius.isFinite, .memoryRadius,
            "is \(memoryRadius); a positive number is accepted")
        for level in levels {
            try level.validateLink(ofModel: self)
            try check(
                level.chunkSize >= 1, .levels,
                "level \"\(level.name)\": chunk_size is \(level.chunkSize); at least 1 is accepted")
            try check(
                level.rank.map { (1...4096).contains($0) } ?? true, .levels,
                "level \"\(level.name)\": rank is \(level.rank ?? 0); 1 to 4096 is accepted")
            guard let slots = level.slots else { continue }
            try check(
                (1...1 << 20).contains(slots.capacity), .levels,
                "level \"\(level.name)\": slots.capacity is \(slots.capacity); 1 to 1048576 is accepted")
            try check(
                (8...4096).contains(slots.contextSize), .levels,
                "level \"\(level.name)\": slots.context_size is \(slots.contextSize); 8 to 4096 is accepted")
            try check(
                slots.words.map { (1...1 << 24).contains($0) } ?? true, .levels,
                "level \"\(level.name)\": slots.words is \(slots.words ?? 0); 1 to 16777216 is accepted")
        }
        try check(
            levels.count { $0.slots != nil } <= 1, .levels,
            "gives slots to more than one level: \(levels.filter { $0.slots != nil }.map(\.name))")
        try check(Set(levels.map(\.name)).count == levels.count, .levels, "names a level twice: \(levels.map(\.name))")
        let known = ["delta", "retain"] + MemoryKind.projections.map(\.rawValue)
        for ablation in ablations {
            try check(known.contains(ablation), .ablations, "names \"\(ablation)\"; known are \(known)")
        }
        let ends = ([eosTokenID] + furtherEndTokenIDs).map { ($0, CodingKeys.eosTokenID) }
        for (id, key) in [(bosTokenID, CodingKeys.bosTokenID)] + ends {
            try check((0..<vocabularySize).contains(id), key, "is \(id), outside the vocabulary of \(vocabularySize)")
        }
    }
}

/// The five memories of self-modifying Titans (NL §8.1); raw values are the names in a checkpoint.
public enum MemoryKind: String, Sendable, CaseIterable, Hashable {
    case key, value
    case stepSize = "step_size"
    case retention, main

    /// The four that are written once every projection chunk.
    public static let projections: [MemoryKind] = [.key, .value, .stepSize, .retention]
}

/// A configuration that can't be used.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    /// The key at fault, as written in the file.
    public let key: String
    /// What it says and what is accepted.
    public let message: String

    /// An error about one key.
    public init(key: String, message: String) {
        self.key = key
        self.message = message
    }

    /// `config.json: "key" is …`.
    public var description: String { "config.json: \"\(key)\" \(message)" }
}
