/// What an answer is found by: the words of a question, each once, whatever its ending, as long as it is rare.
///
///     q = Σ_w ln(n / n_w) s_w / √(4C)          s_w of 4C signs, drawn from the hash of w's stem
///
/// A question shares few words with what answers it, in no order, and of the answer it lacks just what is asked for; so
/// neither the order counts nor the length, and common words count more here than in a ``SlotContext`` (there the square
/// of the logarithm). Four times as many signs tell each word's presence from chance.
struct AnswerCue<S: TensorScalar> {
    /// Contexts of slots that hold one cue.
    static var parts: Int { 4 }
    /// What it is multiplied with where it is kept: no question is longer than its inverse.
    static var scale: S { 1 / 64 }

    /// Stems and weights, no stem twice.
    let words: [(stem: UInt32, weight: S)]
    /// C.
    private let width: Int

    /// The cue of a question.
    init(_ question: some Collection<Int32>, _ lexicon: ConversationLexicon, _ features: WordFeatures<S>, width: Int) {
        self.width = width
        var weights: [UInt32: S] = [:]
        for (word, stem) in lexicon.words(of: question) {
            let weight = features.information(of: word, ofContext: width)
            if weight > 0 { weights[stem] = max(weights[stem] ?? 0, weight) }
        }
        words = weights.sorted { $0.key < $1.key }.map { (stem: $0.key, weight: $0.value) }
    }

    /// q, times ``scale``, `[4, C]`.
    var rows: Tensor<S> {
        let rows = Tensor<S>.zeros([Self.parts, width])
        for (stem, weight) in words { addDirection(of: stem, Self.scale * weight, to: rows) }
        let length = S(rows.squaredNorm).squareRoot()
        if length > 1 { for i in 0..<rows.count { rows.pointer[i] /= length } }
        return rows
    }

    /// How much of a word is in each of several cues, 1 where it is there with the same weight.
    ///
    /// - Parameter cues: as ``rows`` gives them, one after the other in contexts of slots.
    func presence(of word: (stem: UInt32, weight: S), in cues: [UnsafePointer<S>]) -> [S] {
        let direction = Tensor<S>.zeros([Self.parts, width])
        addDirection(of: word.stem, 1, to: direction)
        return cues.map { S.dot(direction.count, direction.pointer, $0) / (Self.scale * word.weight) }
    }

    private func addDirection(of stem: UInt32, _ weight: S, to rows: Tensor<S>) {
        var random = SeededRandom(seed: UInt64(stem) | 2 << 32)
        let share = weight / S(rows.count).squareRoot()
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: (rows.count + 63) / 64) { bits in
            for index in bits.indices { bits.initializeElement(at: index, to: random.next()) }
            guard let signs = bits.baseAddress else { return }
            S.addSigned(rows.count, share, signs, rows.pointer)
        }
    }
}
