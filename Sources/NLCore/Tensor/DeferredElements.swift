internal import CKernels
internal import Synchronization

/// The elements of a tensor that nobody has needed yet: still in the file they come from, or zeros that take no memory.
///
/// Serving reads a large model's matrices from the file once, to lay them out, and `Float` copies of them are only
/// needed by whoever learns. They are made on first use and stay.
final class DeferredElements: Sendable {
    let count: Int
    private let source: Source
    /// Where the elements are, once someone has needed them.
    private let address = Atomic<UInt>(0)
    private let isFilling = Mutex(())
    /// Where the elements are rounded to bfloat16, once someone has needed them so.
    private let roundedAddress = Atomic<UInt>(0)

    private enum Source: Sendable {
        case zeros
        case file(SafetensorsFile, TensorDescription)
    }

    /// Zeros.
    init(zeros count: Int) {
        self.count = count
        source = .zeros
    }

    /// A tensor of a file that has been checked to hold floats.
    init(_ tensor: TensorDescription, in file: SafetensorsFile) {
        count = tensor.count
        source = .file(file, tensor)
    }

    deinit {
        let made = UnsafeMutableRawPointer(bitPattern: address.load(ordering: .acquiring))
        if let made { BufferPool.giveBack(made, bytes: count * MemoryLayout<Float>.stride) }
        let rounded = UnsafeMutableRawPointer(bitPattern: roundedAddress.load(ordering: .acquiring))
        if let rounded { BufferPool.giveBack(rounded, bytes: count * MemoryLayout<UInt16>.stride) }
    }

    /// The elements, read now if they were not before.
    var pointer: UnsafeMutablePointer<Float> {
        let known = UnsafeMutablePointer<Float>(bitPattern: address.load(ordering: .acquiring))
        return known ?? isFilling.withLock { _ in fill() }
    }

    private func fill() -> UnsafeMutablePointer<Float> {
        if let made = UnsafeMutablePointer<Float>(bitPattern: address.load(ordering: .acquiring)) { return made }
        let made = BufferPool.take(bytes: count * MemoryLayout<Float>.stride)
            .bindMemory(to: Float.self, capacity: count)
        switch source {
        case .zeros: made.update(repeating: 0, count: count)
        case .file(let file, let tensor):
            do throws(SafetensorsError) {
                try file.requireUnchanged()
                try file.read(tensor.name, into: UnsafeMutableBufferPointer(start: made, count: count))
            } catch {
                // Whoever asks has no way to go on: the parameters the process runs on are gone.
                fatalError("\(error)")
            }
        }
        address.store(UInt(bitPattern: made), ordering: .releasing)
        return made
    }

    /// Whether `Float`s have been made.
    var isFilled: Bool { address.load(ordering: .acquiring) != 0 }

    /// Whether these are zeros that nobody has had the chance to change.
    var isZero: Bool { if case .zeros = source { !isFilled } else { false } }

    /// The elements where the file holds them in bfloat16, at any address; valid as long as this is.
    var bfloat16: UnsafeRawPointer? {
        guard case .file(let file, let tensor) = source, tensor.dataType == .bfloat16 else { return nil }
        return file.mappedBytes(of: tensor)
    }

    /// The same where they can be read as numbers.
    var alignedBFloat16: UnsafePointer<UInt16>? {
        guard let bfloat16, Int(bitPattern: bfloat16) % MemoryLayout<UInt16>.alignment == 0 else { return nil }
        return bfloat16.assumingMemoryBound(to: UInt16.self)
    }

    /// The elements of a file rounded to bfloat16: as the file holds them, or made now and kept. Nil for zeros, which
    /// whoever learns may change.
    var rounded: UnsafePointer<UInt16>? {
        guard case .file = source else { return nil }
        if let alignedBFloat16 { return alignedBFloat16 }
        let known = UnsafePointer<UInt16>(bitPattern: roundedAddress.load(ordering: .acquiring))
        if let known { return known }
        return isFilling.withLock { _ in fillRounded() }
    }

    private func fillRounded() -> UnsafePointer<UInt16> {
        if let made = UnsafePointer<UInt16>(bitPattern: roundedAddress.load(ordering: .acquiring)) { return made }
        let made = BufferPool.take(bytes: count * MemoryLayout<UInt16>.stride)
            .bindMemory(to: UInt16.self, capacity: count)
        BFloat16.roundInParallel(count, fill(), made)
        roundedAddress.store(UInt(bitPattern: made), ordering: .releasing)
        return UnsafePointer(made)
    }

    /// Whether no element is NaN or infinite, from the bits in the file where they can be had; nil where they can't.
    var isFinite: Bool? {
        guard case .file(let file, let tensor) = source, let bytes = file.mappedBytes(of: tensor) else { return nil }
        return allFinite(bytes, tensor.count, of: tensor.dataType)
    }
}

/// Whether no number is NaN or infinite, from the bits, at any address; nil for types that are not looked at like that.
func allFinite(_ bytes: UnsafeRawPointer, _ count: Int, of type: TensorDataType) -> Bool? {
    let check: (Int, UnsafeRawPointer) -> Bool
    switch type {
    case .bfloat16: check = { nl_is_finite_bfloat16(nl_best_isa(), $0, $1) }
    case .float32: check = { nl_is_finite(nl_best_isa(), $0, $1) }
    default: return nil
    }
    let found = Atomic(true)
    elementBlocks(count) { start, count in
        if !check(count, bytes + start * type.size) { found.store(false, ordering: .relaxed) }
    }
    return found.load(ordering: .relaxed)
}

extension SafetensorsFile {
    /// A tensor of the file, whose elements are read when someone needs them.
    ///
    /// - Throws: ``SafetensorsError`` if there is no such tensor, it holds integers, or has another number of elements.
    public func deferred(_ name: String, shape: Shape) throws(SafetensorsError) -> Tensor<Float> {
        let tensor = try floatTensor(named: name, count: shape.count)
        return Tensor(DeferredElements(tensor, in: self), shape: shape)
    }
}
