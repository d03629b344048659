/// One head of one stream in one layer: walks over the stream's new rows, reading and writing its five memories.
///
/// The unit of parallel work. It touches what belongs to its head of its stream and nothing else, so what it computes
/// does not depend on the other streams of a batch.
struct HeadUnit<S: TensorScalar> {
    let geometry: MixerGeometry<S>
    let memories: InlineArray<5, HeadMemory<S>>
    let sums: HeadSums<S>
    /// Whether `sums` are those of the memories as they stand.
    let hasSums: Bool
    let gates: Gates
    let rows: Rows
    let open: Open

    /// r_η, r_α `[d]`, b_η, b_α, and the gain of the head norm `[d]`.
    struct Gates {
        let stepSizeReadout: UnsafePointer<S>
        let stepSizeBias: S
        let retentionReadout: UnsafePointer<S>
        let retentionBias: S
        let headGain: UnsafePointer<S>
    }

    /// The head's columns of the stream's new rows.
    struct Rows {
        let count: Int
        /// W_q c, z_k, z_v and W_g c; rows lie 4D apart.
        let query: UnsafePointer<S>
        let key: UnsafePointer<S>
        let value: UnsafePointer<S>
        let gate: UnsafePointer<S>
        /// c; rows lie D apart.
        let input: UnsafePointer<S>
        /// rms_head(y) ⊙ silu(W_g c); rows lie D apart.
        let output: UnsafeMutablePointer<S>
    }

    /// The head's part of the stream's state.
    struct Open {
        /// Tokens read before the new rows.
        let position: Int
        /// ``OpenRows`` of this head.
        let key: UnsafeMutablePointer<S>
        let value: UnsafeMutablePointer<S>
        let stepSize: UnsafeMutablePointer<S>
        let logRetention: UnsafeMutablePointer<S>
        let hiddenKey: UnsafeMutablePointer<S>
        let w1: UnsafeMutablePointer<S>
        let w2: UnsafeMutablePointer<S>
        /// Where Δ of the main memory goes when a projection chunk ends; nil when none does.
        let boundary1T: UnsafeMutablePointer<S>?
        let boundary2T: UnsafeMutablePointer<S>?
    }

    func run() {
        let tensor = Tensor<S>(uninitialized: [scratchCount])
        let scratch = Scratch(tensor)
        if !hasSums { for kind in MemoryKind.projections { sum(kind) } }
        var done = 0
        while done < rows.count {
            let filled = (open.position + done) % geometry.span
            let count = min(rows.count - done, geometry.span - filled)
            generate(from: done, count, at: filled, scratch)
            readAndWriteMain(from: done, count, at: filled, scratch)
            if filled + count == geometry.span { closeProjectionChunk(scratch) }
            done += count
        }
        withExtendedLifetime(tensor) {}
    }

    /// k, v, η and α of rows of one projection chunk, all from the state at its start.
    private func generate(from first: Int, _ count: Int, at filled: Int, _ scratch: Scratch<S>) {
        var scratch = scratch
        let d = geometry.head
        let stride = 4 * geometry.width
        let y = scratch.take(count * d)
        let scales = scratch.take(count)
        sums.prefetch(.value)
        sums.retrieve(.key, count, rows.key + first * stride, stride: stride, into: y, scratch)
        S.unitRows(count, d, y, open.key + filled * d, scales)
        sums.prefetch(.stepSize)
        sums.retrieve(.value, count, rows.value + first * stride, stride: stride, into: y, scratch)
        S.unitRows(count, d, y, open.value + filled * d, scales)

        let input = rows.input + first * geometry.width
        sums.prefetch(.retention)
        memories[MemoryKind.main.index].prefetch()
        let logits = scales
        sums.readOut(
            .stepSize, count, input, stride: geometry.width, readout: gates.stepSizeReadout, into: logits, scratch)
        for row in 0..<count {
            open.stepSize[filled + row] = geometry.stepSizeMaximum * S.sigmoid(logits[row] + gates.stepSizeBias)
        }
        guard geometry.retains else {  // α = 1
            (open.logRetention + filled).update(repeating: 0, count: count)
            return
        }
        sums.readOut(
            .retention, count, input, stride: geometry.width, readout: gates.retentionReadout, into: logits, scratch)
        for row in 0..<count { open.logRetention[filled + row] = S.logSigmoid(logits[row] + gates.retentionBias) }
    }

