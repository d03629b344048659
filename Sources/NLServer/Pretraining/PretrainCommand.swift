import ArgumentParser
import Foundation
import NLCore

/// `nlserver pretrain`: trains a Hope model from text files.
struct PretrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pretrain",
        abstract: "Train a Hope model from text files.",
        discussion: """
            The output directory becomes a model directory that `nlserver serve --model` reads, at every checkpoint. \
            Interrupted in any way, the same command goes on from the newest checkpoint, and ends with the same model \
            to the last bit. SIGINT and SIGTERM finish the step and write a checkpoint first.

              nlserver pretrain --data wiki-*.jsonl.xz --held-out valid.jsonl.xz --train-tokenizer 4096 \\
                --output model --steps 20000
            """)

    @Option(name: .long, parsing: .upToNextOption, help: "Text (.txt, .jsonl with \"text\"; .gz and .xz of them).")
    var data: [String]
    @Option(help: "The model directory to write.")
    var output: String
    @Option(
        help: """
            Begin with the weights of this model directory, with its tokenizer and its geometry; optimizer and schedule \
            are new.
            """)
    var from: String?
    @Option(help: "A tokenizer.json to use.")
    var tokenizer: String?
    @Option(help: "Train a tokenizer of so many tokens on the data.")
    var trainTokenizer: Int?
    @Option(help: "The token that begins a document.")
    var bosToken = PreparedTokenizer.bosToken
    @Option(help: "The token that ends one.")
    var eosToken = PreparedTokenizer.eosToken

    @OptionGroup(title: "Model") var model: ModelOptions
    @OptionGroup(title: "Training") var training: TrainingOptions

    @Option(help: "Write a checkpoint every so many steps (500) or minutes (10m).")
    var checkpointEvery = CheckpointInterval.minutes(10)
    @Option(help: "How many checkpoints to keep.")
    var keep = 2
    @Option(help: "Text to measure bits per byte on; it is not trained on.")
    var heldOut: String?
    @Option(help: "Steps between two measurements.")
    var heldOutEvery = 500
    @Option(help: "Tokens of the held-out text to measure on.")
    var heldOutTokens = 32_768
    @Flag(help: "Refuse to begin anew: there must be a checkpoint. Resuming needs no flag.")
    var resume = false
    @Option(help: "Compute threads; the processors this process may use, unless said.")
    var threads: Int?
    @Option(help: "Append one JSON object a step to this file.")
    var log: String?
    @Option(help: "Seconds between two lines of progress where there is no terminal.")
    var reportEvery = 10

    func validate() throws {
        guard [from, tokenizer].compactMap(\.self).count + (trainTokenizer == nil ? 0 : 1) == 1 else {
            throw ValidationError("give one of --tokenizer FILE, --train-tokenizer N and --from MODEL_DIR")
        }
        guard keep >= 1 else { throw ValidationError("--keep must be at least 1") }
        guard heldOutEvery >= 1 && heldOutTokens >= 1 && reportEvery >= 1 else {
            throw ValidationError("--held-out-every, --held-out-tokens and --report-every must be at least 1")
        }
    }

    func run() throws { try train { StopSignal.isRaised } }

    /// Prepares what is not prepared yet, and trains until the last step or until `isStopped`, asked before each step,
    /// says so.
    func train(until isStopped: () -> Bool) throws {
        if let threads { try ComputeBudget.setThreads(threads) }
        let note = { (message: String) in FileHandle.standardError.write(Data((message + "\n").utf8)) }
        let directory = URL(filePath: output, directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let lock = try OutputLock(directory)
        defer { lock.release() }
        for path in data + [heldOut].compactMap(\.self) {
            guard FileManager.default.isReadableFile(atPath: path) else {
                throw PretrainingError("\(path): no such file, or it may not be read")
            }
        }

        let origin = try from.map { try OriginModel(directory: $0, output: directory) }
        let prepared = try origin?.tokenizer() ?? prepareTokenizer(in: directory, note: note)
        var configuration = try origin?.configuration ?? model.configuration(tokenizer: prepared)
        configuration.bosTokenID = prepared.bos
        configuration.eosTokenID = prepared.eos
        try configuration.validate()
        try origin?.require(model)
        let corpus = try TokenCorpus.prepared(
            in: directory.appending(path: "corpus"), sources: data, tokenizer: prepared.tokenizer,
            tokenizerDigest: prepared.digest, bos: prepared.bos, eos: prepared.eos, note: note)
        var settings = training.settings(
            model: configuration, tokenizer: prepared.digest, data: corpus.manifest.sha256)
        settings.origin = origin?.digest
        let reporter = try ProgressReporter(
            totalSteps: settings.schedule.totalSteps, tokensPerStep: settings.tokensPerStep, interval: reportEvery,
            log: log)
        defer { reporter.finish() }
        let text = try heldOut.map {
            try HeldOutText(path: $0, tokenizer: prepared.tokenizer, bos: prepared.bos, tokens: heldOutTokens)
        }
        let run = try PretrainingRun(
            settings, corpus: corpus,
            options: PretrainingRun.Options(
                output: directory, checkpointEvery: checkpointEvery, keep: keep, heldOut: text,
                heldOutEvery: heldOutEvery, command: Self.commandLine(CommandLine.arguments),
                tokenizerJSON: prepared.json),
            reporter: reporter, mustResume: resume, origin: origin?.parameters)
        let isDone = try run.train(until: isStopped)
        reporter.finish()
        reporter.note(
            isDone
                ? "done: the model is in \(directory.path)"
                : "stopped after step \(run.progress.step); the same command goes on from here")
    }

    /// The tokenizer given, or the one trained: once, since resuming must find the same one.
    private func prepareTokenizer(in directory: URL, note: (String) -> Void) throws -> PreparedTokenizer {
        if let tokenizer {
            return try PreparedTokenizer(contentsOf: URL(filePath: tokenizer), bos: bosToken, eos: eosToken)
        }
        let file = directory.appending(path: "tokenizer.json")
        if let trainTokenizer, !FileManager.default.fileExists(atPath: file.path) {
            try PreparedTokenizer.train(vocabularySize: trainTokenizer, sources: data, to: file, note: note)
        }
        return try PreparedTokenizer(
            contentsOf: file, bos: PreparedTokenizer.bosToken, eos: PreparedTokenizer.eosToken)
    }

    /// The command as it would be typed, without the folders of this machine.
    static func commandLine(_ arguments: [String]) -> String {
        arguments.map { argument in
            let name = argument.split(separator: "/").last.map(String.init) ?? argument
            return name.contains(where: \.isWhitespace) ? "'\(name)'" : name
        }.joined(separator: " ")
    }
}
