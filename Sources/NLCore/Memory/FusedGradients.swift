/// Gradients of one chunk's rows; n rows.
struct RowGradients<S: TensorScalar> {
    /// Of the values, keys and queries, `[2n, d]` or `[3n, d]`.
    let inputs: UnsafeMutablePointer<S>
    /// Of log η_t: Σ ⟨dR_t, w_t⟩, `[n]`.
    let logStepSize: UnsafeMutablePointer<S>
    /// Of log α_t, `[n]`.
    let logRetention: UnsafeMutablePointer<S>
    /// What row t adds to the gradients of log α of the rows before it, `[n]`.
    let later: UnsafeMutablePointer<S>
    /// ⟨dΔ_n, Δ_n⟩, summed over layers and memories, `[1]`.
    let final: UnsafeMutablePointer<S>
    /// Of κ_t·κ_s of the layers whose keys are k, before the decay: Σ ⟨g_t, w_s⟩, `[n, n]`.
    let similarity: UnsafeMutablePointer<S>

    init(_ slab: inout Slab<S>, rows: Int, blocks: Int, width: Int) {
        inputs = slab.take(blocks * rows * width)
        logStepSize = slab.take(rows)
        logRetention = slab.take(rows)
        later = slab.take(rows)
        final = slab.take(1)
        similarity = slab.take(rows * rows)
    }

    func reset(_ n: Int, blocks: Int, width: Int) {
        inputs.update(repeating: 0, count: blocks * n * width)
        logStepSize.update(repeating: 0, count: n)
        logRetention.update(repeating: 0, count: n)
        later.update(repeating: 0, count: n)
        final[0] = 0
        similarity.update(repeating: 0, count: n * n)
    }
}

/// A memory's gradients while a chunk is walked backwards.
struct MemoryGradients<S: TensorScalar> {
    /// Of W_0; nil when nobody wants it.
    let initial: LayerPointers<S>?
    /// Of the state: of the one after the chunk when the walk enters, of the one before when it leaves; nil for a
    /// memory that is not written.
    let delta: LayerPointers<S>?
    /// Whether anything after the chunk depends on its last state.
    let entersWithGradient: Bool
    /// Whether the state before the chunk has a gradient: the stream's first has none.
    let leavesWithGradient: Bool

    /// The gradient of the state before the chunk, where it has one.
    var wantedDelta: LayerPointers<S>? { leavesWithGradient ? delta : nil }
    /// Whether anybody wants the gradient of W̄.
    var wantsCurrent: Bool { initial != nil || wantedDelta != nil }
}

/// Where the gradients of one group go.
struct GroupGradients<S: TensorScalar> {
    /// Of W_0; nil where nobody wants it.
    let initial: PerMemory<LayerPointers<S>?>
    /// Of Δ at the place the walk has come to; nil for memories that are not written.
    let delta: PerMemory<LayerPointers<S>?>
    let readouts: GatePointers<S>

    func memory(_ kind: MemoryKind, entersWithGradient: Bool, leavesWithGradient: Bool) -> MemoryGradients<S> {
        MemoryGradients(
            initial: initial[kind], delta: delta[kind], entersWithGradient: entersWithGradient,
            leavesWithGradient: leavesWithGradient)
    }
}
