/// Named tensors in the order of the checkpoint: a model's parameters, their gradients, or a level's Δθ over some
/// of them.
public struct ParameterSet<S: TensorScalar>: Sendable {
    /// Names in order.
    public private(set) var names: [String]
    private var tensors: [String: Tensor<S>]

    /// An empty set.
    public init() {
        names = []
        tensors = [:]
    }

    /// The tensor of that name; setting an unknown name appends it, setting nil removes it.
    public subscript(_ name: String) -> Tensor<S>? {
        get { tensors[name] }
        set {
            if tensors[name] == nil && newValue != nil { names.append(name) }
            if newValue == nil { names.removeAll { $0 == name } }
            tensors[name] = newValue
        }
    }

    /// Names and tensors in order.
    public var entries: [(name: String, tensor: Tensor<S>)] {
        names.compactMap { name in tensors[name].map { (name, $0) } }
    }

    /// Number of scalars.
    public var parameterCount: Int { tensors.values.reduce(0) { $0 + $1.count } }

    /// sqrt(Σ x²) over all tensors, summed in their order.
    public var norm: Double { entries.reduce(0) { $0 + $1.tensor.squaredNorm }.squareRoot() }

    /// Whether every element of every tensor is finite.
    public var isFinite: Bool { entries.allSatisfy(\.tensor.isFinite) }

    /// A set with its own storage.
    public func copy() -> ParameterSet { mapTensors { $0.copy() } }

    /// Zeros of the same names and shapes.
    public func zeros() -> ParameterSet { mapTensors { .zeros($0.shape) } }

    /// The same names over other tensors.
    public func mapTensors(_ transform: (Tensor<S>) -> Tensor<S>) -> ParameterSet {
        var result = ParameterSet()
        for (name, tensor) in entries { result[name] = transform(tensor) }
        return result
    }

    /// Adds `scale · other` to the tensors of the same names, in place.
    ///
    /// - Precondition: this set owns its tensors (``copy()``), and holds every name of `other` in the same shape.
    public func add(_ other: ParameterSet, scaledBy scale: S = 1) {
        for (name, tensor) in other.entries {
            guard let own = tensors[name], own.shape == tensor.shape else {
                preconditionFailure("no tensor \"\(name)\" of shape \(tensor.shape) to add to")
            }
            elementBlocks(own.count) { start, count in S.axpy(count, scale, tensor.pointer + start, own.pointer + start)
            }
        }
    }

    /// Multiplies every tensor in place.
    @specialized(where S == Float)
    public func scale(by factor: S) {
        for (_, tensor) in entries { for i in 0..<tensor.count { tensor.pointer[i] *= factor } }
    }

    /// The set with Σ deltas added: tensors that no delta touches, or only with zeros, are shared, the others are fresh.
    /// Where matrices have different numbers of rows, the sum has the most, and what is missing counts as 0.
    public func adding(_ deltas: [ParameterSet]) -> ParameterSet {
        var result = self
        for name in names {
            guard let base = tensors[name] else { continue }
            let parts = deltas.compactMap { $0[name] }.filter { $0.shape[0] > base.shape[0] || !$0.isZero }
            guard !parts.isEmpty else { continue }
            // Nothing to add to, as for what slots hold: shared, so that a memory of any size is no work here.
            if base.count == 0 && parts.count == 1 {
                result.tensors[name] = parts[0]
                continue
            }
            let sum = base.copy(rows: parts.reduce(base.shape[0]) { max($0, $1.shape[0]) })
            for part in parts {
                precondition(
                    part.shape.axes.dropFirst() == base.shape.axes.dropFirst(),
                    "\(name): a delta of shape \(part.shape) for \(base.shape)")
                elementBlocks(part.count) { start, count in S.axpy(count, 1, part.pointer + start, sum.pointer + start)
                }
            }
            result.tensors[name] = sum
        }
        return result
    }
}
