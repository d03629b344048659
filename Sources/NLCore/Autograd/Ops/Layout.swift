/// Operations that move numbers without changing them.
extension Variable {
    /// The same elements under another shape.
    public func reshaped(_ newShape: Shape) -> Variable {
        tape.record(value.reshaped(newShape), [self]) { [shape] tape, dy in
            tape.addGradient(self, dy.reshaped(shape))
        }
    }

    /// `[B, T, H·d]` → `[B·H, T, d]`.
    public func splitHeads(_ heads: Int) -> Variable {
        let (batch, length, width) = (shape[0], shape[1], shape[2] / heads)
        let y = Tensor<S>(uninitialized: [batch * heads, length, width])
        let layout = HeadLayout(batch: batch, length: length, heads: heads, width: width)
        layout.forEachRow { joined, split in (y.pointer + split).update(from: value.pointer + joined, count: width) }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            layout.forEachRow { joined, split in S.axpy(width, 1, dy.pointer + split, d + joined) }
        }
    }

    /// `[B·H, T, d]` → `[B, T, H·d]`.
    public func mergeHeads(_ heads: Int) -> Variable {
        let (batch, length, width) = (shape[0] / heads, shape[1], shape[2])
        let y = Tensor<S>(uninitialized: [batch, length, heads * width])
        let layout = HeadLayout(batch: batch, length: length, heads: heads, width: width)
        layout.forEachRow { joined, split in (y.pointer + joined).update(from: value.pointer + split, count: width) }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            layout.forEachRow { joined, split in S.axpy(width, 1, dy.pointer + joined, d + split) }
        }
    }

    /// The parameter of every head once for each stream: `[H, …]` → `[B·H, …]`.
    public func repeated(_ batch: Int) -> Variable {
        if batch == 1 { return self }
        let count = value.count
        let y = Tensor<S>(uninitialized: Shape([batch * shape[0]] + shape.axes.dropFirst()))
        for b in 0..<batch { (y.pointer + b * count).update(from: value.pointer, count: count) }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            for b in 0..<batch { S.axpy(count, 1, dy.pointer + b * count, d) }
        }
    }

    /// Positions `range` of axis 1: `[G, T, …]` → `[G, range.count, …]`.
    public func slice(_ range: Range<Int>) -> Variable {
        let (groups, length) = (shape[0], shape[1])
        precondition(range.lowerBound >= 0 && range.upperBound <= length, "\(range) of axis 1 of \(shape)")
        if range.count == length { return self }
        let inner = shape.count / max(groups * length, 1)
        let count = range.count * inner
        let y = Tensor<S>(uninitialized: Shape([groups, range.count] + shape.axes.dropFirst(2)))
        for g in 0..<groups {
            let from = value.pointer + (g * length + range.lowerBound) * inner
            (y.pointer + g * count).update(from: from, count: count)
        }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            for g in 0..<groups {
                S.axpy(count, 1, dy.pointer + g * count, d + (g * length + range.lowerBound) * inner)
            }
        }
    }

    /// Joins tensors along axis 1.
    public static func concatenated(_ parts: [Variable]) -> Variable {
        precondition(!parts.isEmpty, "nothing to join")
        if parts.count == 1 { return parts[0] }
        let groups = parts[0].shape[0]
        let inner = Shape(Array(parts[0].shape.axes.dropFirst(2))).count
        let lengths = parts.map { $0.shape[1] }
        let total = lengths.reduce(0, +)
        let y = Tensor<S>(uninitialized: Shape([groups, total] + parts[0].shape.axes.dropFirst(2)))
        var offsets: [Int] = []
        var offset = 0
        for (part, length) in zip(parts, lengths) {
            offsets.append(offset)
            for g in 0..<groups {
                let to = y.pointer + (g * total + offset) * inner
                to.update(from: part.value.pointer + g * length * inner, count: length * inner)
            }
            offset += length
        }
        return parts[0].tape.record(y, parts) { tape, dy in
            for (index, part) in parts.enumerated() {
                guard let d = tape.gradientBuffer(part) else { continue }
                let count = lengths[index] * inner
                for g in 0..<groups {
                    S.axpy(count, 1, dy.pointer + (g * total + offsets[index]) * inner, d + g * count)
                }
            }
        }
    }
}

private struct HeadLayout {
    let batch: Int
    let length: Int
    let heads: Int
    let width: Int

    /// Offsets of one head's row in `[B, T, H·d]` and in `[B·H, T, d]`.
    func forEachRow(_ body: (_ joined: Int, _ split: Int) -> Void) {
        inParallel(batch * heads, work: batch * heads * length * width) { group in
            let (b, h) = (group / heads, group % heads)
            for t in 0..<length {
                body(((b * length + t) * heads + h) * width, (group * length + t) * width)
            }
        }
    }
}
