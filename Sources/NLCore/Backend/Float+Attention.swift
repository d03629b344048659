/// The kernels of softmax attention on `Float`: lanes of 16, whatever the processor makes of them.
extension Float {
    private typealias Lanes = SIMD16<Float>

    @inline(__always)
    private static func lanes(_ x: UnsafePointer<Float>) -> Lanes {
        UnsafeRawPointer(x).loadUnaligned(as: Lanes.self)
    }

    /// See ``TensorScalar/maximum(_:_:)``.
    public static func maximum(_ count: Int, _ x: UnsafePointer<Float>) -> Float {
        var largest = x[0]
        var i = 0
        if count >= 16 {
            var wide = lanes(x)
            i = 16
            while i + 16 <= count {
                wide = pointwiseMax(wide, lanes(x + i))
                i += 16
            }
            largest = wide.max()
        }
        while i < count {
            largest = Swift.max(largest, x[i])
            i += 1
        }
        return largest
    }

    /// See ``TensorScalar/shiftedExponentials(_:_:shift:_:)``; the sum's order depends on the count alone.
    public static func shiftedExponentials(
        _ count: Int, _ x: UnsafePointer<Float>, shift: Float, _ y: UnsafeMutablePointer<Float>
    ) -> Float {
        var i = 0
        while i + 16 <= count {
            UnsafeMutableRawPointer(y + i).storeBytes(of: lanes(x + i) - shift, as: Lanes.self)
            i += 16
        }
        while i < count {
            y[i] = x[i] - shift
            i += 1
        }
        exponentials(count, y, y)
        var wide = Lanes()
        i = 0
        while i + 16 <= count {
            wide += lanes(y + i)
            i += 16
        }
        var sum = wide.sum()
        while i < count {
            sum += y[i]
            i += 1
        }
        return sum
    }
}
