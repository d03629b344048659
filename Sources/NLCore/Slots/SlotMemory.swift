/// The slots of a model that hold something: by what they are found, and what they say (``HopeParameters/Slots``).
struct SlotMemory<S: TensorScalar>: Sendable {
    /// c of the context that each was written in, `[N, C]`.
    let contexts: Tensor<S>
    /// The slots that are found by their contexts, in ascending order: all but those of answers.
    let plain: [Int32]
    /// Their contexts as every row is compared with them: laid out to be read in one run, and in bfloat16, since reading
    /// them is most of the work where many are in use.
    private let searched: PanelMatrix<S>
    /// z of the same, `[N, D]`.
    let keys: Tensor<S>
    /// V, `[N, D]`.
    let values: Tensor<S>
    /// The document that each was written by, from 1, in ascending order: a document's slots follow one another.
    let episodes: [Int32]
    /// How far z must agree with a slot's for it to speak; 0 lets every z do. Below 0: a slot of an answer.
    let strictness: [S]
    /// The answers among them.
    let answers: AnswerMemory<S>

    /// The slots that are in use: the first, one after the other.
    init(_ slots: HopeParameters<Tensor<S>>.Slots) {
        self.init(
            contexts: slots.contexts, keys: slots.keys, values: slots.values, records: slots.records)
    }

    init(contexts: Tensor<S>, keys: Tensor<S>, values: Tensor<S>, records: Tensor<S>) {
        (self.contexts, self.keys, self.values) = (contexts, keys, values)
        let used = Self.used(records)
        episodes = (0..<used).map { Int32(records.pointer[2 * $0]) }
        strictness = (0..<used).map { records.pointer[2 * $0 + 1] }
        plain = strictness.indices.filter { [strictness] in strictness[$0] >= 0 }.map(Int32.init)
        searched = PanelMatrix([plain.count == used ? contexts : contexts.rows(plain.map(Int.init))], .bf16)
        answers = AnswerMemory(contexts: contexts, episodes: episodes, strictness: strictness)
    }

    /// How many slots are in use, the first ones, by their records `[N, 2]`.
    static func used(_ records: Tensor<S>) -> Int {
        var used = 0
        while used < records.shape[0] && records.pointer[2 * used] != 0 { used += 1 }
        return used
    }

    /// How many slots are in use.
    var count: Int { episodes.count }

    /// c · c′ of rows and all plain slots.
    ///
    /// - Parameter rows: contexts, `[R, C]`.
    /// - Returns: `[R, ≥ P]`, by place in ``plain``; a row's are the same whoever is read beside it.
    func similarities(of rows: Tensor<S>) -> Tensor<S> {
        let result = Tensor<S>(uninitialized: [rows.shape[0], searched.outputs])
        searched.multiply(rows.shape[0], rows.pointer, into: result.pointer)
        return result
    }

    /// What is said after each token of a stream in answer to a question; empty where nothing is.
    func answers(
        _ tokens: [Int32], after preceding: some Collection<Int32>, _ lexicon: ConversationLexicon?,
        _ words: WordFeatures<S>?
    ) -> [AnswerMemory<S>.Spoken?] {
        guard !answers.isEmpty, let lexicon, let words else { return [] }
        return answers.addresses(tokens, after: preceding, strictness: strictness, lexicon, words)
    }

    /// The places in ``plain`` of one document's slots.
    func places(of episode: Int32) -> Range<Int> {
        func first(_ isReached: (Int32) -> Bool) -> Int {
            var (low, high) = (0, plain.count)
            while low < high {
                let middle = (low + high) / 2
                if isReached(episodes[Int(plain[middle])]) { high = middle } else { low = middle + 1 }
            }
            return low
        }
        return first { $0 >= episode }..<first { $0 > episode }
    }
}

