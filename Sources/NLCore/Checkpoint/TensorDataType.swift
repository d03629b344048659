/// The element types of a safetensors file, by their names there.
public enum TensorDataType: String, Sendable, CaseIterable {
    /// One byte, 0 or 1.
    case bool = "BOOL"
    /// Unsigned 8-bit integer.
    case uint8 = "U8"
    /// Signed 8-bit integer.
    case int8 = "I8"
    /// Unsigned 16-bit integer.
    case uint16 = "U16"
    /// Signed 16-bit integer.
    case int16 = "I16"
    /// IEEE 754 binary16.
    case float16 = "F16"
    /// The upper half of an IEEE 754 binary32.
    case bfloat16 = "BF16"
    /// Unsigned 32-bit integer.
    case uint32 = "U32"
    /// Signed 32-bit integer.
    case int32 = "I32"
    /// IEEE 754 binary32.
    case float32 = "F32"
    /// Unsigned 64-bit integer.
    case uint64 = "U64"
    /// Signed 64-bit integer.
    case int64 = "I64"
    /// IEEE 754 binary64.
    case float64 = "F64"

    /// Bytes per element.
    public var size: Int {
        switch self {
        case .bool, .uint8, .int8: 1
        case .uint16, .int16, .float16, .bfloat16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        }
    }
}

/// The 16 bits of `value` in bfloat16, rounded to nearest, ties to even; NaN stays NaN.
func bfloat16Bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    // Rounding up could carry a NaN's payload into infinity, and truncation could clear it: keep it quiet instead.
    if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x0040 }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
}

/// The value of a bfloat16; exact, since it is the upper half of a `Float`.
func float(bfloat16Bits bits: UInt16) -> Float {
    Float(bitPattern: UInt32(bits) << 16)
}
