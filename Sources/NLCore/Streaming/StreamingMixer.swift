/// Self-modifying Titans over the new rows of several streams: projections are products over all rows together, the
/// memories are walked head by head (spec §2; the differentiable form is ``SelfModifyingTitans``).
///
/// `R` rows: the new tokens of all streams, one stream after another.
struct StreamingMixer<S: TensorScalar> {
    let geometry: MixerGeometry<S>
    let batch: StreamBatch
    /// c = silu(conv(u)), `[R, D]`.
    private let convolved: Tensor<S>
    private let mixed: Tensor<S>
    /// W_q c, W_k c, W_v c and W_g c, `[R, 4D]`.
    private let projected: Tensor<S>

    init(_ geometry: MixerGeometry<S>, _ batch: StreamBatch) {
        self.geometry = geometry
        self.batch = batch
        convolved = Tensor(uninitialized: [batch.rows, geometry.width])
        mixed = Tensor(uninitialized: [batch.rows, geometry.width])
        projected = Tensor(uninitialized: [batch.rows, 4 * geometry.width])
    }

    /// Adds the mixer's output to `x`, and advances the states of one layer.
    ///
    /// - Parameters:
    ///   - u: the normed input, `[R, D]`.
    ///   - x: the residual stream, `[R, D]`.
    ///   - layers: this layer's state of each stream; every part that is written has one owner.
    func callAsFunction(
        _ u: Tensor<S>, addingTo x: Tensor<S>, _ weights: HopeWeights<S>.Titans, _ layers: [StreamLayer<S>]
    ) {
        convolve(u, weights.taps, layers)
        keepHistory(of: u, layers)
        weights.input.multiply(batch.rows, convolved.pointer, into: projected.pointer)
        walk(weights, layers)
        weights.output.multiply(batch.rows, mixed.pointer, into: x.pointer, accumulate: true)
    }

    // MARK: - Convolution

    private func convolve(_ u: Tensor<S>, _ taps: Tensor<S>, _ layers: [StreamLayer<S>]) {
        let (width, window) = (geometry.width, geometry.window)
        let (from, filter, to) = (u.pointer, taps.pointer, convolved.pointer)
        // The sums wait in `mixed` for their activation: nothing else is there yet.
        let sums = mixed.pointer
        inParallel(batch.blocks.count) { index in
            let block = batch.blocks[index]
            let first = batch.spans[block.stream].first
            let history = layers[block.stream].open.history.pointer
            for local in block.rows {
                let sum = sums + (first + local) * width
                sum.update(repeating: 0, count: width)
                for tap in 0..<window {
                    let source = local - window + 1 + tap
                    let row = source >= 0 ? from + (first + source) * width : history + (window - 1 + source) * width
                    S.multiplyAccumulate(width, filter + tap * width, row, sum)
                }
            }
            let start = (first + block.rows.lowerBound) * width
            S.silu(block.rows.count * width, sums + start, to + start)
        }
    }

    /// The last w − 1 rows of each stream, and those before the last multiple of C_p if it lies among the new rows.
    private func keepHistory(of u: Tensor<S>, _ layers: [StreamLayer<S>]) {
        let (width, kept) = (geometry.width, geometry.window - 1)
        for (span, layer) in zip(batch.spans, layers) {
            let history = layer.open.history.pointer
            func copyRows(before end: Int, to target: UnsafeMutablePointer<S>) {
                // A source within the history lies behind its target, so none is overwritten before it is read.
                for row in 0..<kept {
                    let source = end - kept + row
                    let from =
                        source >= 0 ? u.pointer + (span.first + source) * width : history + (kept + source) * width
                    (target + row * width).update(from: from, count: width)
                }
            }
            if let boundary = span.lastBoundary(every: geometry.span) {
                copyRows(before: boundary, to: layer.boundaryHistory.pointer)
            }
            copyRows(before: span.count, to: history)
        }
    }

    // MARK: - Memories

    private func walk(_ weights: HopeWeights<S>.Titans, _ layers: [StreamLayer<S>]) {
        let g = geometry
        let shared = SharedPointers(weights)
        let own = zip(batch.spans, layers).map { span, layer in
            StreamPointers(layer, span, writesBoundary: span.lastBoundary(every: g.span) != nil)
        }
        let streams = batch.spans.count
        // Head by head, so that a head's shared weights stay in the cache for the next stream.
        inParallel(g.heads * streams) { index in
            let (head, stream) = (index / streams, index % streams)
            unit(head, batch.spans[stream], shared, own[stream]).run()
        }
        for (layer, own) in zip(layers, own) where !own.hasSums { layer.sums?.isFilled = true }
    }

