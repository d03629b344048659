/// Something for every parameter of a Hope model: its tensor, its variable on a tape, its gradient.
///
/// Names are those of the reference's `state_dict()`, so that a checkpoint written by it loads unchanged.
public struct HopeParameters<Content> {
    /// E, `[V, D]`; also the output head.
    public var embedding: Content
    /// The blocks, nearest the embedding first.
    public var blocks: [Block]
    /// g_out, `[D]`.
    public var gain: Content

    /// One block: mixer, then the CMS links.
    public struct Block {
        /// g_mix, `[D]`.
        public var gain: Content
        /// Self-modifying Titans.
        public var mixer: Mixer
        /// The CMS links, fastest first.
        public var levels: [Link]
    }

    /// Self-modifying Titans (spec §2).
    public struct Mixer {
        /// Filters of the causal convolution, `[D, w]`.
        public var convolution: Content
        /// W_q, `[D, D]`.
        public var query: Content
        /// W_k, `[D, D]`.
        public var key: Content
        /// W_v, `[D, D]`.
        public var value: Content
        /// W_g, `[D, D]`.
        public var gate: Content
        /// W_o, `[D, D]`.
        public var output: Content
        /// W1_□,0 of each memory, `[H, d, m]`.
        public var w1: PerMemory<Content>
        /// W2_□,0 of each memory, `[H, m, d]`.
        public var w2: PerMemory<Content>
        /// r_η, `[H, d]`.
        public var stepSizeReadout: Content
        /// b_η, `[H]`.
        public var stepSizeBias: Content
        /// r_α, `[H, d]`.
        public var retentionReadout: Content
        /// b_α, `[H]`.
        public var retentionBias: Content
        /// Gain of the per-head norm, `[d]`.
        public var headGain: Content
    }

    /// A CMS link: x + W↓ silu(W↑ rms(x; g)).
    public struct Link {
        /// g, `[D]`.
        public var gain: Content
        /// W↑, `[hidden, D]`.
        public var up: Content
        /// W↓, `[D, hidden]`.
        public var down: Content
        /// Beside the dense link, where the level has one.
        public var slots: Slots?
    }

    /// An associative memory of n² slots beside a link (product keys: Lample et al. 2019; memories that are written
    /// sparsely forget less: Lin et al. 2025):
    ///
    ///     x + W↓ silu(W↑ u) + Σ_{i ∈ top k} s_i V_i          u = rms(x; g), scores = P u + b
    ///
    /// P and b never change; V is 0 until a level learns into it, so a model without anything learned computes what
    /// it would without slots.
    public struct Slots {
        /// P, `[2n, D]`: the keys of both halves, over whitened inputs.
        public var keys: Content
        /// b, `[2n]`.
        public var bias: Content
        /// V, `[n², D]`.
        public var values: Content
    }
}

/// One thing for each of the five memories.
public struct PerMemory<Content> {
    private var items: [Content]

    init(_ make: (MemoryKind) throws -> Content) rethrows { items = try MemoryKind.allCases.map(make) }

    /// The item of one memory.
    public subscript(_ kind: MemoryKind) -> Content {
        get { items[PerMemory.index(kind)] }
        set { items[PerMemory.index(kind)] = newValue }
    }

    private static func index(_ kind: MemoryKind) -> Int {
        switch kind {
        case .key: 0
        case .value: 1
        case .stepSize: 2
        case .retention: 3
        case .main: 4
        }
    }
}

extension PerMemory: Sendable where Content: Sendable {}
extension HopeParameters: Sendable where Content: Sendable {}
extension HopeParameters.Block: Sendable where Content: Sendable {}
extension HopeParameters.Mixer: Sendable where Content: Sendable {}
extension HopeParameters.Link: Sendable where Content: Sendable {}
extension HopeParameters.Slots: Sendable where Content: Sendable {}

extension HopeParameters {
    /// Whether a tensor is 0 in every base: the values of slots, which levels alone fill. A model file leaves it out.
    public static func isZeroInBase(_ name: String) -> Bool { name.hasSuffix(".slots.values") }

    /// Whether pretraining trains a tensor: all but the slots, which are laid out over a trained model.
    public static func isPretrained(_ name: String) -> Bool { !name.contains(".slots.") }

    /// Asks for every parameter by name and shape, in the order of the checkpoint.
    public init(
        _ configuration: HopeConfiguration, make: (_ name: String, _ shape: Shape) throws -> Content
    ) rethrows {
        let c = configuration
        let (width, head, hidden) = (c.width, c.headWidth, c.memoryHiddenWidth)
        embedding = try make("embedding", [c.vocabularySize, width])
        gain = try make("gain", [width])
        blocks = try (0..<c.layers).map { layer in
            let block = "blocks.\(layer)"
            let mixer = "\(block).mixer"
            return Block(
                gain: try make("\(block).gain", [width]),
                mixer: Mixer(
                    convolution: try make("\(mixer).conv", [width, c.convolutionWindow]),
                    query: try make("\(mixer).query_projection", [width, width]),
                    key: try make("\(mixer).key_projection", [width, width]),
                    value: try make("\(mixer).value_projection", [width, width]),
                    gate: try make("\(mixer).gate_projection", [width, width]),
                    output: try make("\(mixer).output_projection", [width, width]),
                    w1: try PerMemory { try make("\(mixer).w1.\($0.rawValue)", [c.heads, head, hidden]) },
                    w2: try PerMemory { try make("\(mixer).w2.\($0.rawValue)", [c.heads, hidden, head]) },
                    stepSizeReadout: try make("\(mixer).step_size_readout", [c.heads, head]),
                    stepSizeBias: try make("\(mixer).step_size_bias", [c.heads]),
                    retentionReadout: try make("\(mixer).retention_readout", [c.heads, head]),
                    retentionBias: try make("\(mixer).retention_bias", [c.heads]),
                    headGain: try make("\(mixer).head_gain", [head])),
                levels: try c.levels.enumerated().map { index, level in
                    let link = "\(block).levels.\(index)"
                    return Link(
                        gain: try make("\(link).gain", [width]),
                        up: try make("\(link).up", [level.hiddenMultiple * width, width]),
                        down: try make("\(link).down", [width, level.hiddenMultiple * width]),
                        slots: try level.slots(inBlock: layer, of: c.layers).map { slots in
                            Slots(
                                keys: try make("\(link).slots.keys", [2 * slots.halfKeys, width]),
                                bias: try make("\(link).slots.bias", [2 * slots.halfKeys]),
                                values: try make("\(link).slots.values", [slots.count, width]))
                        })
                })
        }
    }
}
