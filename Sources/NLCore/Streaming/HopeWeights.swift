/// One generation of a space's parameters, laid out for reading: shared by all sessions that read it, never changed.
///
/// Matrices are laid out as their products take them (``PanelMatrix``), and the four projections of a mixer are one.
public final class HopeWeights<S: TensorScalar>: Sendable {
    /// The geometry.
    public let configuration: HopeConfiguration
    /// E, `[V, D]`: rows to look up.
    let embedding: Tensor<S>
    /// The output head: E, or the model's own.
    let head: PanelMatrix<S>
    /// g_out, `[D]`.
    let gain: Tensor<S>
    let blocks: [Block]

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
        /// P: D → 2n.
        let keys: PanelMatrix<S>
        /// b, `[2n]`.
        let bias: Tensor<S>
        /// V, `[n², D]`.
        let values: Tensor<S>
        /// k.
        let active: Int
    }

    /// Prepares parameters for reading.
    ///
    /// - Parameter parameters: every tensor of the model under its checkpoint name.
    /// - Throws: ``HopeWeightsError`` when one is missing or has another shape.
    @specialized(where S == Float)
    public init(_ configuration: HopeConfiguration, _ parameters: ParameterSet<S>) throws(HopeWeightsError) {
        self.configuration = configuration
        // `HopeParameters` rethrows untyped, so what is wrong is found before it asks.
        var mistake: HopeWeightsError?
        _ = HopeParameters<Void>(configuration) { name, shape in
            if mistake != nil || parameters[name]?.shape == shape { return }
            mistake = HopeWeightsError(name: name, expected: shape, found: parameters[name]?.shape)
        }
        if let mistake { throw mistake }
        let all = HopeParameters<Tensor<S>>(configuration) { name, shape in
            parameters[name] ?? .zeros(shape)  // present: checked above
        }
        embedding = all.embedding
        head = PanelMatrix([all.head ?? all.embedding])
        gain = all.gain
        blocks = all.blocks.map { block in
            Block(
                gain: block.gain, mixer: Mixer(block.mixer),
                links: block.levels.map { link in
                    Link(
                        gain: link.gain, up: PanelMatrix([link.gate, link.up].compactMap(\.self)),
                        down: PanelMatrix([link.down]), isGated: link.gate != nil,
                        slots: link.slots.map {
                            Slots(
                                keys: PanelMatrix([$0.keys]), bias: $0.bias, values: $0.values, active: $0.active)
                        })
                })
        }
    }
}

extension HopeWeights.Mixer {
    init(_ mixer: HopeParameters<Tensor<S>>.AnyMixer) {
        switch mixer {
        case .titans(let mixer):
            self = .titans(
                .init(
                    taps: mixer.convolution.transposed(),
                    input: PanelMatrix([mixer.query, mixer.key, mixer.value, mixer.gate]),
                    output: PanelMatrix([mixer.output]),
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
                    input: PanelMatrix([mixer.query, mixer.key, mixer.value]), output: PanelMatrix([mixer.output]),
                    inputBias: bias.map { Tensor($0, shape: [$0.count]) }, outputBias: mixer.outputBias,
                    queryGain: mixer.headGains?.query, keyGain: mixer.headGains?.key))
        }
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
