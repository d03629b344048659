/// The gradients of a mixer's parameters, one share for each group: threads never add to the same numbers, and
/// the sum over the streams has the same bits for any number of threads.
struct FusedPartialGradients<S: TensorScalar> {
    private let shape: FusedShape
    private let wanted: PerMemory<Bool>
    private let block: Tensor<S>
    private let size: Int

    /// Zeros for every group.
    ///
    /// - Parameter wants: the memories whose W_0 wants a gradient.
    init(_ shape: FusedShape, wants: (MemoryKind) -> Bool) {
        let wanted = PerMemory(wants)
        self.shape = shape
        self.wanted = wanted
        size = Slab<S>.size { slab in _ = Self.layout(&slab, shape, wanted) }
        block = .zeros([shape.groups, size])
    }

    /// Where group `g` adds its share, and its scratch for the gradients of Δ.
    func group(_ g: Int) -> GroupGradients<S> {
        var slab = Slab(block.pointer + g * size)
        return Self.layout(&slab, shape, wanted)
    }

    private static func layout(
        _ slab: inout Slab<S>, _ shape: FusedShape, _ wanted: PerMemory<Bool>
    ) -> GroupGradients<S> {
        func layers() -> LayerPointers<S> { LayerPointers(w1: slab.take(shape.layer), w2: slab.take(shape.layer)) }
        func gate() -> GatePointers<S>.Gate { (slab.take(shape.width), slab.take(1)) }
        return GroupGradients(
            initial: PerMemory { wanted[$0] ? layers() : nil },
            delta: PerMemory { $0 == .main || shape.adaptive.contains($0) ? layers() : nil },
            readouts: GatePointers(stepSize: gate(), retention: gate()))
    }

    /// Adds one layer's gradient over the streams to that of the parameter, `[H, …]`.
    func addSum(
        of kind: MemoryKind, _ layer: KeyPath<LayerPointers<S>, UnsafeMutablePointer<S>>,
        to target: UnsafeMutablePointer<S>?
    ) {
        guard let target else { return }
        addSum(count: shape.layer, to: target) { $0.initial[kind]?[keyPath: layer] }
    }

    /// Adds the gradients of r_η, b_η, r_α and b_α, `[H, d]` and `[H]`, in this order.
    func addGateSums(to targets: [UnsafeMutablePointer<S>?]) {
        let parts: [(Int, (GroupGradients<S>) -> UnsafeMutablePointer<S>)] = [
            (shape.width, { $0.readouts.stepSize.readout }), (1, { $0.readouts.stepSize.bias }),
            (shape.width, { $0.readouts.retention.readout }), (1, { $0.readouts.retention.bias }),
        ]
        for (target, (count, part)) in zip(targets, parts) {
            if let target { addSum(count: count, to: target, part) }
        }
    }

    private func addSum(
        count: Int, to target: UnsafeMutablePointer<S>, _ part: (GroupGradients<S>) -> UnsafeMutablePointer<S>?
    ) {
        for g in 0..<shape.groups {
            guard let share = part(group(g)) else { continue }
            S.axpy(count, 1, share, target + (g % shape.heads) * count)
        }
    }
}
