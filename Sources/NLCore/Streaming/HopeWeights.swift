/// One generation of a space's parameters, laid out for reading: shared by all sessions that read it, never changed.
///
/// Matrices are laid out as their products take them (``PanelMatrix``), and the four projections of a mixer are one.
/// Those whose parameters are another generation's are shared with it.
public final class HopeWeights<S: TensorScalar>: Sendable {
    /// The geometry.
    public let configuration: HopeConfiguration
    /// How the matrices were asked to be held.
    public let precision: WeightPrecision
    /// How they are held.
    public let held: HeldWeights
    /// E, `[V, D]`: rows to look up.
    private let embedding: Embedding
    /// The output head: E, or the model's own.
    let head: PanelMatrix<S>
    /// g_out, `[D]`.
    let gain: Tensor<S>
    let blocks: [Block]
    /// Every matrix, by what it was laid out from.
    private let matrices: [[ObjectIdentifier]: PanelMatrix<S>]

    /// Where the embedding's rows come from: a head that is packed holds a tied embedding too.
    private enum Embedding: Sendable {
        case rows(Tensor<S>)
        case packed(PanelMatrix<S>)
    }

    struct Block: Sendable {
        /// g_mix, `[D]`.
        let gain: Tensor<S>
        let mixer: Mixer
        /// The CMS links, fastest first.
        let links: [Link]
    }

    enum Mixer: Sendable {
        case titans(Titans)
        case attention(Attention)
    }

    /// Self-modifying Titans.
    struct Titans: Sendable {
        /// The taps of the convolution, oldest first, `[w, D]`.
        let taps: Tensor<S>
        /// W_q, W_k, W_v, W_g, one below the other: D → 4D.
        let input: PanelMatrix<S>
        /// W_o: D → D.
        let output: PanelMatrix<S>
        /// W_□,0.
        let memories: PerMemory<Memory>
        /// Stands for the memories and the readouts.
        let identity = MemoryIdentity()
        /// r_η, r_α, `[H, d]`, and b_η, b_α, `[H]`.
        let stepSizeReadout: Tensor<S>
        let stepSizeBias: Tensor<S>
        let retentionReadout: Tensor<S>
        let retentionBias: Tensor<S>
        /// Gain of the per-head norm, `[d]`.
        let headGain: Tensor<S>
    }

    /// Softmax attention.
    struct Attention: Sendable {
        /// W_q, W_k, W_v, one below the other: D → (H + 2 H_kv)·d.
        let input: PanelMatrix<S>
        /// W_o: H·d → D.
        let output: PanelMatrix<S>
        /// The biases of queries, keys and values, one after the other.
        let inputBias: Tensor<S>?
        let outputBias: Tensor<S>?
        let queryGain: Tensor<S>?
        let keyGain: Tensor<S>?
    }

    /// W_□,0 of one memory, for all heads.
    struct Memory: Sendable {
        /// W1ᵀ, `[H, m, d]`: to read the outer layer.
        let w1T: Tensor<S>
        /// W2ᵀ, `[H, d, m]`: to read the inner layer.
        let w2T: Tensor<S>
        /// W1, `[H, d, m]`: to carry the inner gradient back.
        let w1: Tensor<S>
    }

    struct Link: Sendable {
        /// g, `[D]`.
        let gain: Tensor<S>
        /// W↑: D → hidden; where there is a gate, W_gate and W↑ one below the other.
        let up: PanelMatrix<S>
        /// W↓: hidden → D.
        let down: PanelMatrix<S>
        let isGated: Bool
        /// Beside the dense link, where the level has one.
        let slots: Slots?
    }

    struct Slots: Sendable {
        /// W: D → D.
        let whitening: PanelMatrix<S>
        /// b, `[D]`.
        let bias: Tensor<S>
        /// T, `[V, C]`.
        let tokens: Tensor<S>
        let words: WordFeatures<S>?
        let memory: SlotMemory<S>
    }

