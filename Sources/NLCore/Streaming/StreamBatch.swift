/// How the new rows of several streams lie in one matrix.
struct StreamBatch {
    /// One stream's rows.
    struct Span {
        /// Its first row in the matrix.
        let first: Int
        /// Its rows.
        let count: Int
        /// Tokens it had read before.
        let position: Int

        /// Rows up to the last multiple of `chunk` that the stream comes to; nil if it comes to none.
        func lastBoundary(every chunk: Int) -> Int? {
            let rows = (position + count) / chunk * chunk - position
            return rows > 0 ? rows : nil
        }
    }

    /// Some rows of one stream, counted from its first.
    struct Block {
        let stream: Int
        let rows: Range<Int>
    }

    let spans: [Span]
    /// R.
    let rows: Int
    /// All rows in parts of a fixed size, for work that is done row by row.
    let blocks: [Block]

    private static let blockSize = 32

    init(_ streams: [(position: Int, count: Int)]) {
        var spans: [Span] = []
        var blocks: [Block] = []
        var first = 0
        for (stream, (position, count)) in streams.enumerated() {
            spans.append(Span(first: first, count: count, position: position))
            for start in stride(from: 0, to: count, by: Self.blockSize) {
                blocks.append(Block(stream: stream, rows: start..<min(start + Self.blockSize, count)))
            }
            first += count
        }
        self.spans = spans
        self.blocks = blocks
        rows = first
    }
}
