import ArgumentParser
import NLCore

/// One repetition is one step of pretraining: forward, backward and AdamW, always on the same batch, no clipping.
///
/// The reference times the same (`reference/bench_reference.py`).
struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Training: forward, backward, AdamW.")

    @OptionGroup var options: WorkbenchOptions
    @Option(help: "Sequences in a step.")
    var batch = 8
    @Option(help: "Tokens in a sequence.")
    var length = 256
    @Option(help: "Sequences on one tape; left out, a quarter of the batch, as `nlserver pretrain` does.")
    var microBatch: Int?

    func run() throws {
        var bench = try Workbench(options)
        let tokens = bench.tokens(batch * (length + 1))
        let parameters = bench.parameters
        let step = PretrainingStep(bench.configuration, microBatch: microBatch ?? max(1, batch / 4))
        var optimizer = AdamW<Float>(.init(), for: parameters)
        var losses: [Double] = []
        let speed = try bench.measure("training, \(batch) x \(length)", tokens: batch * length, prepare: {}) { _ in
            let outcome = step(parameters, tokens: tokens, batch: batch)
            optimizer.step(parameters: parameters, gradients: outcome.gradients, learningRate: 1e-4)
            losses.append(outcome.loss)
        }
        guard losses.allSatisfy(\.isFinite), losses[losses.count - 1] < losses[0] else {
            throw WrongWork(description: "steps on one batch must lower its loss, got \(losses)")
        }
        try bench.report("train", [speed])
    }
}