    /// Prepares parameters for reading.
    ///
    /// - Parameters:
    ///   - parameters: every tensor of the model under its checkpoint name.
    ///   - precision: how matrices are held.
    ///   - exact: names of tensors that may not be rounded, as those that levels adapt.
    ///   - earlier: a generation whose matrices are shared where they are of the same tensors.
    /// - Throws: ``HopeWeightsError`` when one is missing or has another shape.
    @specialized(where S == Float)
    public init(
        _ configuration: HopeConfiguration, _ parameters: ParameterSet<S>, precision: WeightPrecision = .f32,
        exact: Set<String> = [], sharing earlier: HopeWeights? = nil
    ) throws(HopeWeightsError) {
        self.configuration = configuration
        self.precision = precision
        // `HopeParameters` rethrows untyped, so what is wrong is found before it asks.
        var mistake: HopeWeightsError?
        _ = HopeParameters<Void>(configuration) { name, shape in
            if mistake != nil || HopeParameters<Void>.accepts(parameters[name]?.shape, as: name, of: shape) { return }
            mistake = HopeWeightsError(name: name, expected: shape, found: parameters[name]?.shape)
        }
        if let mistake { throw mistake }
        let layout = MatrixLayout(parameters, precision, exact: exact, earlier.map { ($0.precision, $0.matrices) })
        let all = HopeParameters<Tensor<S>>(configuration) { name, shape in
            parameters[name] ?? .zeros(shape)  // present: checked above
        }
        head = layout.matrix([all.head ?? all.embedding])
        if head.form == .f32 {
            embedding = .rows(all.embedding)
        } else {
            embedding = .packed(all.head == nil ? head : layout.matrix([all.embedding]))
        }
        gain = all.gain
        blocks = all.blocks.map { block in
            Block(
                gain: block.gain, mixer: Mixer(block.mixer, layout),
                links: block.levels.map { link in
                    Link(
                        gain: link.gain, up: layout.matrix([link.gate, link.up].compactMap(\.self)),
                        down: layout.matrix([link.down]), isGated: link.gate != nil,
                        slots: link.slots.map {
                            Slots(
                                // Exact: a rounded key finds other slots than learning wrote.
                                whitening: PanelMatrix([$0.whitening]), bias: $0.bias, tokens: $0.tokens,
                                words: $0.words.map(WordFeatures.init), memory: SlotMemory($0))
                        })
                })
        }
        (matrices, held) = (layout.made, layout.held)
    }

    /// y ← a row of E.
    func embed(_ token: Int32, to y: UnsafeMutablePointer<S>) {
        switch embedding {
        case .rows(let rows):
            y.update(from: rows.pointer + Int(token) * configuration.width, count: configuration.width)
        case .packed(let matrix):
            let isPacked = matrix.packedRow(Int(token), to: y)
            precondition(isPacked, "an embedding that is not packed is read from its tensor")
        }
    }
}

extension HopeWeights.Mixer {
    fileprivate init(_ mixer: HopeParameters<Tensor<S>>.AnyMixer, _ layout: MatrixLayout<S>) {
        switch mixer {
        case .titans(let mixer):
            self = .titans(
                .init(
                    taps: mixer.convolution.transposed(),
                    input: layout.matrix([mixer.query, mixer.key, mixer.value, mixer.gate]),
                    output: layout.matrix([mixer.output]),
                    memories: PerMemory { kind in
                        .init(w1T: mixer.w1[kind].transposed(), w2T: mixer.w2[kind].transposed(), w1: mixer.w1[kind])
                    },
                    stepSizeReadout: mixer.stepSizeReadout, stepSizeBias: mixer.stepSizeBias,
                    retentionReadout: mixer.retentionReadout, retentionBias: mixer.retentionBias,
                    headGain: mixer.headGain))
        case .attention(let mixer):
            let bias = mixer.inputBias.map { $0.query.elements + $0.key.elements + $0.value.elements }
            self = .attention(
                .init(
                    input: layout.matrix([mixer.query, mixer.key, mixer.value]), output: layout.matrix([mixer.output]),
                    inputBias: bias.map { Tensor($0, shape: [$0.count]) }, outputBias: mixer.outputBias,
                    queryGain: mixer.headGains?.query, keyGain: mixer.headGains?.key))
        }
    }
}

