import Glibc

/// Lays out the slots of a level over what the level's link reads in general text (``HopeParameters/Slots``).
///
/// What a link reads is crowded into a few directions; in that crowd everything resembles everything. So it is whitened:
/// with mean μ and covariance Σ = LLᵀ, W = L⁻¹ and b = −W μ. And each token gets a random direction for contexts, as
/// long as it is rare: ln(n / n_token)², n_token of the n tokens read being that one. Words are counted alike, a word's
/// beginnings as words of their own: a context that ends within a word must not take "Ari" for a rare one.
public struct SlotLayout {
    /// Tokens of general text that are read unless said: enough for a covariance, and a minute or so of a large model.
    public static let usualTokens = 16_384
    /// Slots there may be unless said.
    public static let usualCapacity = 131_072
    /// Added to the covariance's diagonal, as a share of its mean: directions hardly used must not decide alone.
    static let ridge = 0.01
    /// Places for words' rarities unless said: half a megabyte of a file in bfloat16.
    public static let usualWords = 1 << 17
    /// What tokens and words count where there are both; a token alone counts 1.
    static let shares = (token: 0.45, word: 0.7)
    /// Words that were read less often are as rare as those never read, and take no place from them.
    static let leastWordCount = 3

    private let configuration: HopeConfiguration
    private let parameters: ParameterSet<Float>
    private let level: Int
    private var statistics: InputStatistics
    private var counts: [Int]
    /// How the model's tokens are spelled; empty where contexts are to be known by tokens alone.
    private let spelling: [TokenSpelling]
    private var wordCounts: [UInt32: Int] = [:]
    /// What tells no context from another, whatever it says: tokens, and words by their hashes.
    private var silentTokens: Set<Int32> = []
    private var silentWords: Set<UInt32> = []
    /// Tokens that words were counted in.
    public private(set) var wordTokens = 0

    /// A layout over a trained model.
    ///
    /// - Parameters:
    ///   - configuration: its geometry, without slots at that level.
    ///   - level: index of the level that is to have slots.
    ///   - spelling: of each token, where slots are to tell words.
    public init(
        _ configuration: HopeConfiguration, _ parameters: ParameterSet<Float>, level: Int,
        spelling: [TokenSpelling] = []
    ) {
        precondition(spelling.isEmpty || spelling.count == configuration.vocabularySize, "a spelling for each token")
        self.spelling = spelling
        self.configuration = configuration
        self.parameters = parameters
        self.level = level
        statistics = InputStatistics(width: configuration.width)
        counts = [Int](repeating: 0, count: configuration.vocabularySize)
    }

    /// Rows of the link seen so far.
    public var rowCount: Int { statistics.count }

    /// Counts the tokens of a text, and takes in what the link reads of it.
    ///
    /// - Parameter readsLink: false only counts, which is fast.
    public mutating func read(_ text: LearningText, readsLink: Bool = true) {
        for token in text.targets { counts[Int(token)] += 1 }
        countWords(text.targets)
        guard readsLink else { return }
        let tape = Tape<Float>()
        var model = HopeModel(configuration, parameters, on: tape) { _ in false }
        var seen: [Tensor<Float>] = []
        model.observe = { [level, configuration] block, link, input in
            if block == configuration.layers - 1 && link == configuration.slotLink(ofLevel: level) {
                seen.append(input)
            }
        }
        _ = model.readToSlots(text.inputs, batch: 1, states: nil)
        for input in seen { statistics.add(input) }
    }

    /// Counts the words of a text.
    public mutating func countWords(_ tokens: some Collection<Int32>) {
        guard !spelling.isEmpty else { return }
        wordTokens += tokens.count
        var word: UInt32?
        for token in tokens {
            word = spelling[Int(token)].hash(after: word)
            if let word { wordCounts[word, default: 0] += 1 }
        }
    }

    /// Lets the tokens and words of a text count for nothing, as those that stand in every request: the template's.
    public mutating func silence(_ text: [Int32]) {
        silentTokens.formUnion(text)
        guard !spelling.isEmpty else { return }
        silentWords.formUnion(TokenSpelling.endings(text.map { spelling[Int($0)] }).compactMap(\.self))
    }

    /// Reads general text: the link until it has read so many tokens, the rest for its counts alone.
    public mutating func read(_ texts: [LearningText], linkTokens: Int = usualTokens) {
        for text in texts { read(text, readsLink: rowCount < linkTokens) }
    }

    /// The parameters with what finds slots added; the slots are empty.
    ///
    /// - Parameters:
    ///   - slotted: the same geometry with slots at the level.
    ///   - seed: draws the tokens' directions.
    public func parameters(for slotted: HopeConfiguration, seed: UInt64) -> ParameterSet<Float> {
        var result = parameters
        for (name, tensor) in tensors(for: slotted, seed: seed).entries { result[name] = tensor }
        _ = HopeParameters<Void>(slotted) { name, shape in
            if HopeParameters<Void>.isZeroInBase(name) {
                result[name] = .zeros(HopeParameters<Void>.baseShape(name, of: shape))
            }
        }
        return result
    }

