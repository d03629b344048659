/// The loss of one batch of next-token prediction, and its gradients.
///
/// A batch of B sequences is cut into micro-batches that are computed side by side, each on a tape of its own, and
/// whose gradients are summed in order. The cut depends on `microBatch` alone, so the numbers are the same to the
/// last bit for any number of threads. Whole tapes side by side also keep every core busy through the operations too
/// small to be split.
///
/// In `Float` only, so that the compiler sees one concrete type from here down and specialises the whole model for it.
///
/// Every sequence starts a fresh stream: the memories' Δ is zero, as at the beginning of a document.
public struct PretrainingStep: Sendable {
    /// The model's geometry.
    public let configuration: HopeConfiguration
    /// Sequences on one tape.
    public let microBatch: Int
    /// What the dense products are multiplied in.
    public let precision: ProductPrecision

    /// What a batch gave.
    public struct Outcome: Sendable {
        /// Mean of −log p(next token), in nats.
        public let loss: Double
        /// ∂loss/∂θ of every parameter.
        public let gradients: ParameterSet<Float>

        /// The mean over this batch and another.
        ///
        /// - Parameter share: the other's share of all tokens.
        public func mixed(with other: Outcome, share: Double) -> Outcome {
            let mean = gradients.copy()
            mean.scale(by: Float(1 - share))
            mean.add(other.gradients, scaledBy: Float(share))
            return Outcome(loss: (1 - share) * loss + share * other.loss, gradients: mean)
        }
    }

    /// Steps of a model.
    ///
    /// - Precondition: `microBatch` is at least 1, and the precision usable here.
    public init(_ configuration: HopeConfiguration, microBatch: Int, precision: ProductPrecision = .f32) {
        precondition(microBatch >= 1, "a micro-batch has at least one sequence, got \(microBatch)")
        self.precision = precision
        self.configuration = configuration
        self.microBatch = microBatch
    }

    /// Runs the model forwards and backwards.
    ///
    /// - Parameters:
    ///   - parameters: every tensor of the model.
    ///   - tokens: `[B, T + 1]` in row-major order: T inputs, and the T tokens that follow them.
    ///   - batch: B.
    public func callAsFunction(_ parameters: ParameterSet<Float>, tokens: [Int32], batch: Int) -> Outcome {
        let row = tokens.count / max(batch, 1)
        precondition(batch >= 1 && row >= 2 && row * batch == tokens.count, "\(tokens.count) tokens in \(batch) rows")
        let starts = Array(stride(from: 0, to: batch, by: microBatch))
        let slots = Slots<Outcome>(count: starts.count)
        inParallel(starts.count) { part in
            let rows = starts[part]..<min(starts[part] + microBatch, batch)
            let own = Array(tokens[rows.lowerBound * row..<rows.upperBound * row])
            let weight = 1 / Float(batch * (row - 1))
            slots.fill(part, with: microBatchOutcome(parameters, own, rows.count, row, weight: weight))
        }
        let outcomes = slots.take()
        let sum = outcomes[0].gradients
        for outcome in outcomes.dropFirst() { sum.add(outcome.gradients) }
        return Outcome(loss: outcomes.reduce(0) { $0 + $1.loss }, gradients: sum)
    }

    private func microBatchOutcome(
        _ parameters: ParameterSet<Float>, _ tokens: [Int32], _ batch: Int, _ row: Int, weight: Float
    ) -> Outcome {
        var inputs: [Int32] = []
        var targets: [Int32] = []
        for start in stride(from: 0, to: tokens.count, by: row) {
            inputs += tokens[start..<start + row - 1]
            targets += tokens[start + 1..<start + row]
        }
        let tape = Tape<Float>(precision: precision)
        let model = HopeModel(configuration, parameters, on: tape, trains: HopeParameters<Void>.isPretrained)
        let logits = model(inputs, batch: batch).logits
        let (loss, rowLosses) = logits.crossEntropy(targets, weights: [Float](repeating: weight, count: targets.count))
        tape.backward(from: loss)
        return Outcome(
            loss: rowLosses.reduce(0) { $0 + Double($1) } * Double(weight), gradients: model.gradients())
    }
}
