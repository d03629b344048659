/// Merges the bytes of one piece into tokens: again and again the adjacent pair of lowest rank, leftmost first.
///
/// A heap of candidate pairs makes it O(n log n) for a piece of n bytes, so that a megabyte without a space is slow
/// text and not an attack. Symbols form a linked list over their first byte's position; a heap entry is stale, and
/// skipped, when the pair at its position no longer has its rank. The workspace is reused between pieces.
struct PieceMerger: Sendable {
    private var symbols: [UInt32] = []
    private var next: [Int32] = []
    private var previous: [Int32] = []
    /// Rank of the pair that begins at each position.
    private var pairRank: [UInt32] = []
    /// Rank in the upper half, position in the lower: the order of the merges is the order of the numbers.
    private var heap = MinimumHeap<UInt64>()

    /// Appends the tokens of `piece` to `ids`.
    ///
    /// - Precondition: `piece` has fewer than 2³¹ bytes.
    mutating func merge(
        _ piece: Span<UInt8>, byteIDs: [UInt32], table: MergeTable, into ids: inout [Int]
    ) {
        symbols.removeAll(keepingCapacity: true)
        for index in 0..<piece.count { symbols.append(byteIDs[Int(piece[index])]) }
        mergeSymbols(table, into: &ids)
    }

    /// Appends the tokens of a piece of characters.
    mutating func merge(
        _ piece: Span<UInt8>, characters: CharacterVocabulary, table: MergeTable, into ids: inout [Int]
    ) {
        symbols.removeAll(keepingCapacity: true)
        characters.appendSymbols(of: piece, to: &symbols)
        mergeSymbols(table, into: &ids)
    }

    private mutating func mergeSymbols(_ table: MergeTable, into ids: inout [Int]) {
        let count = symbols.count
        next.removeAll(keepingCapacity: true)
        previous.removeAll(keepingCapacity: true)
        pairRank.removeAll(keepingCapacity: true)
        heap.removeAll()
        for index in 0..<count {
            next.append(Int32(index + 1))
            previous.append(Int32(index - 1))
            pairRank.append(index + 1 < count ? table.rank(symbols[index], symbols[index + 1]) : MergeTable.none)
            if pairRank[index] != MergeTable.none { heap.push(UInt64(pairRank[index]) << 32 | UInt64(index)) }
        }

        while let candidate = heap.pop() {
            let position = Int(candidate & 0xFFFF_FFFF)
            let rank = UInt32(candidate >> 32)
            guard pairRank[position] == rank else { continue }
            let absorbed = Int(next[position])
            let after = Int(next[absorbed])
            symbols[position] = table.products[Int(rank)]
            pairRank[absorbed] = MergeTable.none
            next[position] = Int32(after)
            if after < count { previous[after] = Int32(position) }
            updatePair(at: position, count: count, table: table)
            if previous[position] >= 0 { updatePair(at: Int(previous[position]), count: count, table: table) }
        }

        var position = 0
        while position < count {
            ids.append(Int(symbols[position]))
            position = Int(next[position])
        }
        if symbols.capacity > 1 << 16 { self = PieceMerger() }
    }

    private mutating func updatePair(at position: Int, count: Int, table: MergeTable) {
        let following = Int(next[position])
        let rank = following < count ? table.rank(symbols[position], symbols[following]) : MergeTable.none
        pairRank[position] = rank
        if rank != MergeTable.none { heap.push(UInt64(rank) << 32 | UInt64(position)) }
    }
}
