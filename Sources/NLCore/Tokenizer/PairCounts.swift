/// Two adjacent tokens.
struct TokenPair: Hashable, Comparable, Sendable {
    var left: UInt32
    var right: UInt32

    static func < (lhs: TokenPair, rhs: TokenPair) -> Bool {
        (lhs.left, lhs.right) < (rhs.left, rhs.right)
    }
}

/// Counts of adjacent pairs over all pieces, kept up to date as pairs are merged.
///
/// A merge only touches the pieces its pair occurs in, which are remembered per pair, and only the counts of the pairs
/// next to it. The most frequent pair comes from a heap whose entries may be outdated: counts of waiting pairs fall
/// as their tokens are merged away, so an entry is checked when it reaches the top, and put back with its true count.
struct PairCounts {
    private struct Piece {
        /// Its tokens are `symbols[start..<start + count]`.
        var start: Int
        var count: Int
        var frequency: Int
    }

    private struct Statistics {
        var count = 0
        /// Pieces the pair has occurred in, not always still does.
        var pieces: [Int32] = []
    }

    private struct Candidate: Comparable {
        var count: Int
        var pair: TokenPair

        /// More frequent ones come first.
        static func < (lhs: Candidate, rhs: Candidate) -> Bool {
            lhs.count != rhs.count ? lhs.count > rhs.count : lhs.pair < rhs.pair
        }
    }

    private var symbols: [UInt32] = []
    private var pieces: [Piece] = []
    private var statistics: [Statistics] = []
    private var indices: [TokenPair: Int] = [:]
    private var heap = MinimumHeap<Candidate>()
    /// Pairs whose count rose during a merge, to be put on the heap after it.
    private var risen: Set<Int> = []
    private var pairs: [TokenPair] = []

    /// Counts the pairs of `counts`, whose bytes become `byteIDs`.
    init(_ counts: PieceCounts, byteIDs: [UInt32]) {
        for index in 0..<counts.count {
            let bytes = counts.piece(at: index)
            guard bytes.count > 1 else { continue }
            pieces.append(Piece(start: symbols.count, count: bytes.count, frequency: counts.counts[index]))
            for byte in bytes { symbols.append(byteIDs[Int(byte)]) }
        }
        for (index, piece) in pieces.enumerated() {
            for position in piece.start..<piece.start + piece.count - 1 {
                change(TokenPair(left: symbols[position], right: symbols[position + 1]), by: piece.frequency, in: index)
            }
        }
        enqueueRisen()
    }

    /// The pair with the largest count, ties to the smallest pair; nil if none occurs `minimum` times.
    mutating func mostFrequent(atLeast minimum: Int) -> TokenPair? {
        while let candidate = heap.pop() {
            let count = indices[candidate.pair].map { statistics[$0].count } ?? 0
            if count != candidate.count {
                if count > 0 { heap.push(Candidate(count: count, pair: candidate.pair)) }
                continue
            }
            return count >= minimum ? candidate.pair : nil
        }
        return nil
    }

    /// Forgets `pair`: it is not offered again.
    mutating func discard(_ pair: TokenPair) {
        if let index = indices[pair] { statistics[index] = Statistics() }
    }

    /// Replaces `pair` by `token` in every piece, leftmost occurrences first.
    mutating func merge(_ pair: TokenPair, into token: UInt32) {
        guard let index = indices[pair] else { return }
        let places = statistics[index].pieces
        statistics[index].pieces = []
        for place in places { merge(pair, into: token, inPiece: Int(place)) }
        statistics[index].count = 0
        risen.remove(index)
        enqueueRisen()
    }

    private mutating func merge(_ pair: TokenPair, into token: UInt32, inPiece index: Int) {
        let piece = pieces[index]
        let end = piece.start + piece.count
        var read = piece.start
        var write = piece.start
        while read < end {
            guard read + 1 < end, symbols[read] == pair.left, symbols[read + 1] == pair.right else {
                symbols[write] = symbols[read]
                read += 1
                write += 1
                continue
            }
            if write > piece.start {
                let before = symbols[write - 1]
                change(TokenPair(left: before, right: pair.left), by: -piece.frequency, in: index)
                change(TokenPair(left: before, right: token), by: piece.frequency, in: index)
            }
            read += 2
            if read < end {
                let after = symbols[read]
                change(TokenPair(left: pair.right, right: after), by: -piece.frequency, in: index)
                change(TokenPair(left: token, right: after), by: piece.frequency, in: index)
            }
            symbols[write] = token
            write += 1
        }
        pieces[index].count = write - piece.start
    }

    private mutating func change(_ pair: TokenPair, by amount: Int, in piece: Int) {
        let index: Int
        if let known = indices[pair] {
            index = known
        } else {
            index = statistics.count
            indices[pair] = index
            statistics.append(Statistics())
            pairs.append(pair)
        }
        statistics[index].count += amount
        guard amount > 0 else { return }
        risen.insert(index)
        if statistics[index].pieces.last != Int32(piece) { statistics[index].pieces.append(Int32(piece)) }
    }

    // MARK: - Heap

    private mutating func enqueueRisen() {
        for index in risen where statistics[index].count > 0 {
            heap.push(Candidate(count: statistics[index].count, pair: pairs[index]))
        }
        risen.removeAll(keepingCapacity: true)
    }
}
