/// The sizes of softmax attention in a Hope-Attention model (spec §1; NL §7.3), taken from its configuration.
struct AttentionGeometry: Sendable, Hashable {
    /// D.
    let width: Int
    /// H.
    let heads: Int
    /// Heads of keys and values; each serves `heads / keyValueHeads` heads of queries.
    let keyValueHeads: Int
    /// d.
    let head: Int
    /// Positions a query sees, its own included: the bound of the cache.
    let window: Int
    /// Positions of a page of the cache: C_p.
    let page: Int
    let hasInputBias: Bool
    let hasOutputBias: Bool
    let normsHeads: Bool
    let epsilon: Double
    let rotaryBase: Double
    let scaling: RotaryScaling?

    init(_ c: HopeConfiguration) {
        width = c.width
        heads = c.heads
        keyValueHeads = c.keyValueHeads ?? c.heads
        head = c.attentionHeadWidth
        window = min(c.slidingWindow ?? .max, c.contextLength ?? HopeConfiguration.defaultContextLength)
        page = c.projectionChunkSize
        hasInputBias = c.attentionBias != nil
        hasOutputBias = c.attentionBias == .all
        normsHeads = c.normsQueriesAndKeys ?? false
        epsilon = c.normEpsilon
        rotaryBase = c.rotaryBase ?? 10_000
        scaling = c.rotaryScaling
    }

    /// Heads of queries that read one head of keys.
    var group: Int { heads / keyValueHeads }
    /// Numbers in a row of queries, keys and values together.
    var projected: Int { (heads + 2 * keyValueHeads) * head }
}

extension HopeConfiguration {
    /// Which projections of attention have a bias.
    public enum AttentionBias: String, Sendable, Hashable, Codable {
        /// Queries, keys and values (Qwen2).
        case input
        /// And the output.
        case all
    }

    /// What the positions in view are limited to where nothing is said.
    public static let defaultContextLength = 8192

    /// Whether the mixer is softmax attention: Hope-Attention.
    public var usesAttention: Bool { mixer == "attention" }

    /// Whether each block has one gated MLP, as a Transformer's, that a level may own; otherwise it has a chain of links,
    /// one for each level.
    public var hasTransformerMLPs: Bool { usesAttention && intermediateWidth != nil }

    /// d of attention, which some models choose freely.
    public var attentionHeadWidth: Int { headDimension ?? width / heads }

    /// One link of a block: a CMS link of its own, or the MLP of a pretrained Transformer.
    struct LinkPlan: Sendable, Hashable {
        /// What its tensors' names begin with.
        let name: String
        /// The level that adapts it; nil for the base.
        let level: Int?
        /// Width of its hidden layer.
        let hidden: Int
        /// Whether it is W↓ (silu(W_gate x) ⊙ W↑ x).
        let isGated: Bool
        /// The associative memory beside it.
        let slots: Level.Slots?

        /// Names of its matrices.
        var matrices: [String] { (isGated ? ["gate", "up", "down"] : ["up", "down"]).map { "\(name).\($0)" } }
    }

    /// How many links a block has.
    var linksPerBlock: Int { hasTransformerMLPs ? 1 : levels.count }

    /// The links of a block, in their order.
    func links(ofBlock block: Int) -> [LinkPlan] {
        guard hasTransformerMLPs else {
            return levels.enumerated().map { index, level in
                LinkPlan(
                    name: "blocks.\(block).levels.\(index)", level: index, hidden: level.linkWidth(ofModel: width),
                    isGated: level.isGated, slots: level.slots(inBlock: block, of: layers))
            }
        }
        let owner = layerLevels.flatMap { $0.indices.contains(block) ? $0[block] : nil }
        let level = levels.firstIndex { $0.name == owner }
        return [
            LinkPlan(
                name: "blocks.\(block).mlp", level: level, hidden: intermediateWidth ?? 4 * width, isGated: true,
                // Whoever adapts the last block's MLP, if anyone does: slots stand beside it.
                slots: levels.lazy.compactMap { $0.slots(inBlock: block, of: layers) }.first)
        ]
    }

    /// Which of the last block's links a level's slots stand beside.
    func slotLink(ofLevel level: Int) -> Int { hasTransformerMLPs ? 0 : level }

