/// The recurrent core of self-modifying Titans as one operation, forward and backward (spec §2).
///
/// ``SelfModifyingTitans`` in its chunked form records some hundred small operations a chunk, each over all groups.
/// Here one thread takes one group g = (stream, head) through all of time, with the group's matrices in its cache;
/// groups are independent. The chunked form stays as the reference for the gradients below.
///
/// # Forward
///
/// A chunk of n rows k, v (and q for the main memory), with η, log α and a memory's W_0 and Δ̄, W̄ = W_0 + Δ̄:
///
///     a = W̄2 k,  s = silu(a),  ℓ = ‖s‖ + ε,  v̂ = l2(v + W̄1 silu(W̄2 v)),  e = k + W̄1 s − v̂,  δ = W̄1ᵀe ⊙ silu'(a)
///
/// Layer W1 has keys κ = s/ℓ and errors x = ℓe, layer W2 has κ = k and x = δ. For each, rows stacked as matrices,
///
///     R_t = −η_t (x_t + W_0 κ_t + γ_{t−1} Δ̄ κ_t)
///     w = T R,  T = (I + L)⁻¹,  L_ts = η_t (γ_{t−1}/γ_s) κ_t·κ_s  for s < t, else 0
///     Δ_n = γ_n Δ̄ + Σ_s (γ_n/γ_s) w_s κ_sᵀ,   Δ' = Δ_n · min(1, ρ/r),  r = sqrt(‖Δ_n‖² + ε)
///
/// T is formed explicitly: its entries are η_t times an inner product of unit keys through a product of
/// contractions, so at most η_t, and W2's T is the same for all memories written from the same rows. Without
/// the delta term, T = I and R = −ηx. Reading, for each of the two layers of the main memory (z = q, then silu(W2 q)):
///
///     W_{t−1} z_t = W_0 z_t + Δ_{t−1} z_t,   Δ_{t−1} z_t = γ_{t−1} Δ̄ z_t + Σ_{s<t} (γ_{t−1}/γ_s)(κ_s·z_t) w_s
///
/// In both places W_0 z + γ Δ̄ z is computed as W̄ z + (γ − 1) Δ̄ z: W̄ then meets values, keys and queries in one
/// product, and so do their gradients.
///
/// # Backward
///
/// dX is the gradient of the loss with respect to X. From the last line to the first:
///
///     dΔ_n = dΔ' if r ≤ ρ, else (ρ/r)(dΔ' − ⟨dΔ', Δ'⟩ Δ'/ρ²)
///     dw_s = (γ_n/γ_s) dΔ_n κ_s  + from reads,   dκ_s += (γ_n/γ_s) dΔ_nᵀ w_s,   dΔ̄ += γ_n dΔ_n
///     dR = Tᵀ dw,   dL_ts = −⟨dR_t, w_s⟩
///     g_t = −η_t dR_t                                   the gradient of x_t, of W_0 κ_t and of Δ_{t−1} κ_t alike
///     dκ_t += Σ_s (P_ts + P_st) κ_s,   P_ts = (γ_{t−1}/γ_s) ⟨g_t, w_s⟩ for s < t
///     dκ_t += W_0ᵀ g_t + γ_{t−1} Δ̄ᵀ g_t,   dW_0 += Σ g_t κ_tᵀ,   dΔ̄ += Σ γ_{t−1} g_t κ_tᵀ
///
/// Reads with the gradient y_t of W_{t−1} z_t stand beside the writes: y_t in the place of g_t and z_t in that of κ_t
/// in the last two lines, and dw_s += Σ_t (γ_{t−1}/γ_s)(κ_s·z_t) y_t.
///
/// *Step size.* Every term of w_t that is not another row's w carries η_t, and so does its row of L: with earlier
/// rows fixed, η_t ∂w_t/∂η_t = w_t. Hence d log η_t = ⟨dR_t, w_t⟩, summed over layers and memories.
///
/// *Retention.* A w_s only ever occurs as w_s/γ_s, so this γ_s gets what all its uses give, less what w_s was made
/// of: −⟨dR_s, w_s⟩. The factor γ_{t−1} multiplies Δ_{t−1} κ_t inside w_t, and Δ_{t−1} z_t in the reads; by R's
/// definition −η_t Δ_{t−1} κ_t = w_t + η_t (x_t + W_0 κ_t). γ_n multiplies Δ_n. With log γ_t = Σ_{i≤t} log α_i the
/// terms ⟨dR_t, w_t⟩ telescope:
///
///     d log α_i = ⟨dΔ_n, Δ_n⟩ − ⟨dR_i, w_i⟩ + Σ_{t>i} (⟨y_t, Δ_{t−1} z_t⟩ − ⟨g_t, x_t + W_0 κ_t⟩)
///
/// So the n × n matrices of decays need no gradient of their own, and nothing is divided by an η or a γ.
///
/// *Inner gradient*, with both layers' g and dκ = dκ(W1) in hand:
///
///     dback = g(W2) ⊙ silu'(a),   da = g(W2) ⊙ W̄1ᵀe ⊙ silu''(a),   de = ℓ g(W1) + W̄1 dback,   dv̂ = −de
///     dℓ = ⟨g(W1), e⟩ − ⟨dκ, κ⟩/ℓ,   ds = dκ/ℓ + dℓ s/‖s‖ + W̄1ᵀ de,   da += ds ⊙ silu'(a)
///     dk += de + W̄2ᵀ da,   dW̄1 += Σ de sᵀ + Σ e dbackᵀ,   dW̄2 += Σ da kᵀ,   and through l2 and M̄(v) as usual
///
/// dW̄ counts for W_0 and for Δ̄.
///
/// # What is kept, what is left out
///
/// Everything that comes from a product is kept, the Δ at every chunk's start included; what follows from it element
/// by element is computed again. The last span's writes of the four projection memories are read by nobody, and no
/// gradient flows into the state before the first row: these steps have no backward pass. Where that state is zero,
/// products with it are left out; where no input wants a gradient, nothing is kept.
struct FusedTitans<S: TensorScalar> {
    private let shape: FusedShape
    private let inputs: Inputs
    private let parameters: HopeParameters<Variable<S>>.Mixer