/// Which slots a row reads, and how strongly.
///
/// Of all documents the one that holds the most similar context speaks, if that context is all but the same, or if it
/// stands out from those of all other documents: a template that many documents share singles out none of them. Slots of a
/// document's first words, where it had not yet said what it is about, stand for it only where the context is the same.
/// Among
/// the document's slots those speak whose context and key come nearest (softmax).
struct SlotAddresses<S: TensorScalar> {
    /// Slots that a row reads at most.
    static var most: Int { 8 }
    /// Contexts this similar are the same; from the first number on, to the second, increasingly.
    static var same: (S, S) { (0.985, 0.995) }
    /// Less similar ones speak from here on …
    static var similar: (S, S) { (0.5, 0.6) }
    /// … if they are this much more similar than any of another document.
    static var margin: (S, S) { (0.16, 0.22) }
    /// Strictness of slots that stand for their document only where the context is the same.
    static var faint: S { 0.8 }
    /// What the key counts beside the context.
    static var keyShare: S { 2 }
    /// How sharply the nearest slots are told from the next.
    static var sharpness: S { 12 }
    /// Contexts this much less similar than the best are not looked at.
    static var reach: S { 0.5 }

    /// Where each row's slots begin in `slots` and `weights`; one more than there are rows.
    let starts: [Int]
    let slots: [Int32]
    let weights: [S]

    var rowCount: Int { starts.count - 1 }

    init(rows: [[(slot: Int32, weight: S)]]) {
        var starts = [0]
        for row in rows { starts.append(starts[starts.count - 1] + row.count) }
        self.starts = starts
        slots = rows.flatMap { $0.map(\.slot) }
        weights = rows.flatMap { $0.map(\.weight) }
    }

    /// Finds the slots of each row. A row's are the same whoever is read beside it.
    ///
    /// - Parameters:
    ///   - keys: z, `[R, D]`, each of length 1.
    ///   - contexts: c, `[R, C]`, each of length 1 or 0.
    ///   - answers: what is said in answer to a question, by rows: the louder, the less is heard beside it.
    init(
        keys: Tensor<S>, contexts: Tensor<S>, in memory: SlotMemory<S>, answers: [AnswerMemory<S>.Spoken?] = []
    ) {
        let (count, width) = (contexts.shape[0], contexts.shape[1])
        let found = Slots<[(slot: Int32, weight: S)]>(count: count)
        // So many rows at a time that their similarities stay small.
        let block = max(1, min(128, Self.mostSimilarities / max(memory.plain.count, 1)))
        for start in stride(from: 0, to: count, by: block) {
            let rows = min(block, count - start)
            let part = Tensor<S>(uninitialized: [rows, width])
            part.pointer.update(from: contexts.pointer + start * width, count: part.count)
            let similarities = memory.similarities(of: part)
            inParallel(rows, work: rows * memory.plain.count * 8) { row in
                found.fill(
                    start + row,
                    with: Self.find(
                        keys.pointer + (start + row) * keys.shape[1],
                        similarities.pointer + row * similarities.shape[1], in: memory))
            }
        }
        var rows = found.take()
        for (row, answer) in answers.enumerated() {
            guard let answer else { continue }
            let rest = answer.weight < 1 ? rows[row] : []
            rows[row] = rest.map { ($0.slot, $0.weight * (1 - answer.weight)) } + [answer]
        }
        self.init(rows: rows)
    }

    private static var mostSimilarities: Int { 1 << 22 }

    private static func find(
        _ key: UnsafePointer<S>, _ similarity: UnsafePointer<S>, in memory: SlotMemory<S>
    ) -> [(slot: Int32, weight: S)] {
        let keyWidth = memory.keys.shape[1]
        var best: (value: S, episode: Int32) = (0, 0)
        var runnerUp: S = 0
        memory.plain.withUnsafeBufferPointer { plain in
            for place in plain.indices where similarity[place] > runnerUp {
                let (value, slot) = (similarity[place], Int(plain[place]))
                let episode = memory.episodes[slot]
                if value < same.0 && memory.strictness[slot] >= faint { continue }
                if episode == best.episode {
                    best.value = max(best.value, value)
                } else if value > best.value {
                    (runnerUp, best) = (best.value, (value, episode))
                } else {
                    runnerUp = value
                }
            }
        }
        let standsOut = ramp(best.value - runnerUp, margin) * ramp(best.value, similar)
        let gate = max(standsOut, ramp(best.value, same))
        guard gate > 0 else { return [] }
        var candidates: [(slot: Int32, score: S, agreement: S)] = []
        for place in memory.places(of: best.episode) where similarity[place] > best.value - reach {
            let slot = memory.plain[place]
            let agreement = S.dot(keyWidth, key, memory.keys.pointer + Int(slot) * keyWidth)
            candidates.append((slot, similarity[place] + keyShare * agreement, agreement))
        }
        candidates.sort { ($0.score, $1.slot) > ($1.score, $0.slot) }
        guard let top = candidates.first?.score else { return [] }
        let weights = candidates.prefix(most).map { S.exponential(sharpness * ($0.score - top)) }
        let total = weights.reduce(0, +)
        return zip(candidates, weights).compactMap { candidate, weight in
            let strict = memory.strictness[Int(candidate.slot)]
            let speaks = strict > 0 ? ramp(candidate.agreement, (strict, strict + 0.2)) : 1
            let weight = gate * speaks * weight / total
            return weight > 1e-6 ? (candidate.slot, weight) : nil
        }
    }