/// Lays out a model's matrices, each in the form that its weights allow, and counts what they take.
private final class MatrixLayout<S: TensorScalar> {
    private let precision: WeightPrecision
    /// What may not be rounded.
    private let exact: Set<ObjectIdentifier>
    private let earlier: [[ObjectIdentifier]: PanelMatrix<S>]
    private(set) var made: [[ObjectIdentifier]: PanelMatrix<S>] = [:]
    private(set) var held = HeldWeights()

    init(
        _ parameters: ParameterSet<S>, _ precision: WeightPrecision, exact: Set<String>,
        _ earlier: (precision: WeightPrecision, matrices: [[ObjectIdentifier]: PanelMatrix<S>])?
    ) {
        self.precision = precision
        let names = parameters.names.filter { exact.contains($0) }
        self.exact = Set(names.compactMap { parameters[$0].map { ObjectIdentifier($0.storage) } })
        self.earlier = earlier.map { $0.precision == precision ? $0.matrices : [:] } ?? [:]
    }

    func matrix(_ parts: [Tensor<S>]) -> PanelMatrix<S> {
        let sources = parts.map { ObjectIdentifier($0.storage) }
        let form = precision.form(
            isBFloat16: parts.allSatisfy(\.isBFloat16), mustBeExact: !exact.isDisjoint(with: sources))
        // An earlier matrix keeps its tensors, so nothing else has been made in their place since.
        let known = earlier[sources].flatMap { $0.form == form ? $0 : nil }
        let matrix = known ?? PanelMatrix(parts, form)
        made[sources] = matrix
        held.scalars[matrix.form.rawValue, default: 0] += matrix.inputs * matrix.outputs
        held.bytes += matrix.byteCount
        return matrix
    }
}

/// A parameter set that is not that of the model.
public struct HopeWeightsError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The tensor at fault.
    public let name: String
    /// The shape that the configuration asks for.
    public let expected: Shape
    /// The shape that was given, nil when the tensor is missing.
    public let found: Shape?

    /// What is wrong with which tensor.
    public var description: String {
        guard let found else { return "parameter \"\(name)\" of shape \(expected) is missing" }
        return "parameter \"\(name)\" has shape \(found); the configuration asks for \(expected)"
    }
}

extension Tensor {
    /// Whether every element is a bfloat16, so that holding the upper halves loses nothing.
    var isBFloat16: Bool {
        guard let own = self as? Tensor<Float> else { return false }
        if own.storage.deferred?.bfloat16 != nil { return true }
        return BFloat16.holds(own.count, own.pointer)
    }

    /// The last two axes exchanged: `[…, a, b]` → `[…, b, a]`.
    func transposed() -> Tensor {
        let axes = shape.axes
        let (rows, columns) = (axes[axes.count - 2], axes[axes.count - 1])
        let result = Tensor(uninitialized: Shape(axes.dropLast(2) + [columns, rows]))
        // Squares of cache lines, so that neither side strides through memory.
        let side = 16
        let bands = (rows + side - 1) / side
        let matrices = count / max(rows * columns, 1)
        let (from, to) = (pointer, result.pointer)
        inParallel(matrices * bands) { index in
            let base = index / bands * rows * columns
            let top = index % bands * side
            for left in stride(from: 0, to: columns, by: side) {
                for row in top..<min(top + side, rows) {
                    for column in left..<min(left + side, columns) {
                        to[base + column * rows + row] = from[base + row * columns + column]
                    }
                }
            }
        }
        return result
    }
}