    /// What the recurrence reads, `[G, T, d]`.
    struct Inputs {
        /// z_k.
        let key: Variable<S>
        /// z_v.
        let value: Variable<S>
        /// c, which the memories of η and α read.
        let gate: Variable<S>
        /// q, of unit length.
        let query: Variable<S>

        fileprivate var all: [Variable<S>] { [key, value, gate, query] }
    }

    /// The recurrence of a geometry over inputs of one shape.
    init(_ configuration: HopeConfiguration, _ parameters: HopeParameters<Variable<S>>.Mixer, _ inputs: Inputs) {
        let shape = FusedShape(
            configuration, batch: inputs.key.shape[0] / configuration.heads, length: inputs.key.shape[1])
        precondition(inputs.all.allSatisfy { $0.shape == [shape.groups, shape.length, shape.width] })
        self.shape = shape
        self.parameters = parameters
        self.inputs = inputs
    }

    /// Reads the rows and writes the memories.
    ///
    /// - Parameter delta: Δ before the rows; no gradient flows into it.
    /// - Returns: the reads `[G, T, d]`, and Δ after the rows, chunks closed.
    func callAsFunction(
        _ delta: PerMemory<MemoryWeights<Tensor<S>>>
    ) -> (reads: Variable<S>, delta: PerMemory<MemoryWeights<Tensor<S>>>) {
        let variables = inputs.all + MemoryKind.allCases.flatMap { [parameters.w1[$0], parameters.w2[$0]] } + gates
        let keeps = variables.contains(where: \.wantsGradient)
        let layout = FusedRecords<S>.Layout(shape, keeps: keeps)
        let kept = keeps ? Tensor<S>(uninitialized: [shape.groups, layout.kept]) : nil
        let reads = Tensor<S>(uninitialized: inputs.key.shape)
        let after = PerMemory { kind in
            MemoryWeights(
                w1: Tensor<S>(uninitialized: delta[kind].w1.shape), w2: Tensor<S>(uninitialized: delta[kind].w2.shape))
        }
        let scratchSize = FusedScratch<S>.size(shape)
        inParallel(shape.groups) { g in
            withScratch(scratchSize + layout.spare) { scratch in
                let records = FusedRecords(
                    kept: kept.map { $0.pointer + g * layout.kept }, spare: scratch + scratchSize, shape, layout)
                for kind in MemoryKind.allCases {
                    copy(layers(of: delta[kind], g), to: records.state(kind, 0).delta)
                }
                group(g, scratch, records).forward(
                    pointers(inputs.all.map(\.value.pointer), g), records,
                    into: reads.pointer + g * shape.length * shape.width)
                for kind in MemoryKind.allCases {
                    copy(records.state(kind, lastState(kind)).delta, to: layers(of: after[kind], g))
                }
            }
        }
        let output = inputs.key.tape.record(reads, variables) { tape, dy in
            guard let kept else { return }
            backward(tape, dy, kept, layout)
        }
        return (output, after)
    }

