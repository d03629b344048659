/// A dense row-major array of numbers with a shape.
///
/// A tensor is immutable once it has been handed on: kernels fill a fresh one through `pointer` before anyone else
/// sees it. Copies and reshapes share the storage. The exceptions are the optimizers, which own their tensors and
/// step them in place (``ParameterSet``).
public struct Tensor<S: TensorScalar>: Sendable {
    /// Axis lengths, outermost first.
    public let shape: Shape
    let storage: TensorStorage<S>

    /// A tensor with undefined content (NaN in debug builds), for a kernel to fill.
    init(uninitialized shape: Shape) {
        self.shape = shape
        storage = TensorStorage(count: shape.count)
        #if DEBUG
            storage.pointer.update(repeating: .nan, count: shape.count)
        #endif
    }

    private init(shape: Shape, storage: TensorStorage<S>) {
        self.shape = shape
        self.storage = storage
    }

    /// A tensor whose elements are there once someone needs them.
    init(_ elements: DeferredElements, shape: Shape) where S == Float {
        self.init(shape: shape, storage: TensorStorage(elements))
    }

    /// A tensor of zeros that takes no memory until someone needs its elements.
    public static func untouchedZeros(_ shape: Shape) -> Tensor where S == Float {
        Tensor(DeferredElements(zeros: shape.count), shape: shape)
    }

    /// A tensor holding `elements` in row-major order.
    ///
    /// - Precondition: as many elements as the shape says.
    public init(_ elements: [S], shape: Shape) {
        precondition(elements.count == shape.count, "\(elements.count) elements can't fill a tensor of shape \(shape)")
        self.init(uninitialized: shape)
        elements.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { storage.pointer.update(from: base, count: source.count) }
        }
    }

    /// A tensor with every element equal to `value`.
    public init(repeating value: S, shape: Shape) {
        self.init(uninitialized: shape)
        storage.pointer.update(repeating: value, count: shape.count)
    }

    /// A tensor of zeros.
    public static func zeros(_ shape: Shape) -> Tensor { Tensor(repeating: 0, shape: shape) }

    /// Number of elements.
    public var count: Int { shape.count }

    /// The elements in row-major order.
    public var elements: [S] { Array(UnsafeBufferPointer(start: storage.pointer, count: count)) }

    /// Where the elements are, as long as the tensor is held by a name (or a field): one that is only an intermediate
    /// result ends before its pointer is used.
    var pointer: UnsafeMutablePointer<S> { storage.pointer }

    /// The same elements under another shape; shares the storage.
    ///
    /// - Precondition: the shapes hold as many elements.
    public func reshaped(_ newShape: Shape) -> Tensor {
        precondition(newShape.count == count, "can't see a tensor of shape \(shape) as \(newShape)")
        return Tensor(shape: newShape, storage: storage)
    }

    /// A copy with its own storage.
    public func copy() -> Tensor {
        let result = Tensor(uninitialized: shape)
        elementBlocks(count, blockSize: 1 << 18) { start, count in
            (result.pointer + start).update(from: pointer + start, count: count)
        }
        return result
    }

    /// A copy with at least as many rows, the new ones 0; a row is what the first axis counts.
    func copy(rows: Int) -> Tensor {
        if rows == shape[0] { return copy() }
        let result = Tensor(uninitialized: Shape([rows] + shape.axes.dropFirst()))
        result.pointer.update(from: pointer, count: count)
        (result.pointer + count).update(repeating: 0, count: result.count - count)
        return result
    }

    /// Copies a row of a matrix; from the file where it waits there in bfloat16, so that the others may go on waiting.
    func copyRow(_ row: Int, to y: UnsafeMutablePointer<S>) {
        let width = shape[1]
        guard let waiting = storage.deferred?.alignedBFloat16 else {
            return y.update(from: pointer + row * width, count: width)
        }
        // Only tensors of `Float`s wait.
        BFloat16.widen(width, waiting + row * width, UnsafeMutableRawPointer(y).assumingMemoryBound(to: Float.self))
    }

    /// The elements converted to another scalar type.
    public func converted<R: TensorScalar>(to _: R.Type = R.self) -> Tensor<R> {
        let result = Tensor<R>(uninitialized: shape)
        for i in 0..<count { result.pointer[i] = R(pointer[i]) }
        return result
    }

    /// Calls `body` with the elements in row-major order.
    public func withElements<R>(_ body: (UnsafeBufferPointer<S>) throws -> R) rethrows -> R {
        try body(UnsafeBufferPointer(start: storage.pointer, count: count))
    }

    /// Whether no element is NaN or infinite.
    public var isFinite: Bool {
        if let known = storage.deferred?.isFinite { return known }
        if let floats = self as? Tensor<Float> { return allFinite(floats.pointer, count, of: .float32) ?? true }
        // A NaN or an infinity survives multiplication by zero; a sum of zeros does not become one.
        var sum: S = 0
        for i in 0..<count { sum += pointer[i] * 0 }
        return sum == 0
    }

    /// Whether every element is 0; -0 counts.
    public var isZero: Bool {
        if storage.deferred?.isZero ?? false { return true }
        return withElements { elements in elements.allSatisfy { $0 == 0 } }
    }

    /// Σ x², accumulated in double precision by blocks so that long sums stay exact enough to compare.
    public var squaredNorm: Double {
        if storage.deferred?.isZero ?? false { return 0 }
        var total = 0.0
        var start = 0
        while start < count {
            let length = Swift.min(4096, count - start)
            total += Double(S.dot(length, pointer + start, pointer + start))
            start += length
        }
        return total
    }
}

/// The memory of a tensor.
///
/// `@unchecked Sendable`: written only by its creator before it is shared, or by the optimizer that owns it.
final class TensorStorage<S: TensorScalar>: @unchecked Sendable {
    private let own: UnsafeMutablePointer<S>?
    private let count: Int
    /// Where the elements are instead, if they were not there from the beginning.
    let deferred: DeferredElements?

    init(count: Int) {
        self.count = count
        own = BufferPool.take(bytes: count * MemoryLayout<S>.stride).bindMemory(to: S.self, capacity: count)
        deferred = nil
    }

    init(_ elements: DeferredElements) where S == Float {
        count = elements.count
        own = nil
        deferred = elements
    }

    @inline(__always)
    var pointer: UnsafeMutablePointer<S> { own ?? deferredPointer }

    private var deferredPointer: UnsafeMutablePointer<S> {
        guard let deferred else { preconditionFailure("a tensor has elements, its own or deferred") }
        return UnsafeMutableRawPointer(deferred.pointer).assumingMemoryBound(to: S.self)
    }

    deinit {
        #if DEBUG
            // Who reads what is no more shall notice, also where nobody else took the memory meanwhile.
            own?.update(repeating: .nan, count: count)
        #endif
        if let own { BufferPool.giveBack(UnsafeMutableRawPointer(own), bytes: count * MemoryLayout<S>.stride) }
    }
}