    /// The main memory over the same rows, chunk by chunk.
    private func readAndWriteMain(from first: Int, _ count: Int, at filled: Int, _ scratch: Scratch<S>) {
        let d = geometry.head
        let main = memories[MemoryKind.main.index]
        var done = 0
        while done < count {
            var scratch = scratch
            let place = filled + done
            let known = place % geometry.chunk
            let new = min(count - done, geometry.chunk - known)
            let start = place - known
            let chunk = OpenChunk(
                capacity: geometry.chunk, key: open.key + start * d, value: open.value + start * d,
                stepSize: open.stepSize + start, logRetention: open.logRetention + start, hiddenKey: open.hiddenKey,
                w1: open.w1, w2: open.w2, usesDelta: geometry.usesDelta)
            let decay = ChunkDecay(chunk, known: known, count: new, &scratch)
            let queries = scratch.take(new * d)
            let reads = scratch.take(new * d)
            unitQueries(from: first + done, new, into: queries, scratch)
            main.append(chunk, decay, queries: queries, reads: reads, scratch)
            emit(reads, from: first + done, new, scratch)
            if known + new == geometry.chunk { main.close(chunk, decay, radius: geometry.radius, scratch) }
            done += new
        }
    }

    /// q = l2(W_q c).
    private func unitQueries(
        from first: Int, _ count: Int, into queries: UnsafeMutablePointer<S>, _ scratch: Scratch<S>
    ) {
        var scratch = scratch
        let d = geometry.head
        let rowsOfQuery = scratch.take(count * d)
        let scales = scratch.take(count)
        for row in 0..<count {
            (rowsOfQuery + row * d).update(from: rows.query + (first + row) * 4 * geometry.width, count: d)
        }
        S.unitRows(count, d, rowsOfQuery, queries, scales)
    }

    /// rms_head(y) ⊙ silu(W_g c), to the head's columns.
    private func emit(_ reads: UnsafePointer<S>, from first: Int, _ count: Int, _ scratch: Scratch<S>) {
        var scratch = scratch
        let d = geometry.head
        let normed = scratch.take(count * d)
        let gate = scratch.take(d)
        let scales = scratch.take(count)
        S.rmsRows(count, d, reads, gates.headGain, normed, scales)
        for row in 0..<count {
            S.silu(d, rows.gate + (first + row) * 4 * geometry.width, gate)
            S.multiplyElements(d, normed + row * d, gate, rows.output + (first + row) * geometry.width)
        }
    }

    /// The end of a projection chunk: writes the four other memories, and keeps the main one's Δ for the boundary.
    private func closeProjectionChunk(_ scratch: Scratch<S>) {
        var scratch = scratch
        let (d, m, span) = (geometry.head, geometry.hidden, geometry.span)
        let chunk = OpenChunk(
            capacity: span, key: open.key, value: open.value, stepSize: open.stepSize,
            logRetention: open.logRetention, hiddenKey: scratch.take(span * m), w1: scratch.take(span * d),
            w2: scratch.take(span * m), usesDelta: geometry.usesDelta)
        let decay = ChunkDecay(chunk, known: 0, count: span, &scratch)
        for kind in MemoryKind.projections where geometry.adapts[kind.index] {
            memories[kind.index].append(chunk, decay, scratch)
            memories[kind.index].close(chunk, decay, radius: geometry.radius, scratch)
            sum(kind)
        }
        let main = memories[MemoryKind.main.index]
        open.boundary1T?.update(from: main.delta1T, count: d * m)
        open.boundary2T?.update(from: main.delta2T, count: d * m)
    }

    private func sum(_ kind: MemoryKind) {
        switch kind {
        case .key, .value: sums.fill(kind, memories[kind.index])
        case .stepSize: sums.fill(kind, memories[kind.index], readout: gates.stepSizeReadout)
        case .retention: sums.fill(kind, memories[kind.index], readout: gates.retentionReadout)
        case .main: break
        }
    }

    private var scratchCount: Int {
        let g = geometry
        let r = Scratch<S>.rounded
        let longest = min(rows.count, g.span)
        let generating = r(longest * g.head) + r(longest) + HeadSums<S>.scratchCount(g.hidden, longest)
        let new = min(rows.count, g.chunk)
        let main =
            ChunkDecay<S>.scratchCount(g.chunk, new) + 4 * r(new * g.head) + r(new) + r(g.head)
            + HeadMemory<S>.scratchCount(head: g.head, hidden: g.hidden, capacity: g.chunk, count: new)
        guard open.position % g.span + rows.count >= g.span else { return max(generating, main) }
        let closing =
            2 * r(g.span * g.hidden) + r(g.span * g.head) + ChunkDecay<S>.scratchCount(g.span, g.span)
            + HeadMemory<S>.scratchCount(head: g.head, hidden: g.hidden, capacity: g.span, count: g.span)
        return max(generating, main, closing)
    }
}
