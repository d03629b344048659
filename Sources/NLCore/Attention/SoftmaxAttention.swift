internal import Glibc

/// Softmax attention, differentiable: the mixer of Hope-Attention (spec §1; NL §7.3).
///
/// Shapes: `B` streams, `T` tokens, `H` heads of queries, `H_kv` of keys and values, `g = H/H_kv`, `d` a head's width,
/// `P` positions of the past. This is the form that training uses; ``StreamingAttention`` serves.
struct SoftmaxAttention<S: TensorScalar> {
    /// Two equal ways to compute it.
    enum Form: Sendable, CaseIterable {
        /// One operation that keeps no scores and computes them again on the way back: the fast one.
        case fused
        /// Products, exponentials and sums of the tape: the reference.
        case composed
    }

    let geometry: AttentionGeometry
    let parameters: HopeParameters<Variable<S>>.Attention
    var form = Form.fused

    /// Reads `u`, `[B, T, D]`, after what the state holds; gradients stop at the state.
    ///
    /// - Parameter table: of the T positions after the state's; nil makes one.
    func callAsFunction(
        _ u: Variable<S>, state: AttentionState<S>, table: RotaryTable<S>? = nil
    ) -> (output: Variable<S>, state: AttentionState<S>) {
        let g = geometry
        let (batch, length) = (u.shape[0], u.shape[1])
        let table = table ?? RotaryTable(g, after: state, length)
        let queries = project(u, parameters.query, parameters.inputBias?.query, parameters.headGains?.query)
            .rotated(table, heads: g.heads).splitHeads(g.heads)
            .reshaped([batch * g.keyValueHeads, g.group * length, g.head])
        let newKeys = project(u, parameters.key, parameters.inputBias?.key, parameters.headGains?.key)
            .rotated(table, heads: g.keyValueHeads).splitHeads(g.keyValueHeads)
        let newValues = project(u, parameters.value, parameters.inputBias?.value, nil).splitHeads(g.keyValueHeads)
        var (keys, values) = (newKeys, newValues)
        if let past = state.rows(g) {
            keys = .concatenated([u.owner.constant(past.keys), newKeys])
            values = .concatenated([u.owner.constant(past.values), newValues])
        }
        let span = AttentionSpan(past: keys.shape[1] - length, length: length, window: g.window)
        let scale = 1 / S(g.head).squareRoot()
        let mixed =
            form == .fused
            ? queries.attending(keys, values, span, scale: scale)
            : queries.attendingByParts(keys, values, span, scale: scale)
        var output = mixed.reshaped([batch * g.heads, length, g.head]).mergeHeads(g.heads).linear(parameters.output)
        if let bias = parameters.outputBias { output = output.adding(bias: bias) }
        return (output, after(state, keys.value, values.value, length))
    }

    private func project(
        _ u: Variable<S>, _ weight: Variable<S>, _ bias: Variable<S>?, _ gain: Variable<S>?
    ) -> Variable<S> {
        var y = u.linear(weight)
        if let bias { y = y.adding(bias: bias) }
        guard let gain else { return y }
        let rows = y.value.count / geometry.head
        return y.reshaped([rows, geometry.head]).rms(gain: gain, epsilon: S(geometry.epsilon)).reshaped(y.shape)
    }

    /// The last positions that anyone will see.
    private func after(
        _ state: AttentionState<S>, _ keys: Tensor<S>, _ values: Tensor<S>, _ length: Int
    ) -> AttentionState<S> {
        let total = keys.shape[1]
        let kept = min(total, max(geometry.window - 1, 0))
        let position = state.position + length
        guard kept > 0 else { return AttentionState(position: position, batch: state.batch, source: .nothing) }
        return AttentionState(
            position: position, batch: state.batch,
            source: .rows(
                keys: keys.positions(total - kept..<total), values: values.positions(total - kept..<total)))
    }
}

/// Which positions a window of `length` tokens after `past` others sees.
struct AttentionSpan: Sendable {
    let past: Int
    let length: Int
    let window: Int

