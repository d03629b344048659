import Glibc

/// Draws tokens from logits. Its whole state is one word, so a session that is stored and read back goes on with the
/// same tokens.
public struct Sampler: Sendable, Hashable, Codable {
    /// The generator; one number is drawn from it for each token, none when the token is the likeliest one.
    public private(set) var random: SeededRandom

    /// A sampler that starts from `seed`, or goes on from the ``state`` of another.
    public init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// What ``init(seed:)`` needs to go on from here.
    public var state: UInt64 { random.state }

    /// Draws one token.
    ///
    /// - Parameters:
    ///   - logits: of one position, `[V]` or `[1, V]`.
    ///   - alternatives: how many of the likeliest tokens to report beside it.
    /// - Throws: ``LogitsError`` when a logit is not finite; nothing is drawn then.
    public mutating func sample(
        _ logits: Tensor<Float>, _ parameters: SamplingParameters, alternatives: Int = 0
    ) throws(LogitsError) -> SampledToken {
        let row = UnsafeBufferPointer(start: UnsafePointer(logits.pointer), count: logits.count)
        let logProbability = try LogSoftmax(row)
        let token = parameters.temperature == 0 ? likeliest(row) : draw(row, parameters)
        var ranked = RankedTokens(row)
        var reported: [SampledToken.Alternative] = []
        while reported.count < alternatives, let next = ranked.next() {
            reported.append(.init(token: Int32(next), logProbability: logProbability(row[next])))
        }
        return SampledToken(
            token: Int32(token), logProbability: logProbability(row[token]), alternatives: reported)
    }

    /// Equal logits go to the lower id.
    private func likeliest(_ logits: UnsafeBufferPointer<Float>) -> Int {
        var best = 0
        for index in 1..<max(logits.count, 1) where logits[index] > logits[best] { best = index }
        return best
    }

    private mutating func draw(_ logits: UnsafeBufferPointer<Float>, _ parameters: SamplingParameters) -> Int {
        let candidates = Candidates(logits, parameters)
        var left = random.nextUnit() * candidates.total
        for (index, weight) in zip(candidates.tokens, candidates.weights) {
            left -= weight
            if left < 0 { return index }
        }
        return candidates.tokens[candidates.tokens.count - 1]  // a rounding short of the total
    }
}

/// A token that was drawn.
public struct SampledToken: Sendable, Hashable {
    /// The token.
    public let token: Int32
    /// Its log-probability in nats, by the logits as they are: before temperature and filters.
    public let logProbability: Double
    /// The likeliest tokens by the logits as they are, likeliest first, equal ones by id.
    public let alternatives: [Alternative]

    /// A token that could have been.
    public struct Alternative: Sendable, Hashable {
        /// The token.
        public let token: Int32
        /// Its log-probability in nats.
        public let logProbability: Double
    }
}

/// The tokens that stay after temperature and filters.
struct Candidates {
    private(set) var tokens: [Int] = []
    /// exp((x − largest x)/temperature) of each: its probability up to a factor, 1 for the likeliest.
    private(set) var weights: [Double] = []
    /// Σ of the weights that stay.
    private(set) var total = 0.0

    init(_ logits: UnsafeBufferPointer<Float>, _ parameters: SamplingParameters) {
        let largest = Double(logits.max() ?? 0)
        // A temperature so small that it underflows leaves the likeliest tokens, whose difference is 0.
        let weight = { (index: Int) -> Double in
            let difference = Double(logits[index]) - largest
            return difference == 0 ? 1 : exp(difference / parameters.temperature)
        }
        let isCut = parameters.topK > 0 && parameters.topK < logits.count
        if isCut || parameters.topP < 1 {
            let wanted = isCut ? parameters.topK : logits.count
            // Σ over all that top-k leaves, which is what top-p's share is a share of.
            var ranked = RankedTokens(logits)
            if isCut {
                while tokens.count < wanted, let next = ranked.next() { keep(next, weight(next)) }
                cut(to: parameters.topP * total)
            } else {
                var all = 0.0
                for index in logits.indices { all += weight(index) }
                while total < parameters.topP * all, let next = ranked.next() { keep(next, weight(next)) }
            }
        } else {
            tokens.reserveCapacity(logits.count)
            weights.reserveCapacity(logits.count)
            for index in logits.indices { keep(index, weight(index)) }
        }
        if parameters.minP > 0 { removeWeights(below: parameters.minP) }
    }

    private mutating func keep(_ token: Int, _ weight: Double) {
        tokens.append(token)
        weights.append(weight)
        total += weight
    }

    /// Keeps the fewest of the ranked tokens whose weights reach `share`.
    private mutating func cut(to share: Double) {
        var sum = 0.0
        var count = 0
        while count < weights.count, sum < share {
            sum += weights[count]
            count += 1
        }
        tokens.removeLast(tokens.count - count)
        weights.removeLast(weights.count - count)
        total = sum
    }

    private mutating func removeWeights(below least: Double) {
        let kept = weights.indices.filter { weights[$0] >= least }  // the likeliest has weight 1
        tokens = kept.map { tokens[$0] }
        weights = kept.map { weights[$0] }
        total = weights.reduce(0, +)
    }
}
