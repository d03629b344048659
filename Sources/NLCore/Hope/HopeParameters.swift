/// Something for every parameter of a Hope model: its tensor, its variable on a tape, its gradient.
///
/// Names are those of the reference's `state_dict()`, so that a checkpoint written by it loads unchanged.
public struct HopeParameters<Content> {
    /// E, `[V, D]`; also the output head where there is no other.
    public var embedding: Content
    /// An output head of its own, `[V, D]`.
    public var head: Content?
    /// The blocks, nearest the embedding first.
    public var blocks: [Block]
    /// g_out, `[D]`.
    public var gain: Content

    /// One block: mixer, then the CMS links.
    public struct Block {
        /// g_mix, `[D]`.
        public var gain: Content
        /// What mixes tokens.
        public var mixer: AnyMixer
        /// The CMS links, fastest first; the one MLP of a Transformer's block.
        public var levels: [Link]
    }

    /// Either mixer.
    public enum AnyMixer {
        /// Self-modifying Titans.
        case titans(Mixer)
        /// Softmax attention.
        case attention(Attention)
    }

    /// Softmax attention of a pretrained Transformer; d is a head's width, H_kv the heads of keys and values.
    public struct Attention {
        /// W_q, `[H·d, D]`.
        public var query: Content
        /// W_k, `[H_kv·d, D]`.
        public var key: Content
        /// W_v, `[H_kv·d, D]`.
        public var value: Content
        /// W_o, `[D, H·d]`.
        public var output: Content
        /// Added to queries, keys and values (Qwen2).
        public var inputBias: (query: Content, key: Content, value: Content)?
        /// Added to the output, `[D]`.
        public var outputBias: Content?
        /// Gains of the norms of each head's query and key, `[d]` (Qwen3).
        public var headGains: (query: Content, key: Content)?
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

    /// A CMS link: x + W↓ silu(W↑ rms(x; g)), or with a gate x + W↓ (silu(W_gate rms(x; g)) ⊙ W↑ rms(x; g)).
    public struct Link {
        /// g, `[D]`.
        public var gain: Content
        /// W_gate, `[hidden, D]`, of a Transformer's MLP and of levels that ask for one.
        public var gate: Content?
        /// W↑, `[hidden, D]`.
        public var up: Content
        /// W↓, `[D, hidden]`.
        public var down: Content
        /// Beside the dense link, where the level has one.
        public var slots: Slots?
    }

    /// An associative memory of N slots beside a link of the last block, each with its own address (NL §3 treats
    /// memories as learned associations; slots with a radius outside of which they are silent: Hartvigsen et al. 2023):
    ///
    ///     x + W↓ silu(W↑ u) + Σ_i p_i(z, c) V_i          u = rms(x; g), z = (W u + b) / ‖W u + b‖
    ///
    /// with c the context of ``SlotContext`` and p as ``SlotAddresses`` says: 0 for a context that is like none that was
    /// learned. W, b, T and the words' weights never change. Slots are empty until a level learns into them, so a model without anything
    /// learned computes what it would without slots.
    public struct Slots {
        /// W, `[D, D]`: makes inputs of the link white.
        public var whitening: Content
        /// b, `[D]`.
        public var bias: Content
        /// T, `[V, C]`.
        public var tokens: Content
        /// How tokens make words and how rare those are; nil where contexts are known by tokens alone.
        public var words: Words?
        /// c of each slot, `[N, C]`; here and below N is the number in use, up to the capacity.
        public var contexts: Content
        /// z of each slot, `[N, D]`.
        public var keys: Content
        /// V, `[N, D]`.
        public var values: Content
        /// The document that wrote each slot, from 1, and how far z must agree, `[N, 2]`; 0 for an empty slot.
        public var records: Content

        /// What words of a context are told by (``WordFeatures``).
        public struct Words {
            /// ``TokenSpelling`` of each token, `[V, 9]`.
            public var spelling: Content
            /// Twice the weights of M words, `[2, M]`, each word at one place in both.
            public var rarity: Content
        }
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
extension HopeParameters.Attention: Sendable where Content: Sendable {}
extension HopeParameters.AnyMixer: Sendable where Content: Sendable {}
extension HopeParameters.Link: Sendable where Content: Sendable {}
extension HopeParameters.Slots: Sendable where Content: Sendable {}
extension HopeParameters.Slots.Words: Sendable where Content: Sendable {}

extension HopeParameters {
    /// What slots hold, by the ends of the tensors' names.
    static var slotContents: [String] { ["contexts", "keys", "values", "records"] }

