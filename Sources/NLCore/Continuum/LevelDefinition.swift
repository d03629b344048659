/// A level of the Continuum Memory System as the daemon runs it: which tensors it adapts, how often, and how
/// (NL §7.1; spec §3).
public struct LevelDefinition: Sendable, Hashable {
    /// When a level learns, and to whom its Δθ belongs.
    public enum Role: String, Sendable, Hashable {
        /// Owned by a session: learns from what the session reads.
        case reading
        /// Owned by a space: learns while documents are ingested.
        case acquisition
        /// Owned by a space: learns in consolidations.
        case consolidation
    }

    /// What the level is called in the API.
    public let name: String
    /// When it learns.
    public let role: Role
    /// C⁽ˡ⁾: tokens learned from between two updates.
    public let chunkSize: Int
    /// How Δθ follows the gradient.
    public let optimizer: LevelOptimizer
    /// What it adapts, as the configuration says it: `cms`, `slots`, `initial_states`, or patterns.
    public let adapts: [String]
    /// Names and shapes of the tensors it adapts, in checkpoint order.
    public let adapted: [AdaptedTensor]
    /// r of a level that learns a Δθ of low rank (``LowRank``); nil of one that learns whole matrices.
    public let rank: Int?
    /// Names and shapes of what it holds: the tensors it adapts, or factors of them.
    public let tensors: [AdaptedTensor]

    /// A tensor a level adapts.
    public struct AdaptedTensor: Sendable, Hashable {
        /// Its name in the checkpoint.
        public let name: String
        /// Its shape.
        public let shape: Shape
        /// Whether it is a memory's initial state W_□,0, which wants smaller steps than a CMS link.
        public let isInitialState: Bool
    }

    /// Number of scalars the level learns.
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.count } }

    /// The levels of a model, fastest first: the first learns while a session reads, the last in consolidations,
    /// those between while documents are ingested.
    ///
    /// - Throws: ``ConfigurationError`` if there are fewer than three levels, or a pattern names no tensor.
    public static func levels(of configuration: HopeConfiguration) throws(ConfigurationError) -> [LevelDefinition] {
        let levels = configuration.levels
        guard levels.count >= 3 else {
            throw ConfigurationError(
                key: "cms_levels",
                message:
                    "has \(levels.count) levels; a daemon needs at least three: one for sessions, one for ingestion, one for consolidation"
            )
        }
        var definitions: [LevelDefinition] = []
        for (index, level) in levels.enumerated() {
            let role: Role = index == 0 ? .reading : index == levels.count - 1 ? .consolidation : .acquisition
            definitions.append(try LevelDefinition(level, index: index, role: role, in: configuration))
        }
        // Consolidations hand Δθ from level to level tensor by tensor, which factors can't be.
        let kept = definitions.filter { $0.role != .reading }
        for level in kept where level.rank != nil {
            for other in kept where other.name != level.name {
                let shared = Set(level.factored.map(\.matrix)).intersection(other.adapted.map(\.name))
                guard let name = shared.min() else { continue }
                throw ConfigurationError(
                    key: "cms_levels",
                    message: "level \"\(level.name)\" has a rank and adapts \"\(name)\", which level \"\(other.name)\" "
                        + "adapts too; only one may")
            }
        }
        return definitions
    }

    private init(
        _ level: HopeConfiguration.Level, index: Int, role: Role, in configuration: HopeConfiguration
    ) throws(ConfigurationError) {
        name = level.name
        self.role = role
        chunkSize = level.chunkSize
        // Slots take what a space learns with far less harm to everything else than dense links do.
        let hasSlots = level.slots != nil && role != .reading
        let adaptsOnlyLinks = role == .reading || configuration.usesAttention
        adapts = level.adapts ?? (hasSlots ? ["slots"] : adaptsOnlyLinks ? ["cms"] : ["cms", "initial_states"])
        optimizer = try LevelOptimizer(
            name: level.optimizer,
            learningRate: level.learningRate
                ?? LevelOptimizer.Rule(rawValue: level.optimizer ?? "")?.matrixLearningRate
                ?? LevelDefinition.defaultLearningRate(role),
            momentum: level.momentum)
        var found: [AdaptedTensor] = []
        var unmatched = Set(adapts)
        let patterns = adapts
        let own = configuration.linkMatrices(of: index).union(configuration.slotValues(of: index))
        _ = HopeParameters<Void>(configuration) { name, shape in
            let matching = patterns.filter { LevelDefinition.pattern($0, own, matches: name) }
            guard !matching.isEmpty else { return }
            // What lays slots out stands still: an address that moved would lose what is written under it.
            if name.contains(".slots.") && !HopeParameters<Void>.isZeroInBase(name) { return }
            unmatched.subtract(matching)
            let isInitialState = name.contains(".mixer.w1.") || name.contains(".mixer.w2.")
            found.append(AdaptedTensor(name: name, shape: shape, isInitialState: isInitialState))
        }
        if let pattern = unmatched.sorted().first {
            throw ConfigurationError(
                key: "cms_levels",
                message: "level \"\(level.name)\" adapts \"\(pattern)\", which names no tensor of the model")
        }
        let links = configuration.linkMatrices(of: nil)
        if role == .reading, let foreign = found.first(where: { !links.contains($0.name) }) {
            throw ConfigurationError(
                key: "cms_levels",
                message:
                    "level \"\(level.name)\" is owned by sessions and adapts \"\(foreign.name)\"; only matrices of CMS links (\"cms\") are possible there"
            )
        }
        let matrices = configuration.linkMatrices(of: nil)
        if optimizer.rule == .dgd,
            let other = found.first(where: {
                !matrices.contains($0.name) && !HopeParameters<Void>.isZeroInBase($0.name)
            })
        {
            throw ConfigurationError(
                key: "cms_levels",
                message:
                    "level \"\(level.name)\" adapts \"\(other.name)\", which is no matrix of a link; \"dgd\" moves nothing else: let it adapt [\"cms\"], or choose another optimizer"
            )
        }
        adapted = found
        rank = level.rank
        tensors = LevelDefinition.held(found, level.rank)
        guard level.rank == nil || [.adamw, .sgd].contains(optimizer.rule) else {
            throw ConfigurationError(
                key: "cms_levels",
                message:
                    "level \"\(level.name)\" has a rank and the optimizer \"\(optimizer.rule.rawValue)\", which "
                    + "moves whole matrices; \"adamw\" and \"sgd\" are accepted")
        }
    }

    /// Matrices whose inputs the rule wants to see.
    public var observed: Set<String> { optimizer.rule == .dgd ? Set(trained.map(\.name)) : [] }

    /// The shape of Σ x̂x̂ᵀ over a matrix's inputs.
    public func inputShape(of name: String) -> Shape? {
        tensors.first { $0.name == name }.map { [$0.shape.last, $0.shape.last] }
    }

    /// The tensors that an optimizer steps; what slots hold is written (``SlotWriter``).
    var trained: [AdaptedTensor] { tensors.filter { !HopeParameters<Void>.isZeroInBase($0.name) } }

    /// Whether a tensor is what a level says, not how its slots are found.
    public static func isSpoken(_ name: String) -> Bool {
        !HopeParameters<Void>.isZeroInBase(name) || name.hasSuffix(".values")
    }

    private static func defaultLearningRate(_ role: Role) -> Double {
        switch role {
        case .reading: 1e-3
        case .acquisition: 4e-3
        case .consolidation: 2e-3
        }
    }

    private static func pattern(_ pattern: String, _ own: Set<String>, matches name: String) -> Bool {
        switch pattern {
        case "cms": own.contains(name) && !name.contains(".slots.")
        case "slots": own.contains(name) && name.contains(".slots.")
        case "initial_states": name.contains(".mixer.w1.") || name.contains(".mixer.w2.")
        default: glob(Array(pattern.utf8)[...], Array(name.utf8)[...])
        }
    }

    /// `*` stands for any run of characters.
    private static func glob(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        if first == UInt8(ascii: "*") {
            return (text.startIndex...text.endIndex).contains { glob(pattern.dropFirst(), text[$0...]) }
        }
        return text.first == first && glob(pattern.dropFirst(), text.dropFirst())
    }
}

