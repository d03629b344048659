import ArgumentParser

/// Speed of the engine alone, without server or database: what NLCore does in a second on a given shape.
///
/// Parameters are random (their values do not change the work), tokens too; all inputs are made before the clock
/// starts. `deploy/bench` runs this beside the PyTorch reference.
@main
struct NLBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nlbench",
        abstract: "Measures NLCore: tokens per second of each kind of work, and the memory it takes.",
        subcommands: [
            Train.self, Prefill.self, Decode.self, Long.self, Learn.self, Imported.self, ImportedLearn.self,
            Quality.self, Evaluate.self,
        ])
}
