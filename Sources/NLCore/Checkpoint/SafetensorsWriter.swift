public import struct Foundation.Data
public import struct Foundation.URL

/// Collects named tensors and writes them as one safetensors file.
///
/// The order of the file is the order of the calls, and equal input gives equal bytes. Values are kept as they are
/// given and converted piece by piece while writing, so a bf16 checkpoint of a model does not need its size twice.
///
/// ```swift
/// var writer = SafetensorsWriter(metadata: ["format": "pt"])
/// try writer.add("embed.weight", shape: [vocabulary, width], as: .bfloat16, floats: weights)
/// try writer.write(to: url)
/// ```
public struct SafetensorsWriter: Sendable {
    private enum Values: Sendable {
        case floats([Float])
        case integers([Int64])
        /// Read when it is written: a model is copied with one tensor in memory.
        case stored(SafetensorsFile, String)
    }

    private struct Entry: Sendable {
        let name: String
        let dataType: TensorDataType
        let shape: [Int]
        let values: Values
    }

    /// Free-form strings for the header (`__metadata__`), written in the order of their keys.
    public var metadata: [String: String]
    private var entries: [Entry] = []
    private var names: Set<String> = []

    /// An empty file with the given metadata.
    public init(metadata: [String: String] = [:]) {
        self.metadata = metadata
    }

    /// Adds a floating-point tensor, `floats` in row-major order.
    ///
    /// - Parameter dataType: `.float32`, `.bfloat16` or `.float16`; the narrow ones round to nearest, ties to even.
    /// - Throws: ``SafetensorsError`` for a name already used or reserved, a shape of another size than `floats`, or
    ///   another type.
    public mutating func add(
        _ name: String, shape: [Int], as dataType: TensorDataType = .float32, floats: [Float]
    ) throws(SafetensorsError) {
        guard [.float32, .bfloat16, .float16].contains(dataType) else {
            throw Self.error(name, .unsupportedConversion(from: dataType, to: "floats"))
        }
        try add(Entry(name: name, dataType: dataType, shape: shape, values: .floats(floats)), count: floats.count)
    }

    /// Adds a floating-point tensor of another file, which is read when this one is written.
    ///
    /// - Throws: ``SafetensorsError`` as for numbers in memory, or if the other file has no such tensor of numbers.
    public mutating func add(
        _ name: String, shape: [Int], as dataType: TensorDataType, from file: SafetensorsFile, tensor: String
    ) throws(SafetensorsError) {
        guard let source = file.tensor(named: tensor) else { throw Self.error(tensor, .missingTensor) }
        let readable: [TensorDataType] = [.float32, .bfloat16, .float16, .float64]
        for type in [source.dataType, dataType] {
            guard readable.contains(type) else {
                throw Self.error(tensor, .unsupportedConversion(from: type, to: "floats"))
            }
        }
        guard dataType != .float64 else { throw Self.error(name, .unsupportedConversion(from: dataType, to: "floats")) }
        try add(
            Entry(name: name, dataType: dataType, shape: shape, values: .stored(file, tensor)), count: source.count)
    }

    /// Adds an I64 tensor, `integers` in row-major order.
    ///
    /// - Throws: ``SafetensorsError`` for a name already used or reserved, or a shape of another size.
    public mutating func add(_ name: String, shape: [Int], integers: [Int64]) throws(SafetensorsError) {
        try add(Entry(name: name, dataType: .int64, shape: shape, values: .integers(integers)), count: integers.count)
    }

    private mutating func add(_ entry: Entry, count: Int) throws(SafetensorsError) {
        guard entry.name != SafetensorsHeader.metadataKey else {
            throw Self.error(entry.name, .malformedTensor("the name is reserved for metadata"))
        }
        guard entry.shape.allSatisfy({ $0 >= 0 }),
            let byteCount = NLCore.byteCount(shape: entry.shape, dataType: entry.dataType)
        else {
            throw Self.error(entry.name, .malformedTensor("\(entry.shape) is not a shape"))
        }
        guard byteCount == count * entry.dataType.size else {
            throw Self.error(entry.name, .wrongCount(expected: byteCount / entry.dataType.size, actual: count))
        }
        guard names.insert(entry.name).inserted else {
            throw Self.error(entry.name, .malformedTensor("it was added before"))
        }
        entries.append(entry)
    }

    /// Writes the file in place of whatever `url` names: a temporary file beside it, synced, renamed over it, the
    /// directory synced. A crash leaves the old file or the new one, never a part.
    ///
    /// - Throws: ``SafetensorsError`` with the system's reason; `url` is then untouched, except when only the last
    ///   step, syncing the directory, failed.
    public func write(to url: URL) throws(SafetensorsError) {
        do throws(SystemError) {
            let file = try AtomicFile(replacing: url.path)
            try emit { bytes throws(SystemError) in try file.write(bytes) }
            try file.commit()
        } catch {
            throw SafetensorsError(
                source: url.path, tensor: nil, reason: .system(operation: error.operation, code: error.code))
        }
    }