/// How a level's Δθ follows its gathered gradient.
public struct LevelOptimizer: Sendable, Hashable {
    /// The rule.
    public enum Rule: String, Sendable, Hashable, CaseIterable {
        /// Loshchilov & Hutter 2019; two moments.
        case adamw
        /// Δθ ← Δθ − η G/n.
        case sgd
        /// ``DGD``; only matrices of links.
        case dgd
        /// ``Muon`` on matrices of links, AdamW on what else the level adapts.
        case muon
        /// ``M3`` on the same.
        case m3
        /// ``M3`` whose momenta forget.
        case m3Exponential = "m3_exponential"

        /// η of a rule that moves whole matrices, unless the configuration says another; nil for other rules.
        var matrixLearningRate: Double? {
            switch self {
            case .adamw, .sgd: nil
            case .dgd: 0.5
            case .muon: 0.02
            // The divisor is a root of plain sums, and so larger than that of means.
            case .m3: 1e-3
            case .m3Exponential: 2e-4
            }
        }
    }

    /// The rule.
    public var rule: Rule
    /// η.
    public var learningRate: Double
    /// A memory's initial state takes steps of this share of η: a bold step there can push the loop over the edge.
    public var initialStateShare = 0.2
    /// Decay of AdamW's first moment.
    public var beta1 = 0.9
    /// β of Muon's momentum.
    public var momentum = Muon<Float>.Settings().momentum
    /// Decay of the second moment.
    public var beta2 = 0.99
    /// Added to the root of the second moment, in the gradient's own unit (nats a token): parameters whose gradients
    /// are small beside it stay where they are, so that what is learned does not spill over everything.
    public var epsilon = 1e-8
    /// Decay of Δθ towards 0, that is, towards the base.
    public var weightDecay = 0.0
    /// Longest G/n that is followed; a longer one is shortened to it.
    public var clip = 1.0

    /// β of the momentum that a configuration may set; nil of rules that take none.
    public var configurableMomentum: Double? {
        switch rule {
        case .adamw: beta1
        case .muon: momentum
        default: nil
        }
    }

    /// A rule by its name in the configuration; nil is AdamW, and its momentum, nil for the rule's own.
    public init(name: String?, learningRate: Double, momentum: Double? = nil) throws(ConfigurationError) {
        guard let rule = Rule(rawValue: name ?? Rule.adamw.rawValue) else {
            throw ConfigurationError(
                key: "cms_levels",
                message: "names the optimizer \"\(name ?? "")\"; known are \(Rule.allCases.map(\.rawValue))")
        }
        guard learningRate >= 0 && learningRate.isFinite else {
            throw ConfigurationError(
                key: "cms_levels", message: "has the learning rate \(learningRate); 0 or more is accepted")
        }
        if let momentum {
            guard rule == .adamw || rule == .muon else {
                throw ConfigurationError(
                    key: "cms_levels", message: "gives \(rule.rawValue) a momentum; adamw and muon take one")
            }
            guard momentum >= 0 && momentum < 1 else {
                throw ConfigurationError(
                    key: "cms_levels", message: "has the momentum \(momentum); 0 or more and less than 1 is accepted")
            }
            if rule == .muon { self.momentum = momentum } else { beta1 = momentum }
        }
        self.rule = rule
        self.learningRate = learningRate
    }
}
