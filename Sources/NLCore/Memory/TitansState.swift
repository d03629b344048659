/// What self-modifying Titans remember of a stream at a projection chunk's end (spec §2, "State"): the closed state.
///
/// `B` streams, `H` heads, `w` taps of the convolution.
public struct TitansState<S: TensorScalar>: Sendable {
    /// The last `w − 1` rows of `u`, `[B, w − 1, D]`.
    public var history: Tensor<S>
    /// Δ of each memory's two layers: W1 `[B·H, d, m]`, W2 `[B·H, m, d]`.
    public var delta: PerMemory<MemoryWeights<Tensor<S>>>

    /// The state before the first token: everything zero.
    public init(_ c: HopeConfiguration, batch: Int) {
        let groups = batch * c.heads
        let (head, hidden) = (c.headWidth, c.memoryHiddenWidth)
        history = .zeros([batch, c.convolutionWindow - 1, c.width])
        delta = PerMemory { _ in
            MemoryWeights(w1: .zeros([groups, head, hidden]), w2: .zeros([groups, hidden, head]))
        }
    }

    /// A state from its parts.
    public init(history: Tensor<S>, delta: PerMemory<MemoryWeights<Tensor<S>>>) {
        self.history = history
        self.delta = delta
    }
}

/// The two layers of a memory M(z) = z + W1 silu(W2 z) (NL Eq. 89).
public struct MemoryWeights<Content> {
    /// The outer layer, `[…, d, m]`.
    public var w1: Content
    /// The inner layer, `[…, m, d]`.
    public var w2: Content

    /// Both layers.
    public init(w1: Content, w2: Content) {
        self.w1 = w1
        self.w2 = w2
    }
}

extension MemoryWeights: Sendable where Content: Sendable {}
