/// Softmax attention over the new rows of several streams: projections are products over all rows together, scores and
/// sums are walked page by page of each stream's cache (the differentiable form is ``SoftmaxAttention``).
///
/// A row's sums always run over whole pages in their order, those positions that it does not see multiplied by zero: so
/// its bits do not depend on how a stream is cut into calls where products treat each row alike.
struct StreamingAttention<S: TensorScalar> {
    let geometry: AttentionGeometry
    let batch: StreamBatch
    /// Queries, keys and values of each row, `[R, (H + 2 H_kv)·d]`.
    private let projected: Tensor<S>
    /// `[R, H·d]`.
    private let mixed: Tensor<S>
    private let table: RotaryTable<S>

    init(_ geometry: AttentionGeometry, _ batch: StreamBatch) {
        self.geometry = geometry
        self.batch = batch
        projected = Tensor(uninitialized: [batch.rows, geometry.projected])
        mixed = Tensor(uninitialized: [batch.rows, geometry.heads * geometry.head])
        table = RotaryTable(
            geometry, positions: batch.spans.flatMap { $0.position..<$0.position + $0.count })
    }

    /// Adds the mixer's output to `x`, and writes the new rows' keys and values into one layer of the caches.
    ///
    /// - Parameters:
    ///   - u: the normed input, `[R, D]`.
    ///   - x: the residual stream, `[R, D]`.
    ///   - caches: of each stream; the pages that are written have one owner.
    func callAsFunction(
        _ u: Tensor<S>, addingTo x: Tensor<S>, _ weights: HopeWeights<S>.Attention, layer: Int,
        _ caches: [AttentionCache<S>]
    ) {
        let g = geometry
        weights.input.multiply(batch.rows, u.pointer, into: projected.pointer)
        inParallel(batch.blocks.count) { index in
            let block = batch.blocks[index]
            for local in block.rows { finish(batch.spans[block.stream], local, weights, layer, caches[block.stream]) }
        }
        inParallel(batch.blocks.count * g.keyValueHeads) { index in
            let block = batch.blocks[index / g.keyValueHeads]
            attend(batch.spans[block.stream], block.rows, index % g.keyValueHeads, layer, caches[block.stream])
        }
        weights.output.multiply(batch.rows, mixed.pointer, into: x.pointer, accumulate: true)
        guard let bias = weights.outputBias else { return }
        for row in 0..<batch.rows { S.axpy(g.width, 1, bias.pointer, x.pointer + row * g.width) }
    }

    /// Bias, norms and rotation of one row, and its place in the cache.
    private func finish(
        _ span: StreamBatch.Span, _ local: Int, _ weights: HopeWeights<S>.Attention, _ layer: Int,
        _ cache: AttentionCache<S>
    ) {
        let g = geometry
        let (d, row) = (g.head, span.first + local)
        let queries = projected.pointer + row * g.projected
        let keys = queries + g.heads * d
        let values = keys + g.keyValueHeads * d
        if let bias = weights.inputBias { S.axpy(g.projected, 1, bias.pointer, queries) }
        norm(queries, g.heads, weights.queryGain)
        norm(keys, g.keyValueHeads, weights.keyGain)
        let turn = row * d / 2
        S.rotateHalves(g.heads, d / 2, queries, table.cosines.pointer + turn, table.sines.pointer + turn)
        S.rotateHalves(g.keyValueHeads, d / 2, keys, table.cosines.pointer + turn, table.sines.pointer + turn)
        let position = span.position + local
        guard let first = cache.pages.first else { return }
        let page = cache.pages[position / g.page - first.index]
        let slot = position % g.page * d
        for head in 0..<g.keyValueHeads {
            (page.keys(layer, head, g) + slot).update(from: keys + head * d, count: d)
            (page.values(layer, head, g) + slot).update(from: values + head * d, count: d)
        }
    }

