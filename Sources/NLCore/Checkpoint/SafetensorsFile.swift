public import struct Foundation.URL

/// The tensors of a safetensors file, converted on reading.
///
/// The file is mapped, so a tensor costs memory only when it is read. Replace a file that may be open by renaming a
/// new one over it, as ``SafetensorsWriter`` does: a mapping of the old one stays whole. Shortening a mapped file in
/// place is the one thing this reader cannot survive (`SIGBUS`).
public final class SafetensorsFile: Sendable {
    /// Every tensor, in the order of the header.
    public let tensors: [TensorDescription]
    /// The file's free-form strings (`__metadata__`).
    public let metadata: [String: String]

    private let storage: Storage
    private let dataOffset: Int
    private let source: String
    private let indices: [String: Int]

    private enum Storage: Sendable {
        case mapped(FileMapping)
        case memory([UInt8])
    }

    /// Opens and checks the file at `url`.
    ///
    /// - Throws: ``SafetensorsError`` for a file that cannot be opened or whose header is wrong in any way; after
    ///   that, reading only fails for a wrong name, type or count.
    public convenience init(contentsOf url: URL) throws(SafetensorsError) {
        let path = url.path
        do {
            try self.init(.mapped(FileMapping(path: path)), source: path)
        } catch let error as SystemError {
            throw SafetensorsError(
                source: path, tensor: nil, reason: .system(operation: error.operation, code: error.code))
        } catch let error as SafetensorsError {
            throw error
        } catch {
            preconditionFailure("neither FileMapping nor the header throws anything else")
        }
    }

    /// Reads a file held in memory.
    ///
    /// - Throws: ``SafetensorsError`` if the header is wrong in any way.
    public convenience init(bytes: [UInt8]) throws(SafetensorsError) {
        try self.init(.memory(bytes), source: "memory")
    }

    private init(_ storage: Storage, source: String) throws(SafetensorsError) {
        self.storage = storage
        self.source = source
        let parsed: Result<SafetensorsHeader, SafetensorsError> = Self.withBytes(of: storage) { bytes in
            do throws(SafetensorsError) {
                return .success(try SafetensorsHeader(parsing: bytes, source: source))
            } catch {
                return .failure(error)
            }
        }
        let header = try parsed.get()
        tensors = header.tensors
        metadata = header.metadata
        dataOffset = header.dataOffset
        indices = Dictionary(zip(header.tensors.map(\.name), 0...)) { first, _ in first }
    }

    /// The names of all tensors, in the order of the header.
    public var names: [String] { tensors.map(\.name) }

    /// Where the tensor called `name` lies, or nil if there is none.
    public func tensor(named name: String) -> TensorDescription? {
        indices[name].map { tensors[$0] }
    }

    /// The elements of an F32, BF16, F16 or F64 tensor, in row-major order; F64 is rounded, the others are exact.
    ///
    /// - Throws: ``SafetensorsError`` if there is no such tensor or it holds integers.
    public func floats(named name: String) throws(SafetensorsError) -> [Float] {
        let tensor = try description(of: name)
        var values = [Float](repeating: 0, count: tensor.count)
        try read(tensor, into: &values)
        return values
    }

    /// Reads an F32, BF16, F16 or F64 tensor into memory the caller owns, which must have exactly its element count.
    ///
    /// - Throws: ``SafetensorsError`` if there is no such tensor, it holds integers, or the count differs.
    public func read(_ name: String, into values: UnsafeMutableBufferPointer<Float>) throws(SafetensorsError) {
        try read(description(of: name), into: values)
    }

    /// The elements of an F64, F32, BF16 or F16 tensor, exactly.
    ///
    /// - Throws: ``SafetensorsError`` if there is no such tensor or it holds integers.
    public func doubles(named name: String) throws(SafetensorsError) -> [Double] {
        let tensor = try description(of: name)
        if tensor.dataType == .float64 {
            return elements(of: tensor, as: UInt64.self) { Double(bitPattern: $0) }
        }
        return try floats(named: name).map(Double.init)
    }

    /// The elements of an I64 or I32 tensor.
    ///
    /// - Throws: ``SafetensorsError`` if there is no such tensor or it holds another type.
    public func integers(named name: String) throws(SafetensorsError) -> [Int64] {
        let tensor = try description(of: name)
        switch tensor.dataType {
        case .int64: return elements(of: tensor, as: Int64.self) { $0 }
        case .int32: return elements(of: tensor, as: Int32.self) { Int64($0) }
        default: throw error(name, .unsupportedConversion(from: tensor.dataType, to: "integers"))
        }
    }

