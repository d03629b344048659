/// How well a model predicts whole documents, read as the daemon reads them: from a fresh state, in windows, the
/// memories' state carried from window to window.
public struct DocumentScoring: Sendable {
    /// The model's geometry.
    public let configuration: HopeConfiguration
    /// Tokens a window; a multiple of C_p, so that states are closed between windows.
    public let window: Int
    /// Documents on one tape.
    public let batch: Int

    /// Scoring in windows of `window` tokens.
    ///
    /// - Precondition: `window` is a positive multiple of `projection_chunk_size`.
    public init(_ configuration: HopeConfiguration, window: Int, batch: Int) {
        precondition(
            window > 0 && window % configuration.projectionChunkSize == 0 && batch > 0,
            "a window of \(window) tokens is no multiple of \(configuration.projectionChunkSize)")
        self.configuration = configuration
        self.window = window
        self.batch = batch
    }

    /// Σ −log p(token | those before it), in nats, of each document.
    ///
    /// - Parameter documents: tokens, the first of which is given and not scored.
    public func callAsFunction(_ parameters: ParameterSet<Float>, _ documents: [[Int32]]) -> [Double] {
        // Documents of like length share a tape, so that little of it is padding.
        let order = documents.indices.sorted { (documents[$0].count, $0) < (documents[$1].count, $1) }
        let groups = stride(from: 0, to: order.count, by: batch).map { Array(order[$0..<min($0 + batch, order.count)]) }
        let slots = Slots<[Double]>(count: groups.count)
        inParallel(groups.count) { group in
            slots.fill(group, with: nats(parameters, groups[group].map { documents[$0] }))
        }
        var result = [Double](repeating: 0, count: documents.count)
        for (group, nats) in zip(groups, slots.take()) {
            for (document, sum) in zip(group, nats) { result[document] = sum }
        }
        return result
    }

    private func nats(_ parameters: ParameterSet<Float>, _ documents: [[Int32]]) -> [Double] {
        var sums = [Double](repeating: 0, count: documents.count)
        var states: [MixerState<Float>]?
        let longest = (documents.map(\.count).max() ?? 0) - 1
        for start in stride(from: 0, to: max(longest, 0), by: window) {
            // What follows a document's end can't change what came before it: the model is causal.
            var inputs: [Int32] = []
            var targets: [Int32] = []
            for document in documents {
                for position in start..<start + window {
                    inputs.append(position < document.count ? document[position] : 0)
                    targets.append(position + 1 < document.count ? document[position + 1] : 0)
                }
            }
            let tape = Tape<Float>()
            let model = HopeModel(configuration, parameters, on: tape) { _ in false }
            let (logits, after) = model(inputs, batch: documents.count, states: states)
            states = after
            let weights = [Float](repeating: 0, count: targets.count)
            let losses = logits.crossEntropy(targets, weights: weights).rowLosses
            for (row, document) in documents.enumerated() {
                for offset in 0..<window where start + offset + 1 < document.count {
                    sums[row] += Double(losses[row * window + offset])
                }
            }
        }
        return sums
    }
}
