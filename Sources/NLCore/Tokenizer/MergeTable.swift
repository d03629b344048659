/// The merges of a byte-pair vocabulary: which pair of tokens becomes which, and how early.
///
/// Open addressing over packed pairs: one lookup per adjacent pair is the whole cost of encoding, and a
/// `Dictionary` spends most of it on hashing.
struct MergeTable: Sendable {
    /// Rank of a pair that does not merge.
    static let none = UInt32.max

    private static let emptyKey = UInt64.max

    private var keys: [UInt64]
    private var ranks: [UInt32]
    private let shift: UInt64
    /// The token that the merge of each rank makes.
    private(set) var products: [UInt32]

    /// Merges in order of rank. If a pair comes twice, its last rank counts.
    init(_ merges: [(left: UInt32, right: UInt32, product: UInt32)]) {
        let bits = UInt64(max(4, Int.bitWidth - (merges.count * 2).leadingZeroBitCount))
        keys = [UInt64](repeating: Self.emptyKey, count: 1 << bits)
        ranks = [UInt32](repeating: Self.none, count: 1 << bits)
        shift = 64 - bits
        products = merges.map(\.product)
        for (rank, merge) in merges.enumerated() {
            let key = Self.key(merge.left, merge.right)
            let slot = slot(of: key)
            keys[slot] = key
            ranks[slot] = UInt32(rank)
        }
    }

    /// The rank of the merge of `left` and `right`, or ``none``.
    @inline(__always)
    func rank(_ left: UInt32, _ right: UInt32) -> UInt32 {
        ranks[slot(of: Self.key(left, right))]
    }

    private static func key(_ left: UInt32, _ right: UInt32) -> UInt64 { UInt64(left) << 32 | UInt64(right) }

    /// Where `key` is, or the free slot where it would go; the table is at most half full, so there is one.
    @inline(__always)
    private func slot(of key: UInt64) -> Int {
        let mask = keys.count - 1
        var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift)
        while keys[slot] != key, keys[slot] != Self.emptyKey { slot = (slot + 1) & mask }
        return slot
    }
}