    /// The tensor called `name`, checked to hold floats, and so many of them.
    ///
    /// - Throws: ``SafetensorsError``, as ``read(_:into:)`` would.
    func floatTensor(named name: String, count: Int) throws(SafetensorsError) -> TensorDescription {
        let tensor = try description(of: name)
        guard tensor.count == count else { throw error(name, .wrongCount(expected: tensor.count, actual: count)) }
        switch tensor.dataType {
        case .float64, .float32, .float16, .bfloat16: return tensor
        default: throw error(name, .unsupportedConversion(from: tensor.dataType, to: "floats"))
        }
    }

    /// Calls `body` with the file as it is, header and all.
    public func withFileBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        Self.withBytes(of: storage, body)
    }

    /// Where a tensor's bytes are mapped, valid as long as this is; nil for a file held in memory.
    func mappedBytes(of tensor: TensorDescription) -> UnsafeRawPointer? {
        guard case .mapped(let mapping) = storage else { return nil }
        return mapping.start.map { $0 + dataOffset + tensor.byteRange.lowerBound }
    }

    /// Checks that nobody has written into the file since it was opened, for whoever reads it long after.
    ///
    /// - Throws: ``SafetensorsError``.
    func requireUnchanged() throws(SafetensorsError) {
        guard case .mapped(let mapping) = storage, !mapping.isUnchanged else { return }
        throw SafetensorsError(source: source, tensor: nil, reason: .changed)
    }

    private func error(_ name: String, _ reason: SafetensorsError.Reason) -> SafetensorsError {
        SafetensorsError(source: source, tensor: name, reason: reason)
    }

    private func description(of name: String) throws(SafetensorsError) -> TensorDescription {
        guard let tensor = tensor(named: name) else { throw error(name, .missingTensor) }
        return tensor
    }

    private func read(_ tensor: TensorDescription, into values: inout [Float]) throws(SafetensorsError) {
        var failure: SafetensorsError?
        values.withUnsafeMutableBufferPointer { buffer in
            do throws(SafetensorsError) { try read(tensor, into: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func read(
        _ tensor: TensorDescription, into values: UnsafeMutableBufferPointer<Float>
    ) throws(SafetensorsError) {
        guard values.count == tensor.count else {
            throw error(tensor.name, .wrongCount(expected: tensor.count, actual: values.count))
        }
        switch tensor.dataType {
        case .float32: convert(tensor, from: UInt32.self, into: values) { Float(bitPattern: $0) }
        case .bfloat16: convert(tensor, from: UInt16.self, into: values, float(bfloat16Bits:))
        case .float16: convert(tensor, from: UInt16.self, into: values) { Float(Float16(bitPattern: $0)) }
        case .float64: convert(tensor, from: UInt64.self, into: values) { Float(Double(bitPattern: $0)) }
        default: throw error(tensor.name, .unsupportedConversion(from: tensor.dataType, to: "floats"))
        }
    }

    private func elements<Raw: FixedWidthInteger, Value>(
        of tensor: TensorDescription, as raw: Raw.Type, _ value: (Raw) -> Value
    ) -> [Value] {
        [Value](unsafeUninitializedCapacity: tensor.count) { buffer, count in
            convert(tensor, from: raw, into: UnsafeMutableBufferPointer(rebasing: buffer[..<tensor.count]), value)
            count = tensor.count
        }
    }

    /// Converts every element; loads are unaligned because the format does not promise alignment.
    @inline(__always)
    private func convert<Raw: FixedWidthInteger, Value>(
        _ tensor: TensorDescription, from raw: Raw.Type, into values: UnsafeMutableBufferPointer<Value>,
        _ value: (Raw) -> Value
    ) {
        Self.withBytes(of: storage) { bytes in
            let start = dataOffset + tensor.byteRange.lowerBound
            for index in 0..<tensor.count {
                let bits = bytes.loadUnaligned(fromByteOffset: start + index * MemoryLayout<Raw>.size, as: Raw.self)
                values.initializeElement(at: index, to: value(Raw(littleEndian: bits)))
            }
        }
    }

    private static func withBytes<Result>(
        of storage: Storage, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        switch storage {
        case .mapped(let mapping): mapping.withBytes(body)
        case .memory(let bytes): bytes.withUnsafeBytes(body)
        }
    }
}
