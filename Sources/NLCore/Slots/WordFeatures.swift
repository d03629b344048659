/// What the words of a context add to it (``SlotContext``): a random direction each, as long as the word is rare.
///
/// Names are made of common pieces: of " B", "ran", "n", "ock" none is rare, "Brannock" is. A direction is drawn from the
/// word's hash, so that there is one for every word there may be; how rare it is was counted (``SlotLayout``) and is kept
/// at two places that the hash says, of which the rarer counts: a word that shares one of them with a common word still
/// counts for what it is, unless it shares both.
struct WordFeatures<S: TensorScalar>: Sendable {
    static var hashes: Int { 2 }

    /// ``TokenSpelling`` of each token, `[V, 9]`.
    let spelling: Tensor<S>
    /// `[2, M]`.
    let rarity: Tensor<S>

    init(_ words: HopeParameters<Tensor<S>>.Slots.Words) { (spelling, rarity) = (words.spelling, words.rarity) }

    /// How each token of a text is spelled.
    func spelling(of tokens: [Int32]) -> [TokenSpelling] {
        tokens.map { TokenSpelling(UnsafePointer(spelling.pointer) + Int($0) * TokenSpelling.width) }
    }

    private func rarity(of word: UInt32) -> S {
        let count = rarity.shape[1]
        let places = WordPlaces(word, count)
        return max(rarity.pointer[places.first], rarity.pointer[count + places.second])
    }

    /// ln(n / n_word), of the n words of general text those that are this one; 0 for a word that counts for nothing.
    ///
    /// - Parameter width: C of the contexts that its direction is added to.
    func information(of word: UInt32, ofContext width: Int) -> S {
        (rarity(of: word) * S(width).squareRoot() / S(SlotLayout.shares.word)).squareRoot()
    }

    /// Adds a word's direction to a context, `weight` times as long as the word is rare.
    func add(_ word: UInt32, _ weight: S, to context: UnsafeMutablePointer<S>, _ width: Int) {
        let rarest = rarity(of: word)
        guard rarest > 0 else { return }
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: (width + 63) / 64) { bits in
            var random = SeededRandom(seed: UInt64(word))
            for index in bits.indices { bits.initializeElement(at: index, to: random.next()) }
            guard let signs = bits.baseAddress else { return }
            S.addSigned(width, weight * rarest, signs, context)
        }
    }
}

/// Where the rarity of a word is kept: a place in each of the two rows of M.
struct WordPlaces {
    let first: Int
    let second: Int

    init(_ word: UInt32, _ count: Int) {
        var random = SeededRandom(seed: UInt64(word) | 1 << 32)
        let bits = random.next()
        (first, second) = (Int(bits >> 32) % count, Int(bits & 0xffff_ffff) % count)
    }
}
