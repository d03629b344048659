import ArgumentParser
import Foundation
import NLCore

/// `nlserver add-slots`: gives a trained model's level an associative memory, laid out over general text.
struct AddSlotsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add-slots",
        abstract: "Gives a level of a trained model an associative memory to learn into.",
        discussion: """
            Reads the model's anchors.txt, lays the slots out over what the level's link reads in it, counts how rare its \
            words are and those of further --text, and writes a model that computes the same until something is learned. A \
            level that has slots already is laid out anew. Databases of the model without slots do not fit the new \
            one. A slot that is used takes about 12 (C + 2 D) bytes of memory in every space (what each level holds, \
            and their sum) and half of that on disk; those that are not used take nothing. The capacity in config.json may be raised \
            later, databases keep fitting.
            """)

    @Option(help: "The model directory.")
    var model: String
    @Option(help: "Where to write the new one; may be the same directory.")
    var output: String
    @Option(help: "The level.")
    var level = "medium"
    @Option(
        help: "Most slots there may be. A short fact takes about one for each token, an article one in five.")
    var capacity = SlotLayout.usualCapacity
    @Option(help: "C: length of the vectors that contexts are known by.")
    var contextSize = 256
    @Option(
        help: """
            Places that the rarities of words are kept in, some for each word that text is counted for; 0 tells contexts by \
            tokens alone, which takes names of common pieces for one another.
            """)
    var words = SlotLayout.usualWords
    @Option(
        parsing: .upToNextOption,
        help: """
            Further general text (.txt, .jsonl with "text"; .gz and .xz of them) to count words in. Names are told apart the \
            better the more of it there is; ten million words are plenty.
            """)
    var text: [String] = []
    @Option(help: "Tokens of anchors.txt that the link reads.")
    var tokens = SlotLayout.usualTokens
    @Option(help: "Seed of the tokens' directions.")
    var seed: UInt64 = 1

    func validate() throws {
        guard tokens >= 1024 else { throw ValidationError("--tokens must be at least 1024, got \(tokens)") }
        guard words >= 0 else { throw ValidationError("--words must be at least 0, got \(words)") }
        guard words > 0 || text.isEmpty else { throw ValidationError("--text is counted for words, and --words is 0") }
    }

    func run() throws {
        try MatrixProduct.select(.auto)
        let loaded = try LoadedModel(directory: model)
        guard let index = loaded.configuration.levels.firstIndex(where: { $0.name == level }) else {
            let names = loaded.configuration.levels.map(\.name).joined(separator: ", ")
            throw ValidationError("--level \(level): the model has \(names)")
        }
        guard !loaded.anchors.rehearsal.isEmpty else {
            throw ValidationError("\(model) has no anchors.txt to lay the slots out over")
        }
        let plain = loaded.configuration.withoutSlots
        let slotted = plain.addingSlots(
            .init(capacity: capacity, contextSize: contextSize, words: words > 0 ? words : nil), toLevel: index)
        try slotted.validate()
        var trained = ParameterSet<Float>()
        for (name, tensor) in loaded.base.entries where HopeParameters<Void>.isPretrained(name) {
            trained[name] = tensor
        }
        var layout = SlotLayout(
            plain, trained, level: index,
            spelling: words > 0 ? loaded.tokenizer.spelling(ofModelWith: plain.vocabularySize) : [])
        layout.read(loaded.anchors.rehearsal, linkTokens: tokens)
        try countWords(&layout, loaded)
        layout.silence(loaded.tokens(of: ChatTemplate.words))
        try write(layout.parameters(for: slotted, seed: seed), slotted)
        print(
            "\(level): \(capacity) slots, laid out over \(layout.rowCount) tokens, \(layout.wordTokens) read for words, in \(output)"
        )
    }

    private func countWords(_ layout: inout SlotLayout, _ model: LoadedModel) throws {
        var lastNote = ContinuousClock.now
        for path in text {
            try DocumentReader(path: path).forEach { text in
                layout.countWords(model.tokens(of: text))
                if lastNote.duration(to: .now) > .seconds(5) {
                    lastNote = .now
                    FileHandle.standardError.write(Data("counting \(path): \(layout.wordTokens) tokens\n".utf8))
                }
                return true
            }
        }
    }

    private func write(_ parameters: ParameterSet<Float>, _ configuration: HopeConfiguration) throws {
        let (from, to) = (URL(fileURLWithPath: model), URL(fileURLWithPath: output))
        try FileManager.default.createDirectory(at: to, withIntermediateDirectories: true)
        let weights = try SafetensorsFile(contentsOf: from.appending(path: "model.safetensors"))
        var facts = weights.metadata
        facts["slots"] = "\(level): capacity \(capacity), context_size \(contextSize), words \(words), seed \(seed)"
        let tokenizer = try Data(contentsOf: from.appending(path: "tokenizer.json"))
        if from.standardizedFileURL != to.standardizedFileURL {
            for name in ["anchors.txt", "tokenizer_config.json", "README.md"] {
                guard let data = FileManager.default.contents(atPath: from.appending(path: name).path) else { continue }
                try writeDurably(data, to: to.appending(path: name))
            }
        }
        try ModelOutput(url: to).write(parameters, configuration, tokenizer: tokenizer, metadata: facts)
    }
}
