/// What slots know a context by: the words and tokens that lead to it, the rare ones most.
///
///     c_t = Σ_{j < span} λʲ (T[token_{t−j}] + w_{t−j}), brought to length 1
///
/// T holds a random direction for each token, as long as the token is rare (``SlotLayout``), w is the same of the word
/// that ends there (``WordFeatures``), 0 where none does: so c · c′ counts the rare words and tokens that two contexts
/// share. The word that is being read counts as it stands. A small model's hidden state tells grammar from grammar but hardly one name from
/// another; names are what facts hang on.
enum SlotContext {
    /// Tokens that a context reaches back.
    static let span = 64
    /// A context shorter than this, before it is brought to length 1, says too little to tell texts apart: it is 0, and
    /// finds nothing. Two or three rare tokens are enough; one alone, or many of the commonest, are not.
    static let evidence = 90.0
    /// λ.
    static let decay = 0.98

    /// The contexts after each of `tokens`, `[T, C]`; 0 where no token counts.
    ///
    /// A row depends on its last ``span`` tokens alone, to the bit, wherever reading began.
    ///
    /// - Parameters:
    ///   - preceding: the tokens read before, of which the last `span − 1` count.
    ///   - table: T, `[V, C]`.
    ///   - words: what w comes from; nil where contexts are known by tokens alone.
    ///   - lengths: what each row's length was before it was brought to 1, `[T]`, if anyone asks.
    static func rows<S: TensorScalar>(
        _ tokens: [Int32], after preceding: some Collection<Int32>, table: Tensor<S>, words: WordFeatures<S>? = nil,
        lengths: Tensor<S>? = nil
    ) -> Tensor<S> {
        let width = table.shape[1]
        let history = Array(preceding.suffix(span - 1)) + tokens
        let first = history.count - tokens.count
        let spelling = words?.spelling(of: history)
        let rows = Tensor<S>(uninitialized: [tokens.count, width])
        rowBlocks(tokens.count, width * span) { start, count in
            for row in start..<start + count {
                let own = rows.pointer + row * width
                own.update(repeating: 0, count: width)
                var weight: S = 1
                let newest = first + row
                let oldest = max(0, newest - span + 1)
                let endings = spelling.map { TokenSpelling.endings($0[oldest...newest]) }
                for place in stride(from: newest, through: oldest, by: -1) {
                    S.axpy(width, weight, table.pointer + Int(history[place]) * width, own)
                    if let words, let word = endings?[place - oldest] { words.add(word, weight, to: own, width) }
                    weight *= S(decay)
                }
                let square = S.dot(width, own, own)
                lengths?.pointer[row] = square.squareRoot()
                let isEnough = square >= S(evidence * evidence)
                let scale = isEnough ? 1 / square.squareRoot() : 0
                for i in 0..<width { own[i] *= scale }
            }
        }
        return rows
    }
}

/// Brings a row to length 1; a row of zeros stays one.
func normalize<S: TensorScalar>(_ count: Int, _ row: UnsafeMutablePointer<S>) {
    let square = S.dot(count, row, row)
    guard square > 0 else { return }
    let scale = 1 / square.squareRoot()
    for i in 0..<count { row[i] *= scale }
}
