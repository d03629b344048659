import ArgumentParser
import NLCore

/// One repetition is one step of pretraining: forward, backward and the optimizer, always on the same batch, no clipping.
///
/// The reference times the same (`reference/bench_reference.py`).
struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Training: forward, backward, optimizer.")

    @OptionGroup var options: WorkbenchOptions
    @Option(help: "Sequences in a step.")
    var batch = 8
    @Option(help: "Tokens in a sequence.")
    var length = 256
    @Option(help: "Sequences on one tape; left out, a quarter of the batch, as `nlserver pretrain` does.")
    var microBatch: Int?
    @Option(help: "What dense products are multiplied in: f32 or bf16.")
    var precision = ProductPrecision.f32.rawValue
    @Flag(help: "Muon for the matrices that it takes, as `nlserver pretrain --optimizer muon`.")
    var muon = false

    func validate() throws {
        guard let precision = ProductPrecision(rawValue: precision) else {
            throw ValidationError("--precision \(precision) is not known")
        }
        guard precision.isUsable else {
            throw ValidationError("this processor does not multiply \(precision.rawValue)")
        }
    }

    func run() throws {
        var bench = try Workbench(options)
        let tokens = bench.tokens(batch * (length + 1))
        let parameters = bench.parameters
        let precision = ProductPrecision(rawValue: precision) ?? .f32
        let step = PretrainingStep(
            bench.configuration, microBatch: microBatch ?? max(1, batch / 4), precision: precision)
        var (matrices, rest) = (ParameterSet<Float>(), ParameterSet<Float>())
        for (name, tensor) in parameters.entries {
            if muon, Muon<Float>.takes(name, tensor.shape) { matrices[name] = tensor } else { rest[name] = tensor }
        }
        var adamW = AdamW<Float>(.init(), for: rest)
        let orthogonal = Muon<Float>(.init(), for: matrices)
        var losses: [Double] = []
        let name = "training, \(batch) x \(length)\(precision == .bf16 ? ", bf16" : "")\(muon ? ", Muon" : "")"
        let speed = try bench.measure(name, tokens: batch * length, prepare: {}) { _ in
            let outcome = step(parameters, tokens: tokens, batch: batch)
            adamW.step(parameters: rest, gradients: outcome.gradients, learningRate: 1e-4)
            orthogonal.step(parameters: matrices, gradients: outcome.gradients, learningRate: 1e-3)
            losses.append(outcome.loss)
        }
        guard losses.allSatisfy(\.isFinite), losses[losses.count - 1] < losses[0] else {
            throw WrongWork(description: "steps on one batch must lower its loss, got \(losses)")
        }
        try bench.report("train", [speed], facts: shares(of: speed, bench))
    }

    /// Model FLOP/s, and what share of the machine's products that is: optimizer and element-wise work count nothing.
    private func shares(of speed: Speed, _ bench: Workbench) -> [Fact] {
        let rate = speed.tokensPerSecond.median * TokenWork(bench.configuration).trainingOperations
        var facts = [Fact(name: "\(speed.name): model GFLOP/s", value: rate / 1e9, unit: "")]
        for precision in ProductPrecision.allCases where precision.isUsable {
            let peak = Roofline.productRate(precision)
            facts += [
                Fact(name: "\(precision.rawValue) products, peak GFLOP/s", value: peak / 1e9, unit: ""),
                Fact(
                    name: "\(speed.name): share of the \(precision.rawValue) peak", value: 100 * rate / peak, unit: "%"),
            ]
        }
        return facts
    }
}
