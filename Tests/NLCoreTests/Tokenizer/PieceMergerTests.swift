import Testing

@testable import NLCore

/// Would catch a heap that merges in another order than the definition: lowest rank first, leftmost first.
@Suite struct PieceMergerTests {
    /// The definition, one merge at a time over the whole piece: O(n^2).
    private func naiveMerge(_ bytes: [UInt8], _ byteIDs: [UInt32], _ table: MergeTable) -> [Int] {
        var symbols = bytes.map { byteIDs[Int($0)] }
        while symbols.count > 1 {
            let ranks = (0..<symbols.count - 1).map { table.rank(symbols[$0], symbols[$0 + 1]) }
            guard let lowest = ranks.min(), lowest != MergeTable.none, let place = ranks.firstIndex(of: lowest) else {
                break
            }
            symbols.replaceSubrange(place...place + 1, with: [table.products[Int(lowest)]])
        }
        return symbols.map(Int.init)
    }

    /// Merges over four letters in random order: later merges may come before those they build on, and two of them
    /// may make the same token, which files from elsewhere contain and prose never exercises.
    private func randomTable(_ generator: inout SeededGenerator) -> MergeTable {
        var ids: [[UInt8]: UInt32] = [[0]: 0, [1]: 1, [2]: 2, [3]: 3]
        var merges: [(left: UInt32, right: UInt32, product: UInt32)] = []
        for _ in 0..<60 {
            let known = ids.keys.sorted { $0.lexicographicallyPrecedes($1) }
            guard let left = known.randomElement(using: &generator), let right = known.randomElement(using: &generator)
            else { continue }
            let product = ids[left + right] ?? UInt32(ids.count)
            ids[left + right] = product
            merges.append((ids[left] ?? 0, ids[right] ?? 0, product))
        }
        return MergeTable(merges.shuffled(using: &generator))
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func heapMergesAsTheDefinition(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let table = randomTable(&generator)
        let byteIDs: [UInt32] = [0, 1, 2, 3]
        var merger = PieceMerger()
        for length in [0, 1, 2, 3, 4, 5, 8, 13, 40, 150] {
            for letters in 1...4 as ClosedRange<UInt8> {
                let bytes = (0..<length).map { _ in UInt8.random(in: 0..<letters, using: &generator) }
                var ids: [Int] = []
                merger.merge(bytes.span, byteIDs: byteIDs, table: table, into: &ids)
                #expect(ids == naiveMerge(bytes, byteIDs, table), "\(bytes)")
            }
        }
    }

    /// A quadratic merge would take minutes here.
    @Test(.timeLimit(.minutes(10)))
    func aMegabyteWithoutASpaceIsNotAnAttack() throws {
        let tokenizer = try TokenizerFixture.plain.tokenizer()
        let text = String(repeating: "lighthouse", count: 100_000)
        #expect(tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: false) == text)
    }
}