    /// Whether a tensor is 0 in every base: what slots hold, which levels alone write. A model file leaves it out.
    public static func isZeroInBase(_ name: String) -> Bool {
        slotContents.contains { name.hasSuffix(".slots.\($0)") }
    }

    /// Whether a tensor is what a model of a configuration wants. What slots hold has as many rows as are in use, so that
    /// slots nobody has filled take neither memory nor time.
    public static func accepts(_ found: Shape?, as name: String, of expected: Shape) -> Bool {
        guard let found, isZeroInBase(name) else { return found == expected }
        return found.axes.count == 2 && found[1] == expected[1] && found[0] <= expected[0]
    }

    /// The shape of a tensor in a base: without any slot in use.
    public static func baseShape(_ name: String, of expected: Shape) -> Shape {
        isZeroInBase(name) ? [0, expected[1]] : expected
    }

    /// Whether pretraining trains a tensor: all but the slots, which are laid out over a trained model.
    public static func isPretrained(_ name: String) -> Bool { !name.contains(".slots.") }

    /// Asks for every parameter by name and shape, in the order of the checkpoint.
    public init(
        _ configuration: HopeConfiguration, make: (_ name: String, _ shape: Shape) throws -> Content
    ) rethrows {
        let c = configuration
        embedding = try make("embedding", [c.vocabularySize, c.width])
        head = try c.tiesEmbeddings ? nil : make("head", [c.vocabularySize, c.width])
        gain = try make("gain", [c.width])
        blocks = try (0..<c.layers).map { layer in
            let block = "blocks.\(layer)"
            return Block(
                gain: try make("\(block).gain", [c.width]),
                mixer: try c.usesAttention
                    ? .attention(Attention(c, "\(block).mixer", make)) : .titans(Mixer(c, "\(block).mixer", make)),
                levels: try c.links(ofBlock: layer).map { link in
                    Link(
                        gain: try make("\(link.name).gain", [c.width]),
                        gate: try link.isGated ? make("\(link.name).gate", [link.hidden, c.width]) : nil,
                        up: try make("\(link.name).up", [link.hidden, c.width]),
                        down: try make("\(link.name).down", [c.width, link.hidden]),
                        slots: try link.slots.map { slots in
                            Slots(
                                whitening: try make("\(link.name).slots.whitening", [c.width, c.width]),
                                bias: try make("\(link.name).slots.bias", [c.width]),
                                tokens: try make("\(link.name).slots.tokens", [c.vocabularySize, slots.contextSize]),
                                words: try slots.words.map { count in
                                    Slots.Words(
                                        spelling: try make(
                                            "\(link.name).slots.spelling", [c.vocabularySize, TokenSpelling.width]),
                                        rarity: try make(
                                            "\(link.name).slots.rarity", [WordFeatures<Float>.hashes, count]))
                                },
                                contexts: try make("\(link.name).slots.contexts", [slots.capacity, slots.contextSize]),
                                keys: try make("\(link.name).slots.keys", [slots.capacity, c.width]),
                                values: try make("\(link.name).slots.values", [slots.capacity, c.width]),
                                records: try make("\(link.name).slots.records", [slots.capacity, 2]))
                        })
                })
        }
    }
}

extension HopeParameters.Mixer {
    fileprivate init(
        _ c: HopeConfiguration, _ mixer: String, _ make: (_ name: String, _ shape: Shape) throws -> Content
    ) rethrows {
        let (width, head, hidden) = (c.width, c.headWidth, c.memoryHiddenWidth)
        self.init(
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
            headGain: try make("\(mixer).head_gain", [head]))
    }
}

extension HopeParameters.Attention {
    fileprivate init(
        _ c: HopeConfiguration, _ mixer: String, _ make: (_ name: String, _ shape: Shape) throws -> Content
    ) rethrows {
        let g = AttentionGeometry(c)
        let (queries, keys) = (g.heads * g.head, g.keyValueHeads * g.head)
        self.init(
            query: try make("\(mixer).query_projection", [queries, g.width]),
            key: try make("\(mixer).key_projection", [keys, g.width]),
            value: try make("\(mixer).value_projection", [keys, g.width]),
            output: try make("\(mixer).output_projection", [g.width, queries]),
            inputBias: try g.hasInputBias
                ? (
                    make("\(mixer).query_bias", [queries]), make("\(mixer).key_bias", [keys]),
                    make("\(mixer).value_bias", [keys])
                ) : nil,
            outputBias: try g.hasOutputBias ? make("\(mixer).output_bias", [g.width]) : nil,
            headGains: try g.normsHeads
                ? (make("\(mixer).query_gain", [g.head]), make("\(mixer).key_gain", [g.head])) : nil)
    }
}
