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
    /// What it is multiplied with where it is kept, so that it is shorter than 1.
    static var scale: S { 1 / 256 }

    /// A word of the question: its stem, ln(n / n_w), and whether it is a name.
    typealias Word = (stem: UInt32, weight: S, isName: Bool)

    /// No stem twice.
    let words: [Word]
    /// C.
    private let width: Int

    /// The cue of a question, or of a text that is to be found by questions.
    init(_ question: some Collection<Int32>, _ lexicon: ConversationLexicon, _ features: WordFeatures<S>, width: Int) {
        self.width = width
        var found: [UInt32: Word] = [:]
        for word in lexicon.words(of: question) {
            let weight = features.information(of: word.whole, ofContext: width)
            let known = found[word.stem]
            guard weight > 0 else { continue }
            found[word.stem] = (word.stem, max(known?.weight ?? 0, weight), word.isName || known?.isName == true)
        }
        words = found.values.sorted { $0.stem < $1.stem }
    }

    /// q, times ``scale``, `[4, C]`; shortened to a length of 1, if hundreds of rare words make it longer.
    func rows() -> Tensor<S> {
        let rows = Tensor<S>.zeros([Self.parts, width])
        for word in words { addDirection(of: word.stem, Self.scale * word.weight, to: rows) }
        let length = S(rows.squaredNorm).squareRoot()
        if length > 1 { for i in 0..<rows.count { rows.pointer[i] /= length } }
        return rows
    }

    /// Whether any of several cues holds more than a share of a word, 1 being all its weight here.
    ///
    /// - Parameter cues: as ``rows`` gives them, one after the other.
    func holds(_ word: Word, _ share: S, in cues: [UnsafePointer<S>]) -> Bool {
        let direction = Tensor<S>.zeros([Self.parts, width])
        addDirection(of: word.stem, 1, to: direction)
        let least = share * Self.scale * word.weight
        return cues.contains { S.dot(direction.count, direction.pointer, $0) > least }
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