    private func norm(_ rows: UnsafeMutablePointer<S>, _ heads: Int, _ gain: Tensor<S>?) {
        guard let gain else { return }
        let copy = Tensor<S>(uninitialized: [heads, geometry.head])
        let scales = Tensor<S>(uninitialized: [heads])
        copy.pointer.update(from: rows, count: copy.count)
        S.rmsRows(
            heads, geometry.head, epsilon: S(geometry.epsilon), copy.pointer, gain.pointer, rows, scales.pointer)
    }

    /// Some rows of one stream through the heads of queries that share one head of keys.
    private func attend(
        _ span: StreamBatch.Span, _ rows: Range<Int>, _ shared: Int, _ layer: Int, _ cache: AttentionCache<S>
    ) {
        let g = geometry
        let (d, count, page) = (g.head, rows.count, g.page)
        let lines = g.group * count
        let (first, last) = (span.position + rows.lowerBound, span.position + rows.upperBound - 1)
        let origin = cache.pages.first?.index ?? 0
        let pages = max(first - g.window + 1, 0) / page...last / page
        // Queries of the group's heads one below the other, scaled: `[g·rows, d]`.
        let queries = Tensor<S>.zeros([lines, d])
        let scale = 1 / S(d).squareRoot()
        for head in 0..<g.group {
            for row in 0..<count {
                let from =
                    projected.pointer + (span.first + rows.lowerBound + row) * g.projected
                    + (shared * g.group + head) * d
                S.axpy(d, scale, from, queries.pointer + (head * count + row) * d)
            }
        }
        let scores = Tensor<S>(uninitialized: [pages.count, lines, page])
        for index in pages {
            multiplySmall(
                lines, page, d, queries.pointer, d, cache.pages[index - origin].keys(layer, shared, g), d,
                scores.pointer + (index - pages.lowerBound) * lines * page, page, transposeB: true)
        }
        let sums = Tensor<S>(uninitialized: [lines])
        for line in 0..<lines {
            let position = first + line % count
            sums.pointer[line] = softmax(
                scores, line, of: lines, pages, seen: max(position - g.window + 1, 0)...position)
        }
        let sum = Tensor<S>.zeros([lines, d])
        for index in pages {
            multiplySmall(
                lines, d, page, scores.pointer + (index - pages.lowerBound) * lines * page, page,
                cache.pages[index - origin].values(layer, shared, g), d, sum.pointer, d, accumulate: true)
        }
        for head in 0..<g.group {
            for row in 0..<count {
                let line = head * count + row
                let to =
                    mixed.pointer + (span.first + rows.lowerBound + row) * g.heads * d
                    + (shared * g.group + head) * d
                to.update(repeating: 0, count: d)
                S.axpy(d, 1 / sums.pointer[line], sum.pointer + line * d, to)
            }
        }
    }

    /// Turns one line's scores into e^(score − largest), zero where it does not see; returns their sum.
    private func softmax(
        _ scores: Tensor<S>, _ line: Int, of lines: Int, _ pages: ClosedRange<Int>, seen: ClosedRange<Int>
    ) -> S {
        let page = geometry.page
        func slots(_ index: Int) -> Range<Int> {
            let lower = min(max(seen.lowerBound - index * page, 0), page)
            return lower..<max(min(seen.upperBound + 1 - index * page, page), lower)
        }
        func part(_ index: Int) -> UnsafeMutablePointer<S> {
            scores.pointer + ((index - pages.lowerBound) * lines + line) * page
        }
        var largest = -S.greatestFiniteMagnitude
        for index in pages {
            let visible = slots(index)
            if visible.isEmpty { continue }
            largest = Swift.max(largest, S.maximum(visible.count, part(index) + visible.lowerBound))
        }
        var sum: S = 0
        for index in pages {
            let (visible, own) = (slots(index), part(index))
            own.update(repeating: 0, count: visible.lowerBound)
            if !visible.isEmpty {
                let start = own + visible.lowerBound
                sum += S.shiftedExponentials(visible.count, start, shift: largest, start)
            }
            (own + visible.upperBound).update(repeating: 0, count: page - visible.upperBound)
        }
        return sum
    }
}
