/// Which slots of an associative memory a row addresses, and how strongly (spec of the slots: ``HopeParameters/Slots``).
///
/// The keys are the sums of two short lists (product keys: Lample et al. 2019), so that the best of n² are found among
/// 2n scores. A row addresses its k best; a slot's strength is how far its score stands above the best that was left
/// out, and the strengths of a row have length 1. A context that comes back finds its own slots; one that is unlike it
/// finds others, so that what is written for the one hardly reaches the other.
struct SlotAddresses<S: TensorScalar> {
    /// k slots a row: which of the n², as whole numbers, `[R, k]`.
    let slots: Tensor<S>
    /// Their strengths, `[R, k]`.
    let strengths: Tensor<S>
    /// k.
    let active: Int

    /// Finds the slots of each row.
    ///
    /// - Parameters:
    ///   - scores: P u, `[…, 2n]`.
    ///   - bias: b, `[2n]`.
    ///   - active: k, less than n.
    init(_ scores: Tensor<S>, bias: Tensor<S>, active: Int) {
        let half = scores.shape.last / 2
        let rows = scores.count / (2 * half)
        precondition(active >= 1 && active < half, "\(active) of \(half) half-keys")
        self.active = active
        slots = Tensor(uninitialized: [rows, active])
        strengths = Tensor(uninitialized: [rows, active])
        let (slots, strengths) = (slots, strengths)
        rowBlocks(rows, half * active) { start, count in
            var search = SlotSearch<S>(bias: bias.pointer, half: half, active: active)
            for row in start..<start + count {
                search.find(
                    scores.pointer + row * 2 * half, slots.pointer + row * active, strengths.pointer + row * active)
            }
        }
    }

    /// y ← y + Σ strength · value, row by row.
    ///
    /// - Parameters:
    ///   - values: V, `[n², D]`.
    ///   - y: `[…, D]`.
    func add(_ values: Tensor<S>, to y: Tensor<S>) {
        let width = values.shape.last
        rowBlocks(slots.shape[0], width * active) { start, count in
            for row in start..<start + count {
                for entry in row * active..<(row + 1) * active {
                    S.axpy(
                        width, strengths.pointer[entry], values.pointer + Int(slots.pointer[entry]) * width,
                        y.pointer + row * width)
                }
            }
        }
    }

    /// The gradient of the values: dV ← dV + Σ over the rows that address a slot of strength · dy. In the order of the
    /// rows, on one thread: rows share slots.
    func addGradient(of dy: Tensor<S>, to gradient: UnsafeMutablePointer<S>) {
        let width = dy.shape.last
        for entry in 0..<slots.count {
            S.axpy(
                width, strengths.pointer[entry], dy.pointer + entry / active * width,
                gradient + Int(slots.pointer[entry]) * width)
        }
    }
}

/// The search for one row's slots, with the room it needs.
struct SlotSearch<S: TensorScalar> {
    private let bias: UnsafePointer<S>
    private let half: Int
    private let active: Int
    private var first: [(score: S, index: Int)]
    private var second: [(score: S, index: Int)]
    private var best: [(score: S, index: Int)]

    init(bias: UnsafePointer<S>, half: Int, active: Int) {
        self.bias = bias
        self.half = half
        self.active = active
        first = []
        second = []
        best = []
        first.reserveCapacity(active + 2)
        second.reserveCapacity(active + 2)
        best.reserveCapacity(active + 2)
    }

    /// - Parameters:
    ///   - scores: 2n: the first half-keys', then the second's.
    ///   - slots: room for k.
    ///   - strengths: room for k.
    mutating func find(
        _ scores: UnsafePointer<S>, _ slots: UnsafeMutablePointer<S>, _ strengths: UnsafeMutablePointer<S>
    ) {
        // The k + 1 best sums are among the sums of the k + 1 best of each half.
        let bias = bias
        Self.select(active + 1, of: half, into: &first) { scores[$0] + bias[$0] }
        Self.select(active + 1, of: half, into: &second) { scores[half + $0] + bias[half + $0] }
        best.removeAll(keepingCapacity: true)
        for (i, a) in first.enumerated() {
            for (j, b) in second.enumerated() {
                // At least (i + 1)(j + 1) − 1 sums are as good as this one.
                if (i + 1) * (j + 1) > active + 1 { break }
                Self.insert((a.score + b.score, a.index * half + b.index), into: &best, keeping: active + 1)
            }
        }
        let threshold = best[active].score
        var squares: S = 0
        for rank in 0..<active {
            let strength = best[rank].score - threshold
            slots[rank] = S(best[rank].index)
            strengths[rank] = strength
            squares += strength * strength
        }
        let scale = 1 / (squares + normalizationEpsilon(S.self)).squareRoot()
        for rank in 0..<active { strengths[rank] *= scale }
    }

    private static func select(
        _ count: Int, of candidates: Int, into best: inout [(score: S, index: Int)], _ score: (Int) -> S
    ) {
        best.removeAll(keepingCapacity: true)
        for index in 0..<candidates {
            let score = score(index)
            if best.count == count && !(score > best[count - 1].score) { continue }
            insert((score, index), into: &best, keeping: count)
        }
    }

    /// Keeps the best in order; of equals the one that came first stands first.
    private static func insert(
        _ candidate: (score: S, index: Int), into best: inout [(score: S, index: Int)], keeping count: Int
    ) {
        if best.count == count {
            if !(candidate.score > best[count - 1].score) { return }
            best.removeLast()
        }
        var at = best.count
        while at > 0 && candidate.score > best[at - 1].score { at -= 1 }
        best.insert(candidate, at: at)
    }
}

extension Variable {
    /// Σ over the slots that a row addresses of strength · value.
    ///
    /// Addresses are taken as they are: the gradient flows to the values alone. A key is a hash of the context, and a
    /// hash has no useful slope.
    ///
    /// - Parameters:
    ///   - scores: P u, `[…, 2n]`.
    ///   - bias: b, `[2n]`.
    ///   - values: V, `[n², D]`.
    /// - Returns: `[…, D]`.
    static func recall(_ scores: Tensor<S>, bias: Tensor<S>, values: Variable, active: Int) -> Variable {
        let width = values.shape[1]
        let keys = scores.shape.last
        precondition(values.shape[0] == keys * keys / 4, "\(values.shape[0]) slots for \(keys) half-keys")
        let addresses = SlotAddresses(scores, bias: bias, active: active)
        let y = Tensor<S>.zeros(Shape(scores.shape.axes.dropLast() + [width]))
        addresses.add(values.value, to: y)
        return values.tape.record(y, [values]) { tape, dy in
            guard let d = tape.gradientBuffer(values) else { return }
            addresses.addGradient(of: dy, to: d)
        }
    }
}