    private var gates: [Variable<S>] {
        [parameters.stepSizeReadout, parameters.stepSizeBias, parameters.retentionReadout, parameters.retentionBias]
    }

    private func lastState(_ kind: MemoryKind) -> Int {
        if kind == .main { return shape.chunks }
        return shape.adaptive.contains(kind) ? shape.spans : 0
    }

    // MARK: - Backward

    private func backward(_ tape: Tape<S>, _ dy: Tensor<S>, _ kept: Tensor<S>, _ layout: FusedRecords<S>.Layout) {
        let rows = shape.length * shape.width
        let groups = shape.groups
        // The gradients of parameters are gathered by group, and summed over the streams in their order.
        let partial = FusedPartialGradients<S>(shape) { kind in
            parameters.w1[kind].wantsGradient || parameters.w2[kind].wantsGradient
        }
        let unwanted = inputs.all.allSatisfy(\.wantsGradient) ? nil : Tensor<S>.zeros(inputs.key.shape)
        let dz = inputs.all.compactMap { tape.gradientBuffer($0) ?? unwanted?.pointer }
        let scratchSize = FusedScratch<S>.size(shape)
        let rowSize = Slab<S>.size { slab in _ = rowGradients(&slab) }
        withExtendedLifetime(unwanted) {
            inParallel(groups) { g in
                withScratch(scratchSize + rowSize) { scratch in
                    var slab = Slab(scratch + scratchSize)
                    let records = FusedRecords(
                        kept: kept.pointer + g * layout.kept, spare: scratch, shape, layout)
                    group(g, scratch, records).backward(
                        dy: dy.pointer + g * rows, pointers(inputs.all.map(\.value.pointer), g), records,
                        into: pointers(dz, g),
                        partial.group(g), rowGradients(&slab))
                }
            }
        }
        for kind in MemoryKind.allCases {
            partial.addSum(of: kind, \.w1, to: tape.gradientBuffer(parameters.w1[kind]))
            partial.addSum(of: kind, \.w2, to: tape.gradientBuffer(parameters.w2[kind]))
        }
        partial.addGateSums(to: gates.map { tape.gradientBuffer($0) })
    }

    private func rowGradients(_ slab: inout Slab<S>) -> (span: RowGradients<S>, chunk: RowGradients<S>) {
        (
            RowGradients(&slab, rows: shape.longestSpan, blocks: 2, width: shape.width),
            RowGradients(&slab, rows: shape.longestChunk, blocks: 3, width: shape.width)
        )
    }

    // MARK: - Pointers

    /// Memory for one group's work; the pool hands a thread the block it has just used.
    private func withScratch(_ count: Int, _ body: (UnsafeMutablePointer<S>) -> Void) {
        let block = Tensor<S>(uninitialized: [count])
        withExtendedLifetime(block) { body(block.pointer) }
    }

    private func group(_ g: Int, _ scratch: UnsafeMutablePointer<S>, _ records: FusedRecords<S>) -> FusedGroup<S> {
        let head = g % shape.heads
        var slab = Slab(scratch)
        let p = parameters
        let isFresh = MemoryKind.allCases.allSatisfy { kind in
            let delta = records.state(kind, 0).delta
            return S.dot(shape.layer, delta.w1, delta.w1) == 0 && S.dot(shape.layer, delta.w2, delta.w2) == 0
        }
        return FusedGroup(
            shape: shape,
            initial: PerMemory { kind in
                layers(of: MemoryWeights(w1: p.w1[kind].value, w2: p.w2[kind].value), head)
            },
            readouts: GatePointers(
                stepSize: (
                    p.stepSizeReadout.value.pointer + head * shape.width, p.stepSizeBias.value.pointer + head
                ),
                retention: (
                    p.retentionReadout.value.pointer + head * shape.width, p.retentionBias.value.pointer + head
                )),
            scratch: FusedScratch(&slab, shape), isFresh: isFresh)
    }

    private func layers(of weights: MemoryWeights<Tensor<S>>, _ index: Int) -> LayerPointers<S> {
        LayerPointers(
            w1: weights.w1.pointer + index * shape.layer, w2: weights.w2.pointer + index * shape.layer)
    }

    private func pointers(_ starts: [UnsafeMutablePointer<S>], _ g: Int) -> FusedInputs<S> {
        FusedInputs(key: starts[0], value: starts[1], gate: starts[2], query: starts[3])
            .from(g * shape.length, width: shape.width)
    }

    private func copy(_ from: LayerPointers<S>, to: LayerPointers<S>) {
        to.w1.update(from: from.w1, count: shape.layer)
        to.w2.update(from: from.w2, count: shape.layer)
    }
}
