/// How often each distinct piece of text occurred, in bounded memory.
///
/// Pieces live one after the other in one byte array, found through an open-addressing table: a `Dictionary` of
/// arrays would spend an allocation on each of the hundred thousands of words that a text has.
struct PieceCounts: Sendable {
    private(set) var counts: [Int] = []
    private var ends: [Int] = []
    private var bytes: [UInt8] = []
    /// Index of a piece, plus one; 0 is a free slot.
    private var table = [UInt32](repeating: 0, count: 1 << 12)
    private let memoryLimit: Int

    /// - Parameter memoryLimit: bytes after which the rarest pieces are dropped, see ``add(_:count:)``.
    init(memoryLimit: Int) {
        self.memoryLimit = memoryLimit
    }

    /// The number of distinct pieces.
    var count: Int { counts.count }

    /// What the pieces take: their bytes, and 32 for the place and the count of each.
    var memory: Int { bytes.count + 32 * count }

    /// The bytes of the piece at `index`.
    func piece(at index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }

    /// Adds `count` occurrences of `piece`.
    ///
    /// When the limit is passed, pieces that occurred once are dropped, then those that occurred twice, and so on,
    /// until at most half of it is used. What was dropped counts from 0 if it comes again, so that a text with more
    /// distinct pieces than fit is counted approximately, the frequent ones best.
    mutating func add(_ piece: Span<UInt8>, count: Int = 1) {
        let slot = slot(of: piece)
        if table[slot] != 0 {
            counts[Int(table[slot]) - 1] += count
            return
        }
        for index in 0..<piece.count { bytes.append(piece[index]) }
        ends.append(bytes.count)
        counts.append(count)
        table[slot] = UInt32(counts.count)
        if counts.count * 2 > table.count { rebuildTable(slots: table.count * 2) }
        if memory > memoryLimit { prune() }
    }

    private mutating func prune() {
        var threshold = 0
        var kept = memory
        while kept > memoryLimit / 2 {
            threshold += 1
            kept = 0
            for index in 0..<count where counts[index] > threshold { kept += piece(at: index).count + 32 }
        }
        let old = self
        counts.removeAll()
        ends.removeAll()
        bytes.removeAll()
        for index in 0..<old.count where old.counts[index] > threshold {
            bytes += old.piece(at: index)
            ends.append(bytes.count)
            counts.append(old.counts[index])
        }
        rebuildTable(slots: table.count)
    }

    private mutating func rebuildTable(slots: Int) {
        table = [UInt32](repeating: 0, count: slots)
        for index in 0..<count {
            var slot = Self.hash(bytes.span.extracting((index == 0 ? 0 : ends[index - 1])..<ends[index])) & (slots - 1)
            while table[slot] != 0 { slot = (slot + 1) & (slots - 1) }
            table[slot] = UInt32(index + 1)
        }
    }

    /// Where `piece` is, or the free slot where it would go.
    private func slot(of piece: Span<UInt8>) -> Int {
        let mask = table.count - 1
        var slot = Self.hash(piece) & mask
        while table[slot] != 0, !isEqual(Int(table[slot]) - 1, piece) { slot = (slot + 1) & mask }
        return slot
    }

    private func isEqual(_ index: Int, _ piece: Span<UInt8>) -> Bool {
        let start = index == 0 ? 0 : ends[index - 1]
        guard ends[index] - start == piece.count else { return false }
        for offset in 0..<piece.count where bytes[start + offset] != piece[offset] { return false }
        return true
    }

    /// FNV-1a, its upper bits folded in because the table keeps the lower ones.
    private static func hash(_ piece: Span<UInt8>) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in 0..<piece.count { hash = (hash ^ UInt64(piece[index])) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: hash ^ (hash >> 32))
    }
}