    private static func ramp(_ value: S, _ range: (S, S)) -> S {
        min(max((value - range.0) / (range.1 - range.0), 0), 1)
    }

    /// y ← y + Σ weight · value, row by row.
    ///
    /// - Parameters:
    ///   - values: V, `[N, D]`.
    ///   - y: `[…, D]`.
    func add(_ values: Tensor<S>, to y: Tensor<S>) {
        let width = values.shape[1]
        for row in 0..<rowCount {
            for entry in starts[row]..<starts[row + 1] {
                S.axpy(
                    width, weights[entry], values.pointer + Int(slots[entry]) * width, y.pointer + row * width)
            }
        }
    }
}

extension Variable {
    /// Σ over the slots that a row reads of weight · value.
    ///
    /// Addresses are taken as they are: the gradient flows to the values alone.
    ///
    /// - Parameters:
    ///   - values: V, `[N, D]`.
    ///   - shape: of the result, `[…, D]`.
    static func recall(_ addresses: SlotAddresses<S>, values: Variable, shape: Shape) -> Variable {
        let width = values.shape[1]
        let y = Tensor<S>.zeros(shape)
        addresses.add(values.value, to: y)
        return values.tape.record(y, [values]) { tape, dy in
            guard let d = tape.gradientBuffer(values) else { return }
            // In the order of the rows, on one thread: rows share slots.
            for row in 0..<addresses.rowCount {
                for entry in addresses.starts[row]..<addresses.starts[row + 1] {
                    S.axpy(
                        width, addresses.weights[entry], dy.pointer + row * width,
                        d + Int(addresses.slots[entry]) * width)
                }
            }
        }
    }
}

extension HopeParameters.Slots {
    /// The same over other contents.
    func map<Other>(_ transform: (Content) -> Other) -> HopeParameters<Other>.Slots {
        HopeParameters<Other>.Slots(
            whitening: transform(whitening), bias: transform(bias), tokens: transform(tokens),
            words: words.map { .init(spelling: transform($0.spelling), rarity: transform($0.rarity)) },
            contexts: transform(contexts), keys: transform(keys), values: transform(values),
            records: transform(records))
    }
}

extension HopeParameters.Slots {
    /// z of each row: (W u + b) / ‖W u + b‖.
    ///
    /// - Parameter u: `[…, D]`.
    /// - Returns: `[R, D]`.
    func keys<S: TensorScalar>(of u: Tensor<S>) -> Tensor<S> where Content == Tensor<S> {
        let width = u.shape.last
        let rows = u.count / width
        let z = Tensor<S>(uninitialized: [rows, width])
        S.multiplyRows(
            ProductShape(m: rows, n: width, k: width, transposeB: true), u.pointer, width, whitening.pointer, width,
            z.pointer, width, accumulate: false)
        HopeParameters<S>.Slots.finishKeys(z, bias: bias)
        return z
    }

    /// z ← (z + b) / ‖z + b‖, row by row.
    static func finishKeys<S: TensorScalar>(_ z: Tensor<S>, bias: Tensor<S>) {
        let width = bias.count
        for row in 0..<z.count / width {
            S.axpy(width, 1, bias.pointer, z.pointer + row * width)
            normalize(width, z.pointer + row * width)
        }
    }
}
