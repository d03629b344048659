public import Foundation

/// How the elements of a blob are laid out; the names are those of safetensors.
public enum ElementType: String, Sendable, Hashable, Codable, CaseIterable {
    /// IEEE 754 binary64.
    case f64 = "F64"
    /// IEEE 754 binary32.
    case f32 = "F32"
    /// IEEE 754 binary16.
    case f16 = "F16"
    /// The upper half of a binary32.
    case bf16 = "BF16"
    /// Signed, 64 bits.
    case i64 = "I64"
    /// Signed, 32 bits.
    case i32 = "I32"
    /// Unsigned, 64 bits.
    case u64 = "U64"
    /// Unsigned, 32 bits.
    case u32 = "U32"
    /// Bytes.
    case u8 = "U8"

    /// Bytes of one element.
    public var byteCount: Int {
        switch self {
        case .f64, .i64, .u64: 8
        case .f32, .i32, .u32: 4
        case .f16, .bf16: 2
        case .u8: 1
        }
    }
}

/// One named tensor as bytes: row-major, little-endian.
public struct StateBlob: Sendable, Hashable {
    /// Unique within its state.
    public let name: String
    /// The layout of an element.
    public let type: ElementType
    /// Outermost axis first; `[]` is a scalar.
    public let shape: [Int]
    /// `shape` × `type.byteCount` bytes.
    public let bytes: Data

    /// Names bytes the caller already has; nothing is copied.
    public init(name: String, type: ElementType, shape: [Int], bytes: Data) {
        self.name = name
        self.type = type
        self.shape = shape
        self.bytes = bytes
    }

    /// Copies the bytes of `elements`.
    ///
    /// - Precondition: `Element` has the size of `type`.
    public init<Element: BitwiseCopyable>(
        name: String, type: ElementType, shape: [Int], copying elements: UnsafeBufferPointer<Element>
    ) {
        precondition(
            MemoryLayout<Element>.stride == type.byteCount, "\(Element.self) does not have the size of \(type.rawValue)"
        )
        self.init(name: name, type: type, shape: shape, bytes: Data(buffer: elements))
    }

    /// The elements, in place.
    ///
    /// - Precondition: `Element` has the size of ``type``, and the bytes lie aligned for it: those of a state that
    ///   was read back do.
    public func withElements<Element: BitwiseCopyable, Result>(
        as element: Element.Type, _ body: (UnsafeBufferPointer<Element>) throws -> Result
    ) rethrows -> Result {
        precondition(
            MemoryLayout<Element>.stride == type.byteCount, "\(Element.self) does not have the size of \(type.rawValue)"
        )
        return try bytes.withUnsafeBytes { buffer in
            precondition(
                buffer.isEmpty || Int(bitPattern: buffer.baseAddress) % MemoryLayout<Element>.alignment == 0,
                "blob \(name) is not aligned for \(Element.self)")
            return try body(buffer.bindMemory(to: Element.self))
        }
    }

    /// Bytes that `shape` asks for; nil when an axis is negative or the product overflows.
    static func byteCount(shape: [Int], type: ElementType) -> Int? {
        var count = type.byteCount
        for axis in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: axis)
            guard axis >= 0, !overflow else { return nil }
            count = product
        }
        return count
    }
}
