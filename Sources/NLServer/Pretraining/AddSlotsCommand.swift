import ArgumentParser
import Foundation
import NLCore

/// `nlserver add-slots`: gives a trained model's level an associative memory, laid out over general text.
struct AddSlotsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add-slots",
        abstract: "Gives a level of a trained model an associative memory to learn into.",
        discussion: """
            Reads the model's anchors.txt, lays the keys out over what the level's links read in it, and writes a model \
            that computes the same until something is learned. Databases of the model without slots do not fit the new \
            one.
            """)

    @Option(help: "The model directory.")
    var model: String
    @Option(help: "Where to write the new one; may be the same directory.")
    var output: String
    @Option(help: "The level.")
    var level = "medium"
    @Option(help: "n: there are n² slots a block.")
    var halfKeys = 64
    @Option(help: "k: slots that a token addresses.")
    var active = 16
    @Option(help: "Only the last blocks have them; left out, all do.")
    var blocks: Int?
    @Option(help: "Tokens of anchors.txt to read.")
    var tokens = 16_384
    @Option(help: "Seed of the keys.")
    var seed: UInt64 = 1

    func validate() throws {
        guard tokens >= 1024 else { throw ValidationError("--tokens must be at least 1024, got \(tokens)") }
    }

    func run() throws {
        try MatrixProduct.select(.auto)
        let loaded = try LoadedModel(directory: model)
        guard let index = loaded.configuration.levels.firstIndex(where: { $0.name == level }) else {
            let names = loaded.configuration.levels.map(\.name).joined(separator: ", ")
            throw ValidationError("--level \(level): the model has \(names)")
        }
        guard loaded.configuration.levels[index].slots == nil else {
            throw ValidationError("--level \(level) has slots already; begin with the model as it was trained")
        }
        guard !loaded.anchors.rehearsal.isEmpty else {
            throw ValidationError("\(model) has no anchors.txt to lay the keys out over")
        }
        var slotted = loaded.configuration
        slotted.levels[index].slots = .init(halfKeys: halfKeys, active: active, blocks: blocks)
        try slotted.validate()
        var layout = SlotLayout(loaded.configuration, loaded.base, level: index)
        for text in loaded.anchors.rehearsal where layout.rowCount < tokens { layout.read(text) }
        try write(layout.parameters(for: slotted, seed: seed), slotted)
        print("\(level): \(halfKeys * halfKeys) slots a block, laid out over \(layout.rowCount) tokens, in \(output)")
    }

    private func write(_ parameters: ParameterSet<Float>, _ configuration: HopeConfiguration) throws {
        let (from, to) = (URL(fileURLWithPath: model), URL(fileURLWithPath: output))
        try FileManager.default.createDirectory(at: to, withIntermediateDirectories: true)
        let weights = try SafetensorsFile(contentsOf: from.appending(path: "model.safetensors"))
        var facts = weights.metadata
        facts["slots"] = "\(level): half_keys \(halfKeys), active \(active), seed \(seed)"
        let tokenizer = try Data(contentsOf: from.appending(path: "tokenizer.json"))
        if from.standardizedFileURL != to.standardizedFileURL {
            for name in ["anchors.txt", "README.md"] {
                guard let data = FileManager.default.contents(atPath: from.appending(path: name).path) else { continue }
                try writeDurably(data, to: to.appending(path: name))
            }
        }
        try ModelOutput(url: to).write(parameters, configuration, tokenizer: tokenizer, metadata: facts)
    }
}
