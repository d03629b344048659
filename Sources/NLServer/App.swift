import ArgumentParser

/// `nlserver`: start reading here, then `ServeCommand`, `ServerProcess` and `buildApplication`.
@main
struct NLServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nlserver",
        abstract: "A language-model server that keeps learning.",
        version: ServerVersion.current,
        subcommands: [
            ServeCommand.self, PretrainCommand.self, AddSlotsCommand.self, ImportCommand.self, EvalCommand.self,
        ],
        defaultSubcommand: ServeCommand.self)
}
