import Glibc

/// The kernels as plain loops: the form to read, and the one the vectorised kernels are held to.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension TensorScalar {
    public static func exponentials(_ count: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>) {
        for i in 0..<count { y[i] = exponential(x[i]) }
    }

    public static func sigmoids(_ count: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>) {
        for i in 0..<count { y[i] = sigmoid(x[i]) }
    }

    public static func silu(_ count: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>) {
        for i in 0..<count { y[i] = x[i] * sigmoid(x[i]) }
    }

    public static func siluBackward(
        _ count: Int, _ x: UnsafePointer<Self>, _ dy: UnsafePointer<Self>, _ dx: UnsafeMutablePointer<Self>
    ) {
        for i in 0..<count {
            let s = sigmoid(x[i])
            dx[i] += dy[i] * (s * (1 + x[i] * (1 - s)))
        }
    }

    public static func siluSlope(_ count: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>) {
        for i in 0..<count {
            let s = sigmoid(x[i])
            y[i] = s * (1 + x[i] * (1 - s))
        }
    }

    // silu'' = s(1−s)(2 + x(1−2s)), from differentiating s + x·s(1−s).
    public static func siluSlopeBackward(
        _ count: Int, _ x: UnsafePointer<Self>, _ dy: UnsafePointer<Self>, _ dx: UnsafeMutablePointer<Self>
    ) {
        for i in 0..<count {
            let s = sigmoid(x[i])
            dx[i] += dy[i] * (s * (1 - s) * (2 + x[i] * (1 - 2 * s)))
        }
    }

    public static func add(
        _ count: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>
    ) {
        for i in 0..<count { y[i] = a[i] + b[i] }
    }

    public static func multiplyElements(
        _ count: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>
    ) {
        for i in 0..<count { y[i] = a[i] * b[i] }
    }

    public static func multiplyAccumulate(
        _ count: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>
    ) {
        for i in 0..<count { y[i] += a[i] * b[i] }
    }

    public static func axpy(
        _ count: Int, _ scale: Self, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>
    ) {
        for i in 0..<count { y[i] += scale * x[i] }
    }

    public static func addSigned(
        _ count: Int, _ value: Self, _ bits: UnsafePointer<UInt64>, _ y: UnsafeMutablePointer<Self>
    ) {
        for i in 0..<count { y[i] += bits[i / 64] >> (i % 64) & 1 == 0 ? value : -value }
    }

    public static func dot(_ count: Int, _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>) -> Self {
        var sum: Self = 0
        for i in 0..<count { sum += a[i] * b[i] }
        return sum
    }

    public static func unitRows(
        _ rows: Int, _ width: Int, _ x: UnsafePointer<Self>, _ y: UnsafeMutablePointer<Self>,
        _ scales: UnsafeMutablePointer<Self>
    ) {
        for row in 0..<rows {
            let xr = x + row * width
            let yr = y + row * width
            let scale = 1 / (dot(width, xr, xr) + normalizationEpsilon(Self.self)).squareRoot()
            scales[row] = scale
            for i in 0..<width { yr[i] = xr[i] * scale }
        }
    }

    public static func unitRowsBackward(
        _ rows: Int, _ width: Int, _ y: UnsafePointer<Self>, _ scales: UnsafePointer<Self>,
        _ dy: UnsafePointer<Self>, _ dx: UnsafeMutablePointer<Self>
    ) {
        for row in 0..<rows {
            let at = row * width
            let along = dot(width, dy + at, y + at)
            for i in at..<at + width { dx[i] += scales[row] * (dy[i] - y[i] * along) }
        }
    }

    public static func rmsRows(
        _ rows: Int, _ width: Int, epsilon: Self, _ x: UnsafePointer<Self>, _ gain: UnsafePointer<Self>,
        _ y: UnsafeMutablePointer<Self>, _ scales: UnsafeMutablePointer<Self>
    ) {
        for row in 0..<rows {
            let xr = x + row * width
            let yr = y + row * width
            let mean = dot(width, xr, xr) / Self(width)
            let scale = 1 / (mean + epsilon).squareRoot()
            scales[row] = scale
            for i in 0..<width { yr[i] = xr[i] * scale * gain[i] }
        }
    }

    // With r = 1/sqrt(mean(x²)+ε): dx = r·(g⊙dy) − x·r³·⟨x, g⊙dy⟩/width.
    public static func rmsRowsBackward(
        _ rows: Int, _ width: Int, _ x: UnsafePointer<Self>, _ gain: UnsafePointer<Self>,
        _ scales: UnsafePointer<Self>, _ dy: UnsafePointer<Self>, _ dx: UnsafeMutablePointer<Self>,
        _ dgain: UnsafeMutablePointer<Self>
    ) {
        for row in 0..<rows {
            let at = row * width
            let scale = scales[row]
            var along: Self = 0
            for i in 0..<width { along += x[at + i] * gain[i] * dy[at + i] }
            let pull = along * scale * scale * scale / Self(width)
            for i in 0..<width {
                dgain[i] += dy[at + i] * x[at + i] * scale
                dx[at + i] += scale * gain[i] * dy[at + i] - x[at + i] * pull
            }
        }
    }

    public static func maximum(_ count: Int, _ x: UnsafePointer<Self>) -> Self {
        var largest = x[0]
        for i in 1..<Swift.max(count, 1) { largest = Swift.max(largest, x[i]) }
        return largest
    }

    public static func shiftedExponentials(
        _ count: Int, _ x: UnsafePointer<Self>, shift: Self, _ y: UnsafeMutablePointer<Self>
    ) -> Self {
        var sum: Self = 0
        for i in 0..<count {
            y[i] = exponential(x[i] - shift)
            sum += y[i]
        }
        return sum
    }

    public static func rotateHalves(
        _ heads: Int, _ half: Int, _ x: UnsafeMutablePointer<Self>, _ cosines: UnsafePointer<Self>,
        _ sines: UnsafePointer<Self>
    ) {
        for head in 0..<heads {
            let a = x + head * 2 * half
            let b = a + half
            for i in 0..<half {
                let (left, right) = (a[i], b[i])
                a[i] = left * cosines[i] - right * sines[i]
                b[i] = right * cosines[i] + left * sines[i]
            }
        }
    }

    public static func crossEntropyRows(
        _ rows: Int, _ width: Int, _ x: UnsafeMutablePointer<Self>, _ targets: UnsafePointer<Int32>,
        _ weights: UnsafePointer<Self>, _ losses: UnsafeMutablePointer<Self>
    ) {
        for row in 0..<rows {
            let xr = x + row * width
            var largest = xr[0]
            for i in 1..<width { largest = Swift.max(largest, xr[i]) }
            let target = Int(targets[row])
            let atTarget = xr[target]
            var sum: Self = 0
            for i in 0..<width {
                xr[i] = exponential(xr[i] - largest)
                sum += xr[i]
            }
            losses[row] = logarithm(sum) + largest - atTarget
            let scale = weights[row] / sum
            for i in 0..<width { xr[i] *= scale }
            xr[target] -= weights[row]
        }
    }

    public static func adamW(
        _ count: Int, _ step: AdamWStep<Self>, _ gradient: UnsafePointer<Self>,
        _ parameter: UnsafeMutablePointer<Self>, _ first: UnsafeMutablePointer<Self>,
        _ second: UnsafeMutablePointer<Self>
    ) {
        for i in 0..<count {
            let g = gradient[i] * step.gradientScale
            first[i] = step.beta1 * first[i] + (1 - step.beta1) * g
            second[i] = step.beta2 * second[i] + (1 - step.beta2) * g * g
            let root = (second[i] / step.correction2).squareRoot() + step.epsilon
            parameter[i] -= step.learningRate * (first[i] / step.correction1 / root + step.weightDecay * parameter[i])
        }
    }

    /// 1 / (1 + e⁻ˣ), without overflow.
    static func sigmoid(_ x: Self) -> Self {
        let e = exponential(-abs(x))
        return x >= 0 ? 1 / (1 + e) : e / (1 + e)
    }

    /// log σ(x) = −log(1 + e⁻ˣ), without overflow or loss near zero.
    static func logSigmoid(_ x: Self) -> Self {
        Swift.min(x, 0) - logarithmOfOnePlus(exponential(-abs(x)))
    }

    static func exponential(_ x: Self) -> Self {
        if Self.self == Float.self { return Self(expf(Float(x))) }
        return Self(exp(Double(x)))
    }

    static func logarithm(_ x: Self) -> Self {
        if Self.self == Float.self { return Self(logf(Float(x))) }
        return Self(log(Double(x)))
    }

    static func logarithmOfOnePlus(_ x: Self) -> Self {
        if Self.self == Float.self { return Self(log1pf(Float(x))) }
        return Self(log1p(Double(x)))
    }
}