    /// The whole file in memory.
    public func data() -> Data {
        var data = Data()
        emit { data.append(contentsOf: $0) }
        return data
    }

    /// Bytes of the whole file.
    public var byteCount: Int {
        header().count + entries.reduce(0) { $0 + (NLCore.byteCount(shape: $1.shape, dataType: $1.dataType) ?? 0) }
    }

    /// The file in order, in pieces of at most 2 MiB after the header: what a file too large to hold twice is sent as.
    ///
    /// - Returns: piece `number`, from 0; nil after the last.
    public func piece(_ number: Int) -> [UInt8]? {
        guard number > 0 else { return header() }
        var rest = number - 1
        for entry in entries {
            let count = entry.shape.reduce(1, *)
            let pieces = (count + Self.pieceCount - 1) / Self.pieceCount
            guard rest >= pieces else {
                var bytes: [UInt8] = []
                let start = rest * Self.pieceCount
                Self.emit(entry, start..<min(start + Self.pieceCount, count)) { bytes.append(contentsOf: $0) }
                return bytes
            }
            rest -= pieces
        }
        return nil
    }

    private static func error(_ name: String, _ reason: SafetensorsError.Reason) -> SafetensorsError {
        SafetensorsError(source: "new file", tensor: name, reason: reason)
    }

    private func emit<Failure: Error>(_ write: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        try Self.withBytes(of: header(), write)
        for entry in entries { try Self.emit(entry, nil, write) }
    }

    /// - Parameter range: the elements to write; nil for all.
    private static func emit<Failure: Error>(
        _ entry: Entry, _ range: Range<Int>?, _ write: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        switch entry.values {
        case .integers(let values): try emit(values, range, write) { $0.littleEndian }
        case .floats(let values): try emit(values, as: entry.dataType, range, write)
        case .stored(let file, let name):
            guard let values = try? file.floats(named: name) else {
                preconditionFailure("\(name) was there, and of numbers, when it was added")
            }
            try emit(values, as: entry.dataType, range, write)
        }
    }

    private static func emit<Failure: Error>(
        _ values: [Float], as dataType: TensorDataType, _ range: Range<Int>?,
        _ write: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        switch dataType {
        case .bfloat16: try emit(values, range, write) { bfloat16Bits($0).littleEndian }
        case .float16: try emit(values, range, write) { Float16($0).bitPattern.littleEndian }
        default: try emit(values, range, write) { $0.bitPattern.littleEndian }
        }
    }

    /// Elements converted at once.
    private static let pieceCount = 1 << 18

    /// Converts and writes in pieces of at most 2 MiB.
    private static func emit<Value, Raw: FixedWidthInteger, Failure: Error>(
        _ values: [Value], _ range: Range<Int>?, _ write: (UnsafeRawBufferPointer) throws(Failure) -> Void,
        _ raw: (Value) -> Raw
    ) throws(Failure) {
        let range = range ?? 0..<values.count
        for start in stride(from: range.lowerBound, to: range.upperBound, by: pieceCount) {
            let piece = values[start..<min(start + pieceCount, range.upperBound)].map(raw)
            try withBytes(of: piece, write)
        }
    }

    private static func withBytes<Element, Failure: Error>(
        of elements: [Element], _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try elements.withUnsafeBufferPointer { buffer throws(Failure) in try body(UnsafeRawBufferPointer(buffer)) }
    }

    /// Length and JSON, padded with spaces so that the data begins on a multiple of 8 bytes.
    private func header() -> [UInt8] {
        var json = Array("{".utf8)
        if !metadata.isEmpty {
            appendJSONString(SafetensorsHeader.metadataKey, to: &json)
            json += ":{".utf8
            for (index, (key, value)) in metadata.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { json += ",".utf8 }
                appendJSONString(key, to: &json)
                json += ":".utf8
                appendJSONString(value, to: &json)
            }
            json += "}".utf8
        }
        var offset = 0
        for (index, entry) in entries.enumerated() {
            if index > 0 || !metadata.isEmpty { json += ",".utf8 }
            appendJSONString(entry.name, to: &json)
            let end = offset + (NLCore.byteCount(shape: entry.shape, dataType: entry.dataType) ?? 0)
            let shape = entry.shape.map(String.init).joined(separator: ",")
            json +=
                ":{\"dtype\":\"\(entry.dataType.rawValue)\",\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}"
                .utf8
            offset = end
        }
        json += "}".utf8
        while json.count % 8 != 0 { json.append(UInt8(ascii: " ")) }
        return withUnsafeBytes(of: UInt64(json.count).littleEndian, Array.init) + json
    }
}
