extension Variable {
    /// Depthwise causal convolution: y_t = Σ_j filter_j ⊙ x_{t−w+1+j}, the newest tap last.
    ///
    /// - Parameters:
    ///   - filter: `[D, w]`.
    ///   - history: the `w − 1` rows before `x`, `[B, w − 1, D]`; no gradient flows into it.
    /// - Returns: `[B, T, D]`.
    public func causalConvolution(_ filter: Variable, history: Tensor<S>) -> Variable {
        let (batch, length, width, window) = (shape[0], shape[1], shape[2], filter.shape[1])
        precondition(filter.shape[0] == width && history.shape == [batch, window - 1, width])
        // One row of taps after another, so that the inner loop runs along the channels.
        let taps = Tensor<S>(uninitialized: [window, width])
        for c in 0..<width {
            for j in 0..<window { taps.pointer[j * width + c] = filter.value.pointer[c * window + j] }
        }
        let y = Tensor<S>.zeros(shape)
        // Row t − w + 1 + j of a stream: from the history when it lies before the first token.
        let row = { (b: Int, t: Int) -> UnsafeMutablePointer<S> in
            t >= 0
                ? value.pointer + (b * length + t) * width
                : history.pointer + (b * (window - 1) + window - 1 + t) * width
        }
        inParallel(batch, work: y.count * window) { b in
            for t in 0..<length {
                for j in 0..<window {
                    let out = y.pointer + (b * length + t) * width
                    S.multiplyAccumulate(width, taps.pointer + j * width, row(b, t - window + 1 + j), out)
                }
            }
        }
        return tape.record(y, [self, filter]) { tape, dy in
            let dx = tape.gradientBuffer(self)
            let dtaps = Tensor<S>.zeros([batch, window, width])
            inParallel(batch, work: value.count * window) { b in
                for t in 0..<length {
                    let dout = dy.pointer + (b * length + t) * width
                    for j in 0..<window {
                        let from = t - window + 1 + j
                        S.multiplyAccumulate(width, dout, row(b, from), dtaps.pointer + (b * window + j) * width)
                        if let dx, from >= 0 {
                            S.multiplyAccumulate(
                                width, dout, taps.pointer + j * width, dx + (b * length + from) * width)
                        }
                    }
                }
            }
            guard let dfilter = tape.gradientBuffer(filter) else { return }
            for b in 0..<batch {
                for j in 0..<window {
                    for c in 0..<width { dfilter[c * window + j] += dtaps.pointer[(b * window + j) * width + c] }
                }
            }
        }
    }

    /// Rows of an embedding table.
    ///
    /// - Parameter tokens: row numbers, `[B, T]` in row-major order.
    /// - Returns: `[B, T, D]` for `self` of shape `[V, D]`.
    public func embedding(_ tokens: [Int32], batch: Int) -> Variable {
        let width = shape[1]
        let y = Tensor<S>(uninitialized: [batch, tokens.count / batch, width])
        for (row, token) in tokens.enumerated() {
            precondition(token >= 0 && token < shape[0], "token \(token) of a vocabulary of \(shape[0])")
            value.copyRow(Int(token), to: y.pointer + row * width)
        }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            for (row, token) in tokens.enumerated() {
                S.axpy(width, 1, dy.pointer + row * width, d + Int(token) * width)
            }
        }
    }

    /// Σ over rows of weight · (−log softmax(x)[target]).
    ///
    /// - Parameters:
    ///   - targets: one class a row.
    ///   - weights: one factor a row; 0 leaves a row out, 1/N for each gives the mean.
    /// - Returns: the weighted sum `[1]`, and every row's unweighted loss.
    public func crossEntropy(_ targets: [Int32], weights: [S]) -> (loss: Variable, rowLosses: [S]) {
        let width = shape.last
        let rows = value.count / width
        precondition(targets.count == rows && weights.count == rows, "\(rows) rows, \(targets.count) targets")
        precondition(targets.allSatisfy { $0 >= 0 && $0 < width }, "a target lies outside the \(width) classes")
        let gradient = value.copy()
        let losses = Tensor<S>(uninitialized: [rows])
        targets.withUnsafeBufferPointer { targets in
            weights.withUnsafeBufferPointer { weights in
                guard let firstTarget = targets.baseAddress, let firstWeight = weights.baseAddress else { return }
                rowBlocks(rows, width) { start, count in
                    S.crossEntropyRows(
                        count, width, gradient.pointer + start * width, firstTarget + start, firstWeight + start,
                        losses.pointer + start)
                }
            }
        }
        return weighted(losses, weights, gradient)
    }

    /// Σ over rows of weight · (−Σ_v p_v log softmax(x)_v): the cross-entropy against another model's predictions
    /// (distillation: Hinton, Vinyals & Dean 2015). It is least where softmax(x) = p.
    ///
    /// - Parameters:
    ///   - probabilities: p, of the shape of `x`, each row summing to 1; no gradient flows into it.
    ///   - weights: one factor a row.
    /// - Returns: the weighted sum `[1]`, and every row's unweighted cross-entropy.
    public func crossEntropy(toward probabilities: Tensor<S>, weights: [S]) -> (loss: Variable, rowLosses: [S]) {
        let width = shape.last
        let rows = value.count / width
        precondition(
            probabilities.count == value.count && weights.count == rows, "\(rows) rows, \(weights.count) weights")
        let gradient = value.copy()
        let losses = Tensor<S>(uninitialized: [rows])
        rowBlocks(rows, width) { start, count in
            for row in start..<start + count {
                let x = gradient.pointer + row * width
                let p = probabilities.pointer + row * width
                // −Σ p x + x_0 here and log Σ exp x − x_0 from the kernel: together −Σ p log softmax(x).
                let expected = S.dot(width, p, x) - x[0]
                var (target, weight) = (Int32(0), weights[row])
                S.crossEntropyRows(1, width, x, &target, &weight, losses.pointer + row)
                losses.pointer[row] -= expected
                x[0] += weight
                S.axpy(width, -weight, p, x)
            }
        }
        return weighted(losses, weights, gradient)
    }

    /// Σ over rows of weight · loss, whose gradient has been computed beside it.
    private func weighted(
        _ losses: Tensor<S>, _ weights: [S], _ gradient: Tensor<S>
    ) -> (loss: Variable, rowLosses: [S]) {
        var sum: S = 0
        for row in 0..<losses.count { sum += weights[row] * losses.pointer[row] }
        let loss = tape.record(Tensor([sum], shape: [1]), [self]) { tape, dy in
            let scale = dy.pointer[0]
            if scale == 1 { return tape.addGradient(self, gradient) }
            guard let d = tape.gradientBuffer(self) else { return }
            elementBlocks(gradient.count) { start, count in S.axpy(count, scale, gradient.pointer + start, d + start) }
        }
        return (loss, losses.elements)
    }

    /// softmax of each row, as a constant.
    public func softmaxRows() -> Tensor<S> {
        let width = shape.last
        let rows = value.count / width
        let y = value.copy()
        rowBlocks(rows, width) { start, count in
            for row in start..<start + count {
                let x = y.pointer + row * width
                var (target, weight, loss) = (Int32(0), S(1), S(0))
                // The kernel leaves softmax − one-hot(0).
                S.crossEntropyRows(1, width, x, &target, &weight, &loss)
                x[0] += 1
            }
        }
        return y
    }
}
