/// Operations on tensors seen as rows of their last axis.
extension Variable {
    private var width: Int { shape.last }
    private var rows: Int { width == 0 ? 0 : value.count / width }

    /// x / sqrt(Σx² + ε) over the last axis (`l2` of spec §2).
    public func unit() -> Variable {
        let (rows, width) = (rows, width)
        let y = Tensor<S>(uninitialized: shape)
        let scales = Tensor<S>(uninitialized: [rows])
        rowBlocks(rows, width) { start, count in
            S.unitRows(count, width, value.pointer + start * width, y.pointer + start * width, scales.pointer + start)
        }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            rowBlocks(rows, width) { start, count in
                let at = start * width
                S.unitRowsBackward(count, width, y.pointer + at, scales.pointer + start, dy.pointer + at, d + at)
            }
        }
    }

    /// g ⊙ x / sqrt(mean(x²) + ε) over the last axis (`rms` of spec §1).
    ///
    /// - Parameters:
    ///   - gain: `[width]`.
    ///   - epsilon: ε; the model's own unless an imported one brings another.
    public func rms(gain: Variable, epsilon: S = normalizationEpsilon(S.self)) -> Variable {
        precondition(gain.shape == [width], "the gain of rms is [\(width)], got \(gain.shape)")
        let (rows, width) = (rows, width)
        let y = Tensor<S>(uninitialized: shape)
        let scales = Tensor<S>(uninitialized: [rows])
        rowBlocks(rows, width) { start, count in
            let at = start * width
            S.rmsRows(
                count, width, epsilon: epsilon, value.pointer + at, gain.value.pointer, y.pointer + at,
                scales.pointer + start)
        }
        return tape.record(y, [self, gain]) { tape, dy in
            // One partial gain gradient a block, summed in order: the same bits for any number of threads.
            let blocks = rowBlockCount(rows, width)
            let partial = Tensor<S>.zeros([blocks, width])
            let unwanted = wantsGradient ? nil : Tensor<S>.zeros(shape)
            guard let d = tape.gradientBuffer(self) ?? unwanted?.pointer else { return }
            rowBlocks(rows, width) { start, count in
                let at = start * width
                let block = start / rowBlockSize(width)
                S.rmsRowsBackward(
                    count, width, value.pointer + at, gain.value.pointer, scales.pointer + start, dy.pointer + at,
                    d + at, partial.pointer + block * width)
            }
            guard let dgain = tape.gradientBuffer(gain) else { return }
            for block in 0..<blocks { S.axpy(width, 1, partial.pointer + block * width, dgain) }
        }
    }

    /// ‖x‖ + ε over the last axis: `[…, 1]`. The gradient at x = 0 is taken as 0.
    public func rowLength() -> Variable {
        let (rows, width) = (rows, width)
        let y = Tensor<S>(uninitialized: Shape(shape.axes.dropLast() + [1]))
        for row in 0..<rows {
            let x = value.pointer + row * width
            y.pointer[row] = S.dot(width, x, x).squareRoot() + normalizationEpsilon(S.self)
        }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            for row in 0..<rows {
                let length = y.pointer[row] - normalizationEpsilon(S.self)
                guard length > 0 else { continue }
                S.axpy(width, dy.pointer[row] / length, value.pointer + row * width, d + row * width)
            }
        }
    }

    /// Each row times its own number.
    ///
    /// - Parameter factors: as many numbers as there are rows, of any shape.
    public func scalingRows(by factors: Variable) -> Variable {
        let (rows, width) = (rows, width)
        precondition(factors.value.count == rows, "\(rows) rows can't be scaled by factors of shape \(factors.shape)")
        let y = Tensor<S>.zeros(shape)
        rowBlocks(rows, width) { start, count in
            for row in start..<start + count {
                S.axpy(width, factors.value.pointer[row], value.pointer + row * width, y.pointer + row * width)
            }
        }
        return tape.record(y, [self, factors]) { tape, dy in
            let d = tape.gradientBuffer(self)
            let dfactors = tape.gradientBuffer(factors)
            rowBlocks(rows, width) { start, count in
                for row in start..<start + count {
                    let at = row * width
                    if let d { S.axpy(width, factors.value.pointer[row], dy.pointer + at, d + at) }
                    if let dfactors { dfactors[row] += S.dot(width, dy.pointer + at, value.pointer + at) }
                }
            }
        }
    }

    /// 1/x of each element.
    public func reciprocal() -> Variable {
        let y = Tensor<S>(uninitialized: shape)
        for i in 0..<y.count { y.pointer[i] = 1 / value.pointer[i] }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            for i in 0..<dy.count { d[i] -= dy.pointer[i] * y.pointer[i] * y.pointer[i] }
        }
    }

    /// ⟨x, readout⟩ + bias by row, with one readout and bias a head.
    ///
    /// - Parameters:
    ///   - readout: `[H, d]`, for `x` of shape `[B·H, T, d]`.
    ///   - bias: `[H]`.
    /// - Returns: `[B·H, T]`.
    public func headReadout(_ readout: Variable, bias: Variable) -> Variable {
        let (groups, length, width, heads) = (shape[0], shape[1], shape[2], readout.shape[0])
        precondition(readout.shape == [heads, width] && bias.shape == [heads] && groups % heads == 0)
        let y = Tensor<S>(uninitialized: [groups, length])
        for group in 0..<groups {
            let r = readout.value.pointer + (group % heads) * width
            for t in 0..<length {
                let row = group * length + t
                y.pointer[row] = S.dot(width, value.pointer + row * width, r) + bias.value.pointer[group % heads]
            }
        }
        return tape.record(y, [self, readout, bias]) { tape, dy in
            let d = tape.gradientBuffer(self)
            let dreadout = tape.gradientBuffer(readout)
            let dbias = tape.gradientBuffer(bias)
            for group in 0..<groups {
                let head = group % heads
                for t in 0..<length {
                    let row = group * length + t
                    let g = dy.pointer[row]
                    if let d { S.axpy(width, g, readout.value.pointer + head * width, d + row * width) }
                    if let dreadout { S.axpy(width, g, value.pointer + row * width, dreadout + head * width) }
                    if let dbias { dbias[head] += g }
                }
            }
        }
    }
}

/// Rows that one thread takes at a time; a function of the width alone.
func rowBlockSize(_ width: Int) -> Int { max(1, (1 << 14) / max(width, 1)) }

func rowBlockCount(_ rows: Int, _ width: Int) -> Int { (rows + rowBlockSize(width) - 1) / rowBlockSize(width) }

/// Splits rows into fixed blocks and hands them to the compute threads.
func rowBlocks(_ rows: Int, _ width: Int, _ body: (_ start: Int, _ count: Int) -> Void) {
    let size = rowBlockSize(width)
    inParallel(rowBlockCount(rows, width), work: rows * width * 4) { block in
        body(block * size, min(size, rows - block * size))
    }
}
