/// One group from its first row to its last, and back.
extension FusedGroup {
    /// Reads all rows and writes the memories.
    ///
    /// - Parameters:
    ///   - records: holds Δ before the rows as each memory's state 0.
    ///   - y: the reads, `[T, d]`.
    func forward(_ z: FusedInputs<S>, _ records: FusedRecords<S>, into y: UnsafeMutablePointer<S>) {
        for index in 0..<shape.spans {
            let span = records.span(index)
            let range = shape.spanRows(index)
            retrieve(range.count, z.from(range.lowerBound, width: shape.width), span) { kind in
                delta(kind, shape.adaptive.contains(kind) ? index : 0, records)
            }
            for chunk in shape.chunksOfSpan(index) {
                forward(chunk, of: span, from: range.lowerBound, count: range.count, z, records, into: y)
            }
            prepare(range.count, span.rows, logRetention: span.retrieval.logRetention, reads: false)
            records.forEachWrite(index) { kind, record in
                write(
                    range.count, span.rows, kind, record, from: delta(kind, index, records),
                    to: records.state(kind, index + 1))
            }
        }
    }

    /// One chunk of the main memory; `start` and `count` are its span's.
    private func forward(
        _ index: Int, of span: FusedRecords<S>.Span, from start: Int, count: Int, _ z: FusedInputs<S>,
        _ records: FusedRecords<S>, into y: UnsafeMutablePointer<S>
    ) {
        let d = shape.width
        let range = shape.chunkRows(index)
        let (n, first) = (range.count, range.lowerBound - start)
        let chunk = records.chunk(index)
        let inputs = chunk.rows.inputs
        inputs.update(from: span.rows.inputs + first * d, count: n * d)
        (inputs + n * d).update(from: span.rows.inputs + (count + first) * d, count: n * d)
        (inputs + 2 * n * d).update(from: z.query + range.lowerBound * d, count: n * d)
        chunk.rows.stepSize.update(from: span.rows.stepSize + first, count: n)
        prepare(n, chunk.rows, logRetention: span.retrieval.logRetention + first, reads: true)
        write(
            n, chunk.rows, .main, chunk.write, from: delta(.main, index, records),
            to: records.state(.main, index + 1), reading: y + range.lowerBound * d)
    }

    /// Walks back.
    ///
    /// - Parameters:
    ///   - dy: the gradient of the reads, `[T, d]`.
    ///   - dz: what the gradients of the inputs are added to.
    ///   - rowGradients: scratch for a span's and for a chunk's.
    func backward(
        dy: UnsafePointer<S>, _ z: FusedInputs<S>, _ records: FusedRecords<S>, into dz: FusedInputs<S>,
        _ gradients: GroupGradients<S>, _ rowGradients: (span: RowGradients<S>, chunk: RowGradients<S>)
    ) {
        for index in (0..<shape.spans).reversed() {
            let span = records.span(index)
            let range = shape.spanRows(index)
            let n = range.count
            rowGradients.span.reset(n, blocks: 2, width: shape.width)
            // Nothing reads what the last span wrote: the state after it is a constant.
            if index < shape.spans - 1 {
                records.forEachWrite(index) { kind, record in
                    if kind == .retention && !shape.retains { return }
                    let targets = gradients.memory(kind, entersWithGradient: true, leavesWithGradient: index > 0)
                    writeBackward(
                        n, span.rows, kind, record, from: delta(kind, index, records),
                        to: records.state(kind, index + 1), targets, into: rowGradients.span)
                }
                finishRows(n, span.rows, sharesKeys: true, rowGradients.span)
            }
            for chunk in shape.chunksOfSpan(index).reversed() {
                backward(chunk, from: range.lowerBound, count: n, dy: dy, records, into: dz, gradients, rowGradients)
            }
            retrieveBackward(
                n, z.from(range.lowerBound, width: shape.width), span, rowGradients.span,
                into: dz.from(range.lowerBound, width: shape.width), gradients, leavesWithGradient: index > 0
            ) { kind in
                delta(kind, shape.adaptive.contains(kind) ? index : 0, records)
            }
        }
    }

    /// One chunk of the main memory, backward; `start` and `count` are its span's.
    private func backward(
        _ index: Int, from start: Int, count: Int, dy: UnsafePointer<S>, _ records: FusedRecords<S>,
        into dz: FusedInputs<S>, _ gradients: GroupGradients<S>,
        _ rowGradients: (span: RowGradients<S>, chunk: RowGradients<S>)
    ) {
        let d = shape.width
        let range = shape.chunkRows(index)
        let (n, first) = (range.count, range.lowerBound - start)
        let chunk = records.chunk(index)
        let (dspan, dchunk) = rowGradients
        let targets = gradients.memory(
            .main, entersWithGradient: index < shape.chunks - 1, leavesWithGradient: index > 0)
        dchunk.reset(n, blocks: 3, width: d)
        writeBackward(
            n, chunk.rows, .main, chunk.write, from: delta(.main, index, records),
            to: records.state(.main, index + 1), targets, into: dchunk, reading: dy + range.lowerBound * d)
        finishRows(n, chunk.rows, sharesKeys: false, dchunk)
        S.axpy(n * d, 1, dchunk.inputs, dspan.inputs + first * d)
        S.axpy(n * d, 1, dchunk.inputs + n * d, dspan.inputs + (count + first) * d)
        S.axpy(n * d, 1, dchunk.inputs + 2 * n * d, dz.query + range.lowerBound * d)
        S.axpy(n, 1, dchunk.logStepSize, dspan.logStepSize + first)
        S.axpy(n, 1, dchunk.logRetention, dspan.logRetention + first)
    }
}
