/// What a mixer remembers of a stream between two windows: the closed state of one layer.
public enum MixerState<S: TensorScalar>: Sendable {
    /// Of self-modifying Titans.
    case titans(TitansState<S>)
    /// Of softmax attention.
    case attention(AttentionState<S>)

    /// The state before the first token.
    init(_ c: HopeConfiguration, batch: Int) {
        self = c.usesAttention ? .attention(AttentionState(c, batch: batch)) : .titans(TitansState(c, batch: batch))
    }

    /// The memories' state, if they are the mixer.
    public var titans: TitansState<S>? { if case .titans(let state) = self { state } else { nil } }
    /// The cache, if attention is the mixer.
    public var attention: AttentionState<S>? { if case .attention(let state) = self { state } else { nil } }
}

/// Keys and values of the positions that the next token can still see; keys are rotated.
public struct AttentionState<S: TensorScalar>: Sendable {
    enum Source: Sendable {
        /// `[B·H_kv, P, d]` each; nil where there is nothing yet.
        case rows(keys: Tensor<S>, values: Tensor<S>)
        /// One layer of a stream's pages, all of them full.
        case pages([AttentionPage<S>], layer: Int)
        case nothing
    }

    /// Tokens read so far.
    public let position: Int
    let batch: Int
    let source: Source

    init(_ c: HopeConfiguration, batch: Int) {
        position = 0
        self.batch = batch
        source = .nothing
    }

    init(position: Int, batch: Int, source: Source) {
        self.position = position
        self.batch = batch
        self.source = source
    }

    /// Keys and values as one tensor each, `[B·H_kv, P, d]`; nil where there is nothing.
    func rows(_ g: AttentionGeometry) -> (keys: Tensor<S>, values: Tensor<S>)? {
        switch source {
        case .nothing: return nil
        case .rows(let keys, let values): return (keys, values)
        case .pages(let pages, let layer):
            if pages.isEmpty { return nil }
            let (heads, size) = (g.keyValueHeads, g.page * g.head)
            let keys = Tensor<S>(uninitialized: [heads, pages.count * g.page, g.head])
            let values = Tensor<S>(uninitialized: keys.shape)
            for (index, page) in pages.enumerated() {
                for head in 0..<heads {
                    let at = (head * pages.count + index) * size
                    (keys.pointer + at).update(from: page.keys(layer, head, g), count: size)
                    (values.pointer + at).update(from: page.values(layer, head, g), count: size)
                }
            }
            return (keys, values)
        }
    }
}

/// Keys and values of C_p positions, of all layers: what streams share as long as nobody writes it.
///
/// `@unchecked Sendable`: written only by its one owner, while it is not full.
final class AttentionPage<S: TensorScalar>: @unchecked Sendable {
    /// Which C_p positions of the stream, counted from its first.
    let index: Int
    /// `[L·2·H_kv, C_p, d]`; rows past the stream's position are zero.
    let rows: Tensor<S>

    init(_ c: HopeConfiguration, index: Int) {
        self.index = index
        rows = .zeros(Self.shape(c))
    }

    init(index: Int, rows: Tensor<S>) {
        self.index = index
        self.rows = rows
    }

    static func shape(_ c: HopeConfiguration) -> Shape {
        let g = AttentionGeometry(c)
        return [c.layers * 2 * g.keyValueHeads, g.page, g.head]
    }

    /// The first row of one head's keys in one layer.
    func keys(_ layer: Int, _ head: Int, _ g: AttentionGeometry) -> UnsafeMutablePointer<S> {
        rows.pointer + (layer * 2 * g.keyValueHeads + head) * g.page * g.head
    }

    /// The first row of one head's values in one layer.
    func values(_ layer: Int, _ head: Int, _ g: AttentionGeometry) -> UnsafeMutablePointer<S> {
        rows.pointer + ((layer * 2 + 1) * g.keyValueHeads + head) * g.page * g.head
    }
}

/// A stream's pages, oldest first: a bounded number, however long the stream is.
struct AttentionCache<S: TensorScalar>: Sendable {
    var pages: [AttentionPage<S>] = []

    /// Adds the pages that reading `count` tokens after `position` fills, and gives the open one a single owner.
    mutating func makeWritable(reading count: Int, after position: Int, _ c: HopeConfiguration) {
        let page = c.projectionChunkSize
        if position % page > 0, let last = pages.indices.last, !isKnownUniquelyReferenced(&pages[last]) {
            pages[last] = AttentionPage(index: pages[last].index, rows: pages[last].rows.copy())
        }
        var index = (position + page - 1) / page
        while index * page < position + count {
            pages.append(AttentionPage(c, index: index))
            index += 1
        }
    }

    /// Drops what no later token sees, nor a learning step from the last multiple of C_p.
    mutating func trim(to position: Int, _ c: HopeConfiguration) {
        let first = Self.firstPage(position, c)
        pages.removeAll { $0.index < first }
    }

    /// The first page that a stream of so many tokens keeps.
    static func firstPage(_ position: Int, _ c: HopeConfiguration) -> Int {
        let g = AttentionGeometry(c)
        return max(position / g.page * g.page - g.window + 1, 0) / g.page
    }

    /// The most pages that are kept.
    static func largestCount(_ c: HopeConfiguration) -> Int {
        let g = AttentionGeometry(c)
        return (g.window + g.page - 2) / g.page + 1
    }
}