    private func unit(
        _ head: Int, _ span: StreamBatch.Span, _ shared: SharedPointers<S>, _ own: StreamPointers<S>
    ) -> HeadUnit<S> {
        let g = geometry
        let (d, m) = (g.head, g.hidden)
        let matrix = head * d * m
        let memories = InlineArray<5, HeadMemory<S>> { index in
            HeadMemory(
                head: d, hidden: m, w1T: shared.w1T[index] + matrix, w2T: shared.w2T[index] + matrix,
                w1: shared.w1[index] + matrix, delta1T: own.delta1T[index] + matrix,
                delta2T: own.delta2T[index] + matrix)
        }
        let left = projected.pointer + span.first * 4 * g.width + head * d
        let column = span.first * g.width + head * d
        return HeadUnit(
            geometry: g, memories: memories, sums: ProjectionSums.head(head, of: own.sums, g), hasSums: own.hasSums,
            gates: .init(
                stepSizeReadout: shared.stepSizeReadout + head * d, stepSizeBias: shared.stepSizeBias[head],
                retentionReadout: shared.retentionReadout + head * d, retentionBias: shared.retentionBias[head],
                headGain: shared.headGain),
            rows: .init(
                count: span.count, query: left, key: left + g.width, value: left + 2 * g.width,
                gate: left + 3 * g.width, input: convolved.pointer + column, output: mixed.pointer + column),
            open: .init(
                position: span.position, key: own.key + head * g.span * d, value: own.value + head * g.span * d,
                stepSize: own.stepSize + head * g.span, logRetention: own.logRetention + head * g.span,
                hiddenKey: own.hiddenKey + head * g.chunk * m, w1: own.w1 + head * g.chunk * d,
                w2: own.w2 + head * g.chunk * m, boundary1T: own.boundary1T.map { $0 + matrix },
                boundary2T: own.boundary2T.map { $0 + matrix }))
    }
}

/// Where one layer's shared parameters begin: taken once a layer, since counting references to tensors from every unit
/// would make the threads wait for each other.
private struct SharedPointers<S: TensorScalar> {
    let w1T: InlineArray<5, UnsafePointer<S>>
    let w2T: InlineArray<5, UnsafePointer<S>>
    let w1: InlineArray<5, UnsafePointer<S>>
    let stepSizeReadout: UnsafePointer<S>
    let stepSizeBias: UnsafePointer<S>
    let retentionReadout: UnsafePointer<S>
    let retentionBias: UnsafePointer<S>
    let headGain: UnsafePointer<S>

    init(_ block: HopeWeights<S>.Titans) {
        w1T = InlineArray { UnsafePointer(block.memories[MemoryKind.allCases[$0]].w1T.pointer) }
        w2T = InlineArray { UnsafePointer(block.memories[MemoryKind.allCases[$0]].w2T.pointer) }
        w1 = InlineArray { UnsafePointer(block.memories[MemoryKind.allCases[$0]].w1.pointer) }
        stepSizeReadout = UnsafePointer(block.stepSizeReadout.pointer)
        stepSizeBias = UnsafePointer(block.stepSizeBias.pointer)
        retentionReadout = UnsafePointer(block.retentionReadout.pointer)
        retentionBias = UnsafePointer(block.retentionBias.pointer)
        headGain = UnsafePointer(block.headGain.pointer)
    }
}

/// Where one layer's state of one stream begins.
private struct StreamPointers<S: TensorScalar> {
    let delta1T: InlineArray<5, UnsafeMutablePointer<S>>
    let delta2T: InlineArray<5, UnsafeMutablePointer<S>>
    let key: UnsafeMutablePointer<S>
    let value: UnsafeMutablePointer<S>
    let stepSize: UnsafeMutablePointer<S>
    let logRetention: UnsafeMutablePointer<S>
    let hiddenKey: UnsafeMutablePointer<S>
    let w1: UnsafeMutablePointer<S>
    let w2: UnsafeMutablePointer<S>
    let boundary1T: UnsafeMutablePointer<S>?
    let boundary2T: UnsafeMutablePointer<S>?
    let sums: UnsafeMutablePointer<S>
    let hasSums: Bool

    init(_ layer: StreamLayer<S>, _ span: StreamBatch.Span, writesBoundary: Bool) {
        delta1T = InlineArray { layer.delta[MemoryKind.allCases[$0]].w1.pointer }
        delta2T = InlineArray { layer.delta[MemoryKind.allCases[$0]].w2.pointer }
        key = layer.open.key.pointer
        value = layer.open.value.pointer
        stepSize = layer.open.stepSize.pointer
        logRetention = layer.open.logRetention.pointer
        hiddenKey = layer.open.hiddenKey.pointer
        w1 = layer.open.w1.pointer
        w2 = layer.open.w2.pointer
        boundary1T = writesBoundary ? layer.boundaryMain.w1.pointer : nil
        boundary2T = writesBoundary ? layer.boundaryMain.w2.pointer : nil
        guard let sums = layer.sums else { preconditionFailure("a state is made writable before it reads on") }
        (self.sums, hasSums) = (sums.values.pointer, sums.isFilled)
    }
}
