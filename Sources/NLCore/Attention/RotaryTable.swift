internal import Glibc

/// Cosines and sines of rotary positions (Su et al. 2021), one row a position, halves of a head rotated against each other.
///
/// The variants are those of Hugging Face's `rope_scaling`. [choice] dynamic: the token at position t is rotated by the
/// frequencies of a text of t + 1 tokens, which is what reading one token after another gives there; so what a stream
/// gives does not depend on how it is cut.
struct RotaryTable<S: TensorScalar> {
    /// `[positions, d/2]`.
    let cosines: Tensor<S>
    let sines: Tensor<S>

    init(_ g: AttentionGeometry, positions: some Collection<Int>) {
        let half = g.head / 2
        let fixed = RotaryFrequencies(g, length: nil)
        cosines = Tensor(uninitialized: [positions.count, half])
        sines = Tensor(uninitialized: [positions.count, half])
        for (row, position) in positions.enumerated() {
            let own = g.scaling?.kind == .dynamic ? RotaryFrequencies(g, length: position + 1) : fixed
            for i in 0..<half {
                let angle = Double(position) * own.frequencies[i]
                cosines.pointer[row * half + i] = S(cos(angle) * own.factor)
                sines.pointer[row * half + i] = S(sin(angle) * own.factor)
            }
        }
    }
}

extension RotaryTable {
    /// The table of so many positions after a state's.
    init(_ g: AttentionGeometry, after state: AttentionState<S>, _ length: Int) {
        self.init(g, positions: state.position..<state.position + length)
    }
}

/// The frequency of each pair of dimensions, and the factor on cosines and sines.
struct RotaryFrequencies {
    private(set) var frequencies: [Double]
    private(set) var factor = 1.0

    /// - Parameter length: tokens of the text so far, which only the dynamic variant asks for.
    init(_ g: AttentionGeometry, length: Int?) {
        let dimensions = Double(g.head)
        var base = g.rotaryBase
        if let scaling = g.scaling, scaling.kind == .dynamic, let original = scaling.originalContext {
            let stretch = scaling.factor * Double(max(length ?? 0, original)) / Double(original) - (scaling.factor - 1)
            // A head of two has one frequency, which no base changes.
            if g.head > 2 { base *= pow(stretch, dimensions / (dimensions - 2)) }
        }
        frequencies = (0..<g.head / 2).map { 1 / pow(base, Double(2 * $0) / dimensions) }
        guard let scaling = g.scaling else { return }
        switch scaling.kind {
        case .linear: frequencies = frequencies.map { $0 / scaling.factor }
        case .dynamic: break
        case .llama3: stretchLongWaves(scaling)
        case .yarn: stretchByRamp(scaling, g)
        }
    }

    /// YaRN's factor where a file gives two scales instead.
    static func attentionFactor(_ factor: Double, over own: Double, _ all: Double) -> Double {
        (0.1 * own * log(factor) + 1) / (0.1 * all * log(factor) + 1)
    }

    private mutating func stretchLongWaves(_ scaling: RotaryScaling) {
        let context = Double(scaling.originalContext ?? 1)
        let (low, high) = (scaling.lowFrequencyFactor ?? 1, scaling.highFrequencyFactor ?? 4)
        frequencies = frequencies.map { frequency in
            let wave = 2 * Double.pi / frequency
            if wave < context / high { return frequency }
            if wave > context / low { return frequency / scaling.factor }
            let smooth = (context / wave - low) / (high - low)
            return (1 - smooth) * frequency / scaling.factor + smooth * frequency
        }
    }

    private mutating func stretchByRamp(_ scaling: RotaryScaling, _ g: AttentionGeometry) {
        let (dimensions, context) = (Double(g.head), Double(scaling.originalContext ?? 1))
        // The dimension that turns so often in the original context.
        func dimension(turning rotations: Double) -> Double {
            dimensions * log(context / (rotations * 2 * .pi)) / (2 * log(g.rotaryBase))
        }
        var low = dimension(turning: scaling.betaFast ?? 32)
        var high = dimension(turning: scaling.betaSlow ?? 1)
        if scaling.truncates ?? true { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        (low, high) = (max(low, 0), min(high, dimensions - 1))
        if low == high { high += 0.001 }
        for i in frequencies.indices {
            let ramp = min(max((Double(i) - low) / (high - low), 0), 1)
            frequencies[i] = frequencies[i] / scaling.factor * ramp + frequencies[i] * (1 - ramp)
        }
        factor = scaling.attentionFactor ?? (scaling.factor <= 1 ? 1 : 0.1 * log(scaling.factor) + 1)
    }
}

extension Variable {
    /// Rotates every head by its position: `[B, T, heads·d]`, one row of the table for each of the T positions.
    func rotated(_ table: RotaryTable<S>, heads: Int) -> Variable {
        let (batch, length, half) = (shape[0], shape[1], table.cosines.shape[1])
        precondition(table.cosines.shape[0] == length && shape[2] == heads * 2 * half)
        func turn(_ x: Tensor<S>, _ sines: Tensor<S>) {
            rowBlocks(batch * length, heads * 2 * half) { start, count in
                for row in start..<start + count {
                    let at = row % length * half
                    S.rotateHalves(
                        heads, half, x.pointer + row * heads * 2 * half, table.cosines.pointer + at,
                        sines.pointer + at)
                }
            }
        }
        let y = value.copy()
        turn(y, table.sines)
        return tape.record(y, [self]) { tape, dy in
            let back = Tensor<S>.zeros(table.sines.shape)
            S.axpy(back.count, -1, table.sines.pointer, back.pointer)
            let dx = dy.copy()
            turn(dx, back)
            tape.addGradient(self, dx)
        }
    }

    /// Adds one number to each column: a projection's bias, `[width]`.
    func adding(bias: Variable) -> Variable {
        let width = shape.last
        precondition(bias.shape == [width], "the bias of rows of \(width) is [\(width)], got \(bias.shape)")
        let rows = value.count / width
        let y = Tensor<S>(uninitialized: shape)
        for row in 0..<rows {
            S.add(width, value.pointer + row * width, bias.value.pointer, y.pointer + row * width)
        }
        return tape.record(y, [self, bias]) { tape, dy in
            if let d = tape.gradientBuffer(bias) {
                for row in 0..<rows { S.axpy(width, 1, dy.pointer + row * width, d) }
            }
            tape.addGradient(self, dy)
        }
    }
}