    /// What finds slots, as it stands in a model file: W, b and T.
    public func tensors(for slotted: HopeConfiguration, seed: UInt64) -> ParameterSet<Float> {
        var result = ParameterSet<Float>()
        _ = HopeParameters<Void>(slotted) { name, shape in
            if name.hasSuffix(".slots.whitening") {
                let (whitening, bias) = statistics.whitening
                result[name] = whitening
                result[String(name.dropLast("whitening".count)) + "bias"] = bias
            } else if name.hasSuffix(".slots.tokens") {
                result[name] = directions(shape, seed: seed)
            } else if name.hasSuffix(".slots.spelling") {
                precondition(!spelling.isEmpty, "slots that tell words are laid out with the tokens' spelling")
                result[name] = Tensor(spelling.flatMap(\.numbers), shape: shape)
            } else if name.hasSuffix(".slots.rarity") {
                result[name] = rarities(shape, ofContext: slotted.levels[level].slots?.contextSize ?? 1)
            }
        }
        return result
    }

    private func directions(_ shape: Shape, seed: UInt64) -> Tensor<Float> {
        var random = SeededRandom(seed: seed)
        let total = Double(counts.reduce(0, +))
        let share = spelling.isEmpty ? 1 : Self.shares.token
        var elements: [Float] = []
        elements.reserveCapacity(shape.count)
        for token in 0..<shape[0] {
            let rarity = log(total / (Double(counts[token]) + 0.5))
            // Tokens that begin and end texts say nothing about them.
            let isMark = [configuration.bosTokenID, configuration.eosTokenID].contains(token)
            let length =
                isMark || silentTokens.contains(Int32(token))
                ? 0 : share * max(rarity, 0) * max(rarity, 0) / Double(shape[1]).squareRoot()
            for _ in 0..<shape[1] { elements.append(Float(random.nextNormal() * length)) }
        }
        return Tensor(elements, shape: shape)
    }
}

extension SlotLayout {
    /// `[2, M]`: what each word's direction is multiplied by, of C signs.
    private func rarities(_ shape: Shape, ofContext width: Int) -> Tensor<Float> {
        var found = [Int](repeating: 0, count: shape.count)
        for (word, count) in wordCounts where count >= Self.leastWordCount {
            let places = WordPlaces(word, shape[1])
            found[places.first] += count
            found[shape[1] + places.second] += count
        }
        // No word is as common as this.
        for word in silentWords {
            let places = WordPlaces(word, shape[1])
            (found[places.first], found[shape[1] + places.second]) = (.max, .max)
        }
        let total = Double(wordTokens)
        let scale = Self.shares.word / Double(width).squareRoot()
        return Tensor(
            found.map { count in
                let rarity = max(log(total / (Double(count) + 0.5)), 0)
                return Float(scale * rarity * rarity)
            }, shape: shape)
    }
}

/// Mean and covariance of rows.
private struct InputStatistics {
    private let width: Int
    private var sum: [Double]
    /// Σ u uᵀ, its lower triangle.
    private var products: [Double]
    private(set) var count = 0

    init(width: Int) {
        self.width = width
        sum = [Double](repeating: 0, count: width)
        products = [Double](repeating: 0, count: width * width)
    }

    mutating func add(_ rows: Tensor<Float>) {
        let elements = rows.elements
        for start in stride(from: 0, to: elements.count, by: width) {
            count += 1
            for i in 0..<width {
                let value = Double(elements[start + i])
                sum[i] += value
                for j in 0...i { products[i * width + j] += value * Double(elements[start + j]) }
            }
        }
    }

    /// W = L⁻¹ `[D, D]`, and b = −W μ `[D]`.
    var whitening: (Tensor<Float>, Tensor<Float>) {
        let mean = sum.map { $0 / Double(max(count, 1)) }
        let factor = cholesky(mean)
        var inverse = [Double](repeating: 0, count: width * width)
        // L W = 1, column by column.
        for column in 0..<width {
            for i in column..<width {
                var rest: Double = i == column ? 1 : 0
                for k in column..<max(i, column) { rest -= factor[i * width + k] * inverse[k * width + column] }
                inverse[i * width + column] = rest / factor[i * width + i]
            }
        }
        let bias = (0..<width).map { i in -(0..<width).reduce(0) { $0 + inverse[i * width + $1] * mean[$1] } }
        return (Tensor(inverse.map(Float.init), shape: [width, width]), Tensor(bias.map(Float.init), shape: [width]))
    }

    /// L of the covariance and its ridge.
    private func cholesky(_ mean: [Double]) -> [Double] {
        var matrix = products
        var trace = 0.0
        for i in 0..<width {
            for j in 0...i { matrix[i * width + j] = matrix[i * width + j] / Double(max(count, 1)) - mean[i] * mean[j] }
            trace += matrix[i * width + i]
        }
        // Inputs that never vary (no text read) are left as they are.
        let ridge = trace > 0 ? SlotLayout.ridge * trace / Double(width) : 1
        for i in 0..<width {
            for j in 0...i {
                var rest = matrix[i * width + j] + (i == j ? ridge : 0)
                for k in 0..<j { rest -= matrix[i * width + k] * matrix[j * width + k] }
                matrix[i * width + j] = i == j ? max(rest, ridge).squareRoot() : rest / matrix[j * width + j]
            }
        }
        return matrix
    }
}