    /// The keys that the token at `time` of the window sees.
    func visible(to time: Int) -> Range<Int> { max(past + time - window + 1, 0)..<past + time + 1 }
}

extension Tensor {
    /// Positions of axis 1.
    fileprivate func positions(_ range: Range<Int>) -> Tensor {
        if range.count == shape[1] { return self }
        let width = shape[2]
        let cut = Tensor(uninitialized: [shape[0], range.count, width])
        for group in 0..<shape[0] {
            (cut.pointer + group * range.count * width).update(
                from: pointer + (group * shape[1] + range.lowerBound) * width, count: range.count * width)
        }
        return cut
    }
}

extension Variable {
    /// Softmax attention by operations of the tape.
    ///
    /// - Parameters:
    ///   - keys: `[G, P + T, d]`, for queries `[G, g·T, d]`.
    ///   - values: `[G, P + T, d]`.
    func attendingByParts(_ keys: Variable, _ values: Variable, _ span: AttentionSpan, scale: S) -> Variable {
        let (groups, rows, total) = (shape[0], shape[1], keys.shape[1])
        let scores = matmul(keys, transposeRight: true).scaled(by: scale)
        // What is not seen is pushed below everything; the largest of a row is taken off, which changes no share.
        let shift = Tensor<S>(repeating: -1e30, shape: scores.shape)
        for row in 0..<groups * rows {
            let visible = span.visible(to: row % rows % span.length)
            var largest = scores.value.pointer[row * total + visible.lowerBound]
            for key in visible { largest = Swift.max(largest, scores.value.pointer[row * total + key]) }
            for key in visible { shift.pointer[row * total + key] = -largest }
        }
        let weights = (scores + tape.constant(shift)).exp()
        let sums = weights.linear(tape.constant(Tensor(repeating: 1, shape: [1, total])))
        return weights.scalingRows(by: sums.reciprocal()).matmul(values)
    }

    /// Softmax attention as one operation: scores live for a block of rows, and are computed again on the way back.
    func attending(_ keys: Variable, _ values: Variable, _ span: AttentionSpan, scale: S) -> Variable {
        let (groups, rows, width) = (shape[0], shape[1], shape[2])
        let y = Tensor<S>(uninitialized: shape)
        // log Σ e^score of each row.
        let totals = Tensor<S>(uninitialized: [groups, rows])
        let blocks = AttentionBlock.all(rows: rows, span)
        let all = keys.shape[1] * width
        inParallel(groups * blocks.count) { index in
            let (group, block) = (index / blocks.count, blocks[index % blocks.count])
            let at = group * rows + block.first
            let scores = block.scores(value.pointer + at * width, keys.value.pointer + group * all, width, scale)
            let seen = block.keys.count
            for row in 0..<block.count {
                let line = scores.pointer + row * seen
                let visible = block.visible(to: row, span)
                let largest = S.maximum(visible.count, line + visible.lowerBound)
                let sum = S.shiftedExponentials(
                    visible.count, line + visible.lowerBound, shift: largest, line + visible.lowerBound)
                block.clearUnseen(line, visible)
                let inverse = 1 / sum
                for key in visible { line[key] *= inverse }
                totals.pointer[at + row] = largest + S.logarithm(sum)
            }
            let shape = ProductShape(m: block.count, n: width, k: seen)
            S.multiply(
                shape, scores.pointer, seen, values.value.pointer + group * all + block.keys.lowerBound * width, width,
                y.pointer + at * width, width, accumulate: false)
        }
        return tape.record(y, [self, keys, values]) { tape, dy in
            let unwanted = Tensor<S>.zeros(keys.shape)
            let (dqueries, dkeys, dvalues) = (
                tape.gradientBuffer(self), tape.gradientBuffer(keys) ?? unwanted.pointer,
                tape.gradientBuffer(values) ?? unwanted.pointer
            )
            // A group's blocks in order, since they add to the same keys.
            inParallel(groups) { group in
                for block in blocks {
                    let at = group * rows + block.first
                    let first = group * all + block.keys.lowerBound * width
                    let seen = block.keys.count
                    let shares = block.scores(
                        value.pointer + at * width, keys.value.pointer + group * all, width, scale)
                    let slopes = Tensor<S>(uninitialized: [block.count, seen])
                    let wide = ProductShape(m: block.count, n: seen, k: width, transposeB: true)
                    S.multiply(
                        wide, dy.pointer + at * width, width, values.value.pointer + first, width, slopes.pointer,
                        seen, accumulate: false)
                    for row in 0..<block.count {
                        let (line, slope) = (shares.pointer + row * seen, slopes.pointer + row * seen)
                        let visible = block.visible(to: row, span)
                        _ = S.shiftedExponentials(
                            visible.count, line + visible.lowerBound, shift: totals.pointer[at + row],
                            line + visible.lowerBound)
                        block.clearUnseen(line, visible)
                        let along = S.dot(width, dy.pointer + (at + row) * width, y.pointer + (at + row) * width)
                        for key in visible { slope[key] = line[key] * (slope[key] - along) * scale }
                        block.clearUnseen(slope, visible)
                    }
                    let tall = ProductShape(m: seen, n: width, k: block.count, transposeA: true)
                    S.multiply(
                        tall, shares.pointer, seen, dy.pointer + at * width, width, dvalues + first, width,
                        accumulate: true)
                    S.multiply(
                        tall, slopes.pointer, seen, value.pointer + at * width, width, dkeys + first, width,
                        accumulate: true)
                    guard let dqueries else { continue }
                    S.multiply(
                        ProductShape(m: block.count, n: width, k: seen), slopes.pointer, seen,
                        keys.value.pointer + first, width, dqueries + at * width, width, accumulate: true)
                }
            }
        }
    }
}

