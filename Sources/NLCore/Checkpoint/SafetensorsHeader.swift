/// Where one tensor lies in a safetensors file.
public struct TensorDescription: Equatable, Sendable {
    /// The tensor's name, a `state_dict()` key for a model's parameters.
    public let name: String
    /// The type of its elements.
    public let dataType: TensorDataType
    /// Its axes, outermost first; empty for a scalar.
    public let shape: [Int]
    /// Its bytes, counted from the end of the header: row-major, little-endian.
    public let byteRange: Range<Int>

    /// The number of elements: the product of `shape`.
    public var count: Int { byteRange.count / dataType.size }
}

/// The header of a safetensors file: 8 bytes of length, then that many bytes of JSON.
///
/// Everything a reader relies on later is checked here, so that the tensors of an accepted header lie inside the
/// file, do not overlap, leave no hole and have exactly the bytes their shapes ask for.
struct SafetensorsHeader {
    /// The format's own bound; a larger length is damage or an attack, and would be allocated before it is parsed.
    static let maximumLength = 100_000_000

    /// In the order of the header.
    let tensors: [TensorDescription]
    let metadata: [String: String]
    /// Where the tensors' bytes begin.
    let dataOffset: Int

    init(parsing bytes: UnsafeRawBufferPointer, source: String) throws(SafetensorsError) {
        func malformed(_ detail: String) -> SafetensorsError {
            SafetensorsError(source: source, tensor: nil, reason: .malformedHeader(detail))
        }
        func truncated(_ detail: String) -> SafetensorsError {
            SafetensorsError(source: source, tensor: nil, reason: .truncated(detail))
        }
        guard bytes.count >= 8 else { throw truncated("\(bytes.count) bytes cannot hold the 8-byte header length") }
        let declared = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard declared <= UInt64(Self.maximumLength) else {
            throw malformed("it claims \(declared) bytes of header, more than the format's \(Self.maximumLength)")
        }
        let length = Int(declared)
        guard bytes.count - 8 >= length else {
            throw truncated("the header should have \(length) bytes, \(bytes.count - 8) are there")
        }
        guard length > 0, bytes[8] == UInt8(ascii: "{") else { throw malformed("it does not begin with '{'") }

        let root: JSONValue
        do {
            root = try JSONValue(parsing: Array(UnsafeRawBufferPointer(rebasing: bytes[8..<8 + length])))
        } catch {
            throw malformed("\(error)")
        }
        guard let members = root.object?.members else { throw malformed("it is not a JSON object") }

        var names: Set<String> = []
        var metadata: [String: String] = [:]
        var tensors: [TensorDescription] = []
        tensors.reserveCapacity(members.count)
        for (name, value) in members {
            if name == Self.metadataKey {
                guard let entries = value.object?.members else {
                    throw malformed("\(Self.metadataKey) is \(value.kind)")
                }
                for (key, value) in entries {
                    guard let text = value.string else {
                        throw malformed("\(Self.metadataKey).\(key.prefix(80)) is \(value.kind), not a string")
                    }
                    metadata[key] = text
                }
            } else {
                // Different bytes may still be one `String`, by Unicode equivalence; looking it up would be ambiguous.
                guard names.insert(name).inserted else {
                    throw malformed("two tensors are called \"\(name.prefix(80))\"")
                }
                do {
                    tensors.append(try TensorDescription(name: name, entry: value))
                } catch {
                    throw SafetensorsError(source: source, tensor: name, reason: error)
                }
            }
        }
        self.tensors = tensors
        self.metadata = metadata
        dataOffset = 8 + length
        try Self.checkLayout(tensors, dataCount: bytes.count - dataOffset, source: source)
    }

    static let metadataKey = "__metadata__"

    /// Tensors must tile the data exactly: an overlap would alias two tensors, a hole could hide anything.
    private static func checkLayout(
        _ tensors: [TensorDescription], dataCount: Int, source: String
    ) throws(SafetensorsError) {
        var end = 0
        let order = tensors.sorted {
            ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
        }
        for tensor in order {
            let range = tensor.byteRange
            guard range.lowerBound == end else {
                let detail =
                    range.lowerBound < end
                    ? "its bytes \(range) overlap another tensor's, which end at \(end)"
                    : "its bytes \(range) leave a hole after \(end)"
                throw SafetensorsError(source: source, tensor: tensor.name, reason: .malformedTensor(detail))
            }
            end = range.upperBound
            guard end <= dataCount else {
                throw SafetensorsError(
                    source: source, tensor: tensor.name,
                    reason: .truncated("its bytes \(range) lie beyond the \(dataCount) bytes of data"))
            }
        }
        guard end == dataCount else {
            throw SafetensorsError(
                source: source, tensor: nil,
                reason: .malformedHeader("the tensors end at byte \(end) of \(dataCount), the rest belongs to none"))
        }
    }
}

extension TensorDescription {
    /// Reads one entry `{"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}`.
    fileprivate init(name: String, entry: JSONValue) throws(SafetensorsError.Reason) {
        guard let object = entry.object else { throw .malformedTensor("its entry is \(entry.kind), not an object") }
        guard let typeName = object["dtype"]?.string else { throw .malformedTensor("it has no \"dtype\" string") }
        guard let dataType = TensorDataType(rawValue: typeName) else {
            let known = TensorDataType.allCases.map(\.rawValue).joined(separator: ", ")
            throw .malformedTensor("its dtype \"\(typeName.prefix(40))\" is not known; known are \(known)")
        }
        guard let shape = object["shape"]?.array.flatMap(nonNegativeIntegers) else {
            throw .malformedTensor("its \"shape\" is not a list of non-negative integers")
        }
        guard let offsets = object["data_offsets"]?.array.flatMap(nonNegativeIntegers),
            offsets.count == 2, offsets[0] <= offsets[1]
        else {
            throw .malformedTensor("its \"data_offsets\" are not two integers, begin and end")
        }
        guard let byteCount = byteCount(shape: shape, dataType: dataType) else {
            throw .malformedTensor("the size of its shape \(shape) overflows")
        }
        let range = offsets[0]..<offsets[1]
        guard range.count == byteCount else {
            throw .malformedTensor(
                "shape \(shape) of \(typeName) needs \(byteCount) bytes, its offsets hold \(range.count)")
        }
        self.init(name: name, dataType: dataType, shape: shape, byteRange: range)
    }
}

private func nonNegativeIntegers(_ values: [JSONValue]) -> [Int]? {
    let integers = values.compactMap(\.integer)
    return integers.count == values.count && integers.allSatisfy { $0 >= 0 } ? integers : nil
}

/// The bytes a tensor takes, or nil where the product of its axes overflows.
func byteCount(shape: [Int], dataType: TensorDataType) -> Int? {
    var product = dataType.size
    for axis in shape {
        let (next, overflow) = product.multipliedReportingOverflow(by: axis)
        if overflow { return nil }
        product = next
    }
    return product
}
