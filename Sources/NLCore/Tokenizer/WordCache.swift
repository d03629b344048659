/// Remembers the tokens of pieces seen before: prose repeats its words, and merging is the slow part of encoding.
///
/// A fixed table, each piece in the one slot its hash names, the newest winning: bounded by construction
/// (about 1.3 MB), and nothing to evict. Longer pieces than ``maximumLength`` bytes are rare and not kept.
struct WordCache: Sendable {
    static let maximumLength = 15
    private static let slotBits: UInt64 = 14

    /// A piece packed into 16 bytes: its bytes, then zeros, its length in the last. Never zero.
    struct Key: Equatable {
        let low: UInt64
        let high: UInt64

        /// Nil if the piece is too long.
        @inline(__always)
        init?(_ piece: Span<UInt8>) {
            guard piece.count <= WordCache.maximumLength else { return nil }
            var low: UInt64 = 0
            var high = UInt64(piece.count) << 56
            for index in 0..<min(piece.count, 8) { low |= UInt64(piece[index]) << UInt64(index * 8) }
            for index in min(piece.count, 8)..<piece.count { high |= UInt64(piece[index]) << UInt64(index * 8 - 64) }
            self.low = low
            self.high = high
        }

        fileprivate var slot: Int {
            let mixed = (low ^ (high &* 0xC2B2_AE3D_27D4_EB4F)) &* 0x9E37_79B9_7F4A_7C15
            let spread = (mixed ^ (mixed >> 29)) &* 0xBF58_476D_1CE4_E5B9
            return Int(truncatingIfNeeded: spread >> (64 - WordCache.slotBits))
        }
    }

    private var keyLow = [UInt64](repeating: 0, count: 1 << Self.slotBits)
    private var keyHigh = [UInt64](repeating: 0, count: 1 << Self.slotBits)
    private var counts = [UInt8](repeating: 0, count: 1 << Self.slotBits)
    private var ids = [UInt32](repeating: 0, count: (1 << Self.slotBits) * Self.maximumLength)

    /// Appends the tokens of `key` and returns true, or returns false if they are not known.
    @inline(__always)
    func append(_ key: Key, to output: inout [Int]) -> Bool {
        let slot = key.slot
        guard keyLow[slot] == key.low, keyHigh[slot] == key.high else { return false }
        let start = slot * Self.maximumLength
        for index in start..<start + Int(counts[slot]) { output.append(Int(ids[index])) }
        return true
    }

    /// Remembers `tokens`, of which a piece has at most one per byte.
    mutating func store(_ key: Key, _ tokens: ArraySlice<Int>) {
        let slot = key.slot
        keyLow[slot] = key.low
        keyHigh[slot] = key.high
        counts[slot] = UInt8(tokens.count)
        for (offset, token) in tokens.enumerated() { ids[slot * Self.maximumLength + offset] = UInt32(token) }
    }
}