/// Some rows of queries of one head, and the keys that any of them sees.
private struct AttentionBlock {
    /// The first row, among the g·T of a group.
    let first: Int
    let count: Int
    /// The token of the first row.
    let time: Int
    let keys: Range<Int>

    private static var size: Int { 64 }

    static func all(rows: Int, _ span: AttentionSpan) -> [AttentionBlock] {
        var blocks: [AttentionBlock] = []
        for head in 0..<rows / span.length {
            for time in stride(from: 0, to: span.length, by: size) {
                let count = min(size, span.length - time)
                let keys = span.visible(to: time).lowerBound..<span.visible(to: time + count - 1).upperBound
                blocks.append(AttentionBlock(first: head * span.length + time, count: count, time: time, keys: keys))
            }
        }
        return blocks
    }

    /// scale · q kᵀ, `[count, keys.count]`.
    func scores<S: TensorScalar>(
        _ queries: UnsafePointer<S>, _ allKeys: UnsafePointer<S>, _ width: Int, _ scale: S
    ) -> Tensor<S> {
        let scores = Tensor<S>(uninitialized: [count, keys.count])
        let scaled = Tensor<S>.zeros([count, width])
        S.axpy(count * width, scale, queries, scaled.pointer)
        let shape = ProductShape(m: count, n: keys.count, k: width, transposeB: true)
        S.multiply(
            shape, scaled.pointer, width, allKeys + keys.lowerBound * width, width, scores.pointer, keys.count,
            accumulate: false)
        return scores
    }

    /// The keys that a row sees, counted from the block's first key.
    func visible(to row: Int, _ span: AttentionSpan) -> Range<Int> {
        let visible = span.visible(to: time + row)
        return visible.lowerBound - keys.lowerBound..<visible.upperBound - keys.lowerBound
    }

    func clearUnseen<S: TensorScalar>(_ line: UnsafeMutablePointer<S>, _ visible: Range<Int>) {
        line.update(repeating: 0, count: visible.lowerBound)
        (line + visible.upperBound).update(repeating: 0, count: keys.count - visible.upperBound)
    }
}
