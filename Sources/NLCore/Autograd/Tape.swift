/// Records operations on ``Variable``s, and walks them backwards to give the gradient of a loss.
///
/// A tape serves one forward and one backward pass on one thread. Operations whose inputs are all constants are
/// not recorded, so the same model code runs with and without gradients.
public final class Tape<S: TensorScalar> {
    typealias Backward = (_ tape: Tape<S>, _ dy: Tensor<S>) -> Void

    private struct Node {
        let shape: Shape
        var gradient: Tensor<S>?
        var backward: Backward?
        let isParameter: Bool
    }

    private var nodes: [Node] = []
    /// What ``Variable/linear(_:)`` multiplies in.
    let precision: ProductPrecision
    /// Rounded weights, by their storage: each is read at least twice, and stays as it is while the tape is used.
    private var weightOperands: [ObjectIdentifier: ProductOperand<S>] = [:]
    /// What was rounded last: several maps read one input. It holds its tensor, so that the key stays that tensor's.
    private var lastInput: (key: ObjectIdentifier, operand: ProductOperand<S>)?

    /// An empty tape.
    ///
    /// - Parameter precision: what dense products are multiplied in, for `Float`s. Where the processor does not multiply
    ///   bfloat16s, the rounded numbers are multiplied as `Float`s: the same learning, slower.
    public init(precision: ProductPrecision = .f32) { self.precision = precision }

    /// A weight as products read it.
    func weightOperand(_ weight: Tensor<S>) -> ProductOperand<S> {
        if precision == .f32 { return ProductOperand(weight, .f32) }
        let key = ObjectIdentifier(weight.storage)
        if let known = weightOperands[key] { return known }
        let operand = ProductOperand(weight, precision)
        weightOperands[key] = operand
        return operand
    }

    /// The input of a map as products read it.
    func inputOperand(_ input: Tensor<S>) -> ProductOperand<S> {
        if precision == .f32 { return ProductOperand(input, .f32) }
        let key = ObjectIdentifier(input.storage)
        if let lastInput, lastInput.key == key { return lastInput.operand }
        let operand = ProductOperand(input, precision)
        lastInput = (key, operand)
        return operand
    }

    /// A variable that a gradient is wanted for.
    public func parameter(_ value: Tensor<S>) -> Variable<S> {
        nodes.append(Node(shape: value.shape, gradient: nil, backward: nil, isParameter: true))
        return Variable(value: value, id: nodes.count - 1, tape: self)
    }

    /// A value that no gradient flows into.
    public func constant(_ value: Tensor<S>) -> Variable<S> { Variable(value: value, id: nil, tape: self) }

    /// Notes the result of an operation.
    ///
    /// `backward` receives the gradient of the result and adds to the gradients of those inputs that want one.
    func record(_ value: Tensor<S>, _ inputs: [Variable<S>], _ backward: @escaping Backward) -> Variable<S> {
        guard inputs.contains(where: \.wantsGradient) else { return constant(value) }
        nodes.append(Node(shape: value.shape, gradient: nil, backward: backward, isParameter: false))
        return Variable(value: value, id: nodes.count - 1, tape: self)
    }

    /// Where the gradient of a variable is gathered, zero at first; nil when it wants none.
    func gradientBuffer(_ variable: Variable<S>) -> UnsafeMutablePointer<S>? {
        guard let id = variable.id else { return nil }
        if let gradient = nodes[id].gradient { return gradient.pointer }
        let fresh = Tensor<S>.zeros(nodes[id].shape)
        nodes[id].gradient = fresh
        return fresh.pointer
    }

    /// Where a product puts a variable's gradient, and whether it is to add to what is there; nil when it wants none.
    func gradientTarget(_ variable: Variable<S>) -> (pointer: UnsafeMutablePointer<S>, accumulate: Bool)? {
        guard let id = variable.id else { return nil }
        if let gradient = nodes[id].gradient { return (gradient.pointer, true) }
        let fresh = Tensor<S>(uninitialized: nodes[id].shape)
        nodes[id].gradient = fresh
        return (fresh.pointer, false)
    }

    /// Adds `dy` to a variable's gradient; the first contribution is taken over without a copy.
    func addGradient(_ variable: Variable<S>, _ dy: Tensor<S>) {
        guard let id = variable.id else { return }
        if let gradient = nodes[id].gradient {
            elementBlocks(dy.count) { start, count in S.axpy(count, 1, dy.pointer + start, gradient.pointer + start) }
        } else {
            nodes[id].gradient = dy
        }
    }

    /// Fills in the gradients of everything that `loss` was computed from.
    ///
    /// Intermediate gradients and the saved values behind them are released on the way; a tape walks back once.
    ///
    /// - Precondition: `loss` has one element.
    public func backward(from loss: Variable<S>) {
        precondition(loss.value.count == 1, "a gradient is taken of one number, not of shape \(loss.value.shape)")
        guard let last = loss.id else { return }
        nodes[last].gradient = Tensor(repeating: 1, shape: loss.value.shape)
        for id in stride(from: last, through: 0, by: -1) where !nodes[id].isParameter {
            if let dy = nodes[id].gradient { nodes[id].backward?(self, dy) }
            nodes[id].gradient = nil
            nodes[id].backward = nil
        }
    }

    /// The gradient of a parameter after ``backward(from:)``, nil if the loss did not depend on it.
    public func gradient(of variable: Variable<S>) -> Tensor<S>? { variable.id.flatMap { nodes[$0].gradient } }
}

/// A tensor on a tape.
public struct Variable<S: TensorScalar> {
    /// The number array itself.
    public let value: Tensor<S>
    let id: Int?
    unowned let tape: Tape<S>

    /// The tape the variable stands on.
    public var owner: Tape<S> { tape }

    /// Axis lengths of the value.
    public var shape: Shape { value.shape }
    var wantsGradient: Bool { id != nil }

    /// The same value, through which no gradient flows.
    public var detached: Variable { tape.constant(value) }
}

/// Hands independent groups to the compute threads, unless all their work together is not worth waking one.
///
/// - Parameter work: multiplications or so, of all groups together.
func inParallel(_ count: Int, work: Int, _ body: (Int) -> Void) {
    guard work >= 1 << 16 else {
        for index in 0..<count { body(index) }
        return
    }
    inParallel(count, body)
}

/// Splits `count` elements into fixed blocks and hands them to the compute threads.
///
/// The partition depends on `count` alone, so results don't depend on how many threads there are.
func elementBlocks(_ count: Int, blockSize: Int = 1 << 14, _ body: (_ start: Int, _ count: Int) -> Void) {
    if count <= 2 * blockSize { return body(0, count) }
    inParallel((count + blockSize - 1) / blockSize) { block in
        let start = block * blockSize
        body(start, min(blockSize, count - start))
    }
}