    /// The same geometry with slots at a level. The slowest level takes over in consolidations what they hold, unless it
    /// was told what to adapt.
    public func addingSlots(_ slots: Level.Slots, toLevel index: Int) -> HopeConfiguration {
        var slotted = self
        slotted.levels[index].slots = slots
        let slowest = levels.count - 1
        if index < slowest && levels[slowest].adapts == nil { slotted.levels[slowest].adapts = ["*.slots.*"] }
        return slotted
    }

    /// The same geometry, as slots are laid out over it.
    public var withoutSlots: HopeConfiguration {
        var plain = self
        for index in levels.indices { plain.levels[index].slots = nil }
        return plain
    }

    /// Names of the values of the slots that belong to a level.
    func slotValues(of level: Int) -> Set<String> {
        guard levels[level].slots != nil else { return [] }
        let own = links(ofBlock: layers - 1).filter { $0.slots != nil }
        return Set(own.flatMap { link in HopeParameters<Void>.slotContents.map { "\(link.name).slots.\($0)" } })
    }

    /// Names of the matrices of the CMS links that belong to a level; nil for those of all levels and the base.
    func linkMatrices(of level: Int?) -> Set<String> {
        Set(
            (0..<layers).flatMap { links(ofBlock: $0) }.filter { level == nil || $0.level == level }.flatMap(\.matrices)
        )
    }

    /// The level of each layer's MLP unless a map is given: the first half base, then the slower levels, the fastest at
    /// the end (NL §7.3): what lies nearest the output adapts fastest.
    ///
    /// - Parameter levels: names, fastest first.
    public static func defaultLayerLevels(layers: Int, levels: [String]) -> [String] {
        let frozen = layers >= 2 * levels.count ? layers / 2 : max(layers - levels.count, 0)
        let adaptive = layers - frozen
        return [String](repeating: "base", count: frozen)
            + (0..<adaptive).map { levels.reversed()[$0 * levels.count / max(adaptive, 1)] }
    }

    /// Checks what only Hope-Attention asks for.
    func validateAttention() throws(ConfigurationError) {
        func check(_ holds: Bool, _ key: CodingKeys, _ message: String) throws(ConfigurationError) {
            if !holds { throw ConfigurationError(key: key.rawValue, message: message) }
        }
        let shared = keyValueHeads ?? heads
        try check(heads >= 1 && heads <= 1024, .heads, "is \(heads); 1 to 1024 is accepted")
        try check(
            shared >= 1 && heads % shared == 0, .keyValueHeads,
            "is \(shared); it must divide num_attention_heads, \(heads)")
        try check(
            headDimension != nil || width % heads == 0, .heads, "is \(heads); it must divide hidden_size, \(width)")
        let head = attentionHeadWidth
        try check(
            (2...1024).contains(head) && head % 2 == 0, .headDimension, "is \(head); an even number to 1024 is accepted"
        )
        if let slidingWindow {
            try check(slidingWindow >= 2, .slidingWindow, "is \(slidingWindow); 2 or more is accepted")
        }
        let context = contextLength ?? Self.defaultContextLength
        try check((2...1 << 22).contains(context), .contextLength, "is \(context); 2 to 4194304 is accepted")
        let base = rotaryBase ?? 10_000
        try check(base > 1 && base.isFinite, .rotaryBase, "is \(base); above 1 is accepted")
        try rotaryScaling?.validate()
        guard let hidden = intermediateWidth else {
            try check(!levels.isEmpty, .intermediateWidth, "is missing, and there are no cms_levels with links")
            try check(layerLevels == nil, .layerLevels, "maps MLPs, of which there are none without intermediate_size")
            return
        }
        try check((1...1 << 18).contains(hidden), .intermediateWidth, "is \(hidden); 1 to 262144 is accepted")
        let map = layerLevels ?? []
        try check(map.count == layers, .layerLevels, "has \(map.count) entries for \(layers) layers")
        let known = ["base"] + levels.map(\.name)
        for name in map { try check(known.contains(name), .layerLevels, "names \"\(name)\"; known are \(known)") }
        // A level that has slots, or was told what to adapt, needs no layer of its own.
        for level in levels where level.slots == nil && level.adapts == nil {
            try check(map.contains(level.name), .layerLevels, "gives level \"\(level.name)\" no layer")
        }
    }
}
