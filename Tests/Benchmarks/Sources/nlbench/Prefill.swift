import ArgumentParser
import NLCore

/// One repetition reads a prompt into a fresh stream, up to the logits of its last token.
struct Prefill: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Reading a prompt.")

    @OptionGroup var options: WorkbenchOptions
    @Option(help: "Tokens in the prompt.")
    var length = 1024

    func run() throws {
        var bench = try Workbench(options)
        let weights = try HopeWeights(bench.configuration, bench.parameters)
        let prompt = bench.tokens(length)
        let speed = try bench.measure(
            "reading a prompt of \(length)", tokens: length,
            prepare: { [StreamInput(state: StreamState<Float>(bench.configuration), tokens: prompt)] },
            run: { inputs in
                let logits = try StreamingHope.advance(&inputs, weights: weights)
                guard logits[0].isFinite else { throw WrongWork(description: "logits are not finite") }
            })
        try bench.report("prefill", [speed])
    }
}
