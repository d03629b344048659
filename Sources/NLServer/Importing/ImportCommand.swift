import ArgumentParser
import Foundation
import NLCore

/// `nlserver import`: makes a model directory of a Hugging Face one.
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make a model that keeps learning of a Llama-family checkpoint.",
        discussion: """
            Reads a Hugging Face directory (config.json, *.safetensors, tokenizer.json) of a Llama, Mistral, Qwen2, Qwen3 \
            or SmolLM model and writes one that `nlserver serve --model` reads: attention stays as it is, the MLP of each \
            layer becomes a level (or stays base). Nothing is approximated: what is not supported is refused by name.

            With --anchors, a text of some hundred kilobytes like those the model was trained on, documents are learned \
            into slots beside the last layer, which finds single facts again and leaves the rest as it was. Without, the \
            MLPs of some layers learn them.

              nlserver import SmolLM2-135M --output smollm2 --anchors deploy/model/anchors.txt --dry-run
              nlserver import SmolLM2-135M --output smollm2 --anchors deploy/model/anchors.txt
              nlserver serve --model smollm2
            """)

    @Argument(help: "The Hugging Face directory.")
    var directory: String
    @Option(help: "The model directory to write; it must not exist, or be empty.")
    var output: String
    @Flag(help: "Check everything and say what the model will take, but write nothing.")
    var dryRun = false
    @Option(help: "Positions a session's cache holds at most; the model's context, up to 8192, unless said.")
    var context: Int?
    @Option(
        help: """
            The level of each layer's MLP, from the first, by commas: base, slow, medium or fast. Unless said, the first \
            half is base, then slow, medium, and fast at the end.
            """)
    var layerLevels: String?
    @Option(
        help: """
            General text (UTF-8) that slots are laid out over and consolidations held against; it becomes anchors.txt.
            """)
    var anchors: String?
    @Option(
        help: """
            Most slots that documents are learned into; 0 for none. Unless said, 131072 with --anchors, none without. A \
            short fact takes one for each of its tokens, an article one in five.
            """)
    var slots: Int?
    @Option(
        help: """
            Learn changes of this rank in place of whole matrices: far less memory for each session and space. 8 or 16 is \
            usual.
            """)
    var rank: Int?
    @Option(help: "C: length of the vectors that contexts of slots are known by.")
    var contextSize = 256
    @Option(help: "Tokens of a session to state the memory for.")
    var sessionTokens = 2048

    func validate() throws {
        guard sessionTokens >= 1 else { throw ValidationError("--session-tokens must be at least 1") }
        guard slots ?? 0 >= 0 else { throw ValidationError("--slots must be at least 0") }
        if slots ?? 0 > 0 && anchors == nil {
            throw ValidationError(
                "--slots needs --anchors FILE: general text that they are laid out over, as deploy/model/anchors.txt")
        }
    }

    func run() throws {
        let source = URL(filePath: directory, directoryHint: .isDirectory)
        let target = URL(filePath: output, directoryHint: .isDirectory)
        var options = ImportOptions()
        options.contextLength = context
        options.layerLevels = layerLevels.map {
            $0.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        options.rank = rank
        let capacity = slots ?? (anchors == nil ? 0 : SlotLayout.usualCapacity)
        if capacity > 0 {
            options.slots = .init(capacity: capacity, contextSize: contextSize, words: SlotLayout.usualWords)
        }
        try MatrixProduct.select(.auto)
        let files = try ImportedFiles(source, anchors: anchors, options)
        for line in try files.report(sessionTokens: sessionTokens) { print(line) }
        if dryRun { return print("dry run: nothing was written") }
        try files.write(to: target)
        print("the model is in \(target.path)")
    }
}
