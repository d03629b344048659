extension Variable {
    /// a + b, of one shape.
    public static func + (a: Variable, b: Variable) -> Variable {
        precondition(a.shape == b.shape, "+ wants one shape, got \(a.shape) and \(b.shape)")
        let y = Tensor<S>(uninitialized: a.shape)
        elementBlocks(y.count) { start, count in
            S.add(count, a.value.pointer + start, b.value.pointer + start, y.pointer + start)
        }
        return a.tape.record(y, [a, b]) { tape, dy in
            // The first taker may adopt dy itself, so the second must not write into the same storage.
            tape.addGradient(a, b.wantsGradient && a.wantsGradient ? dy.copy() : dy)
            tape.addGradient(b, dy)
        }
    }

    /// a − b, of one shape.
    public static func - (a: Variable, b: Variable) -> Variable { a + b.scaled(by: -1) }

    /// a ⊙ b, of one shape.
    public static func * (a: Variable, b: Variable) -> Variable {
        precondition(a.shape == b.shape, "* wants one shape, got \(a.shape) and \(b.shape)")
        let y = Tensor<S>(uninitialized: a.shape)
        elementBlocks(y.count) { start, count in
            S.multiplyElements(count, a.value.pointer + start, b.value.pointer + start, y.pointer + start)
        }
        return a.tape.record(y, [a, b]) { tape, dy in
            for (variable, other) in [(a, b), (b, a)] {
                guard let d = tape.gradientBuffer(variable) else { continue }
                elementBlocks(dy.count) { start, count in
                    S.multiplyAccumulate(count, dy.pointer + start, other.value.pointer + start, d + start)
                }
            }
        }
    }

    /// factor · x.
    public func scaled(by factor: S) -> Variable {
        let y = Tensor<S>.zeros(shape)
        elementBlocks(y.count) { start, count in S.axpy(count, factor, value.pointer + start, y.pointer + start) }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            elementBlocks(dy.count) { start, count in S.axpy(count, factor, dy.pointer + start, d + start) }
        }
    }

    /// silu(x) = x · σ(x).
    public func silu() -> Variable {
        let y = Tensor<S>(uninitialized: shape)
        elementBlocks(y.count) { start, count in S.silu(count, value.pointer + start, y.pointer + start) }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            elementBlocks(dy.count) { start, count in
                S.siluBackward(count, value.pointer + start, dy.pointer + start, d + start)
            }
        }
    }

    /// silu'(x), differentiable once more: the inner gradient of a memory is itself trained through.
    public func siluSlope() -> Variable {
        let y = Tensor<S>(uninitialized: shape)
        elementBlocks(y.count) { start, count in S.siluSlope(count, value.pointer + start, y.pointer + start) }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            elementBlocks(dy.count) { start, count in
                S.siluSlopeBackward(count, value.pointer + start, dy.pointer + start, d + start)
            }
        }
    }

    /// σ(x).
    public func sigmoid() -> Variable {
        map(S.sigmoid) { _, y in y * (1 - y) }
    }

    /// log σ(x), exact for large |x|.
    public func logSigmoid() -> Variable {
        map(S.logSigmoid) { x, _ in 1 - S.sigmoid(x) }
    }

    /// eˣ.
    public func exp() -> Variable {
        map(S.exponential) { _, y in y }
    }

    /// A function of each element; for the small tensors of gates, where a kernel would not pay.
    ///
    /// - Parameter slope: dy/dx from x and y.
    private func map(_ function: (S) -> S, slope: @escaping (S, S) -> S) -> Variable {
        let y = Tensor<S>(uninitialized: shape)
        for i in 0..<y.count { y.pointer[i] = function(value.pointer[i]) }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            for i in 0..<dy.count { d[i] += dy.pointer[i] * slope(value.pointer[i], y.pointer[i]) }
        }
    }
}
