import ArgumentParser
import Foundation

/// `nlserver eval`: what a daemon knows after learning, forgetting and restarting, measured over HTTP.
struct EvalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Measure what the daemon learns and keeps.",
        discussion: """
            Starts daemons of its own on fresh databases, has them learn, kills them with SIGKILL, starts them again, \
            and scores by greedy continuation; with --url it asks a daemon that runs already.

              nlserver eval counterfact --data DIR --counts 1,10,100 --rows base,ours,naive --json result.json

            Suites: counterfact, zsre (edits); tofu, clinc150, banking77 (tasks one after another); articles (loss); \
            squad-closed-book (questions without their passage), squad-articles (the same, the passages of an \
            article as one document).
            Rows: base (the untouched model), ours, ours_recall (and passages of the journal), recall (passages only), \
            naive (links fine-tuned: no slots, rehearsal, settling or consolidation), full (the same, all dense tensors).
            """)

    @Argument(help: "Which suite: \(EvaluationSettings.Suite.allCases.map(\.rawValue).joined(separator: ", ")).")
    var suite: EvaluationSettings.Suite
    @Option(help: "The directory that holds the data sets.") var data: String?
    @Option(help: "The suite's file, instead of the one in --data.") var file: String?
    @Option(help: "Ask the daemon at this address instead of starting one; it is not restarted.") var url: String?
    @Flag(help: "Start daemons: what is done unless --url is given.") var spawn = false
    @Option(help: "With --url: the space that learns.") var space: String?
    @Option(help: "The model directory (default: the shipped model).") var model: String?
    @Option(help: "Rows, separated by commas (default: base,ours).") var rows = "base,ours"
    @Option(
        help: """
            Numbers of documents learned before scoring, each on a fresh memory (default: 1,10,100,1000; 1,5,10 for \
            squad-articles).
            """)
    var counts: String?
    @Option(help: "Tasks learned (default: all of the set; 10 for banking77).") var tasks: Int?
    @Option(help: "Documents of each task (default: 400 for tofu, 150 for the others).") var perTask: Int?
    @Option(help: "Items asked of each task (default: 20 for tofu, 50 for the others).") var sample: Int?
    @Option(help: "articles: places of those learned.") var range = "0-19"
    @Option(help: "articles: places of the others watched.") var others = "20-39"
    @Option(help: "articles: characters of each.") var characters = 4000
    @Option(help: "Only the cases at even (a: to tune on) or odd places (b: to report).") var half: CaseSelection.Half?
    @Option(help: "Shuffle the cases; 0 keeps their order.") var seed: UInt64 = 0
    @Option(help: "end (scored before and after), none, or a number of documents between consolidations.")
    var consolidate = "end"
    @Option(help: "Text whose loss is watched (.txt, .jsonl; .gz, .xz; default: the model's anchors.txt).")
    var anchors: String?
    @Option(help: "Pieces of that text.") var anchorPieces = 48
    @Option(help: "Requests at the same time.") var parallel = 4
    @Option(help: "full: the step size (default: that of the model's medium level).") var fullLearningRate: Double?
    @Option(
        parsing: .unconditional,
        help: "Further options of serve, for all rows, as one text: '--learn-target-loss 0.05 --threads 2'.")
    var daemonOptions = ""
    @Option(help: "Write the result as JSON; whole after every row.") var json: String?
    @Option(help: "Write the table to this file instead of standard output.") var markdown: String?
    @Option(help: "The nlserver to start (default: this one).") var executable: String?

    func validate() throws {
        do {
            _ = try settings()
            _ = try address()
        } catch let error as EvaluationError {
            throw ValidationError(error.description)
        }
    }

    func run() async throws {
        EvaluationInterrupt.listen()
        var settings = try settings()
        settings.anchors = try anchorTexts()
        let writer = ReportWriter(
            EvaluationReport(
                suite: suite.rawValue, command: PretrainCommand.commandLine(CommandLine.arguments), seed: seed,
                half: half?.rawValue), path: json)
        let bench = EvaluationBench(
            settings: settings, source: try source(), progress: EvaluationProgress(), report: writer)
        do {
            try await Self.interruptibly { try await bench.run() }
            try writer.update { $0.isComplete = true }
        } catch is CancellationError {
            bench.progress.note("stopped; what was scored before is kept")
            try publish(writer.current)
            throw ExitCode(130)
        } catch {
            bench.progress.note("\(error)")
            if !writer.current.rows.isEmpty { try publish(writer.current) }
            throw ExitCode.failure
        }
        try publish(writer.current)
    }

    /// `body`, cancelled when a signal asks for it.
    private static func interruptibly(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask(operation: body)
            tasks.addTask {
                while !EvaluationInterrupt.isRaised { try await Task.sleep(for: .milliseconds(50)) }
                throw CancellationError()
            }
            defer { tasks.cancelAll() }
            do {
                try await tasks.next()
            } catch {
                // An answer that was cut off by the signal is told as the signal.
                throw EvaluationInterrupt.isRaised ? CancellationError() : error
            }
        }
    }

    private func publish(_ report: EvaluationReport) throws {
        let table = EvaluationTable(report: report).markdown
        guard let markdown else { return print(table) }
        try Data(table.utf8).write(to: URL(filePath: markdown), options: .atomic)
    }

    // MARK: - Options

    private func settings() throws -> EvaluationSettings {
        var settings = EvaluationSettings(suite: suite)
        settings.files = EvaluationFiles(directory: data, file: file)
        settings.selection = CaseSelection(half: half, seed: seed)
        settings.rows = try rows.split(separator: ",").map { name in
            guard let row = EvaluationRow(rawValue: String(name)) else {
                throw EvaluationError("--rows knows no '\(name)'; known: \(EvaluationRow.allCases.map(\.rawValue))")
            }
            return row
        }
        let counts = counts ?? (suite == .squadArticles ? "1,5,10" : "1,10,100,1000")
        settings.counts = try counts.split(separator: ",").map { text in
            guard let count = Int(text), count > 0 else {
                throw EvaluationError("--counts must be numbers above 0, separated by commas, got '\(counts)'")
            }
            return count
        }
        let isTofu = suite == .tofu
        settings.sizes = TaskSizes(
            tasks: tasks, perTask: perTask ?? (isTofu ? 400 : 150), sample: sample ?? (isTofu ? 20 : 50))
        guard let learned = placeRange(range), let watched = placeRange(others) else {
            throw EvaluationError("--range and --others must be like 0-19")
        }
        (settings.learned, settings.others, settings.characters) = (learned, watched, characters)
        guard let plan = ConsolidationPlan(consolidate) else {
            throw EvaluationError("--consolidate must be end, none, or a number of documents, got '\(consolidate)'")
        }
        settings.consolidation = plan
        for (name, value) in [
            ("--tasks", tasks ?? 1), ("--per-task", settings.sizes.perTask), ("--sample", settings.sizes.sample),
            ("--characters", characters), ("--anchor-pieces", anchorPieces), ("--parallel", parallel),
        ] where value < 1 {
            throw EvaluationError("\(name) must be at least 1, got \(value)")
        }
        guard !settings.rows.isEmpty, !settings.counts.isEmpty else {
            throw EvaluationError("--rows and --counts must name at least one")
        }
        if suite == .articles, settings.rows.contains(where: { $0.recallMode != .weights }) {
            throw EvaluationError("articles are scored, not answered: the rows ours_recall and recall are not for them")
        }
        settings.parallel = parallel
        settings.fullLearningRate = fullLearningRate
        settings.daemonOptions = daemonOptions.split(separator: " ").map(String.init)
        if url != nil { try checkRunning(settings) }
        return settings
    }

    /// A daemon that is there already is one memory, and learns in its own way.
    private func checkRunning(_ settings: EvaluationSettings) throws {
        if spawn { throw EvaluationError("give either --spawn or --url") }
        let countsMatter = [.counterfact, .zsre, .squad, .squadArticles].contains(suite)
        if countsMatter, settings.counts.count != 1 {
            throw EvaluationError("with --url, --counts takes one number: there is one memory")
        }
        if settings.rows.contains(where: { $0 == .naive || $0 == .full }) || !daemonOptions.isEmpty || model != nil {
            throw EvaluationError("the rows naive and full, --model and --daemon-options need a daemon that is spawned")
        }
    }

    private func address() throws -> HTTPExchange? {
        guard let url else {
            if space != nil { throw EvaluationError("--space needs --url: a spawned daemon has a fresh memory") }
            return nil
        }
        guard let parts = URLComponents(string: url), parts.scheme == "http", let host = parts.host, !host.isEmpty,
            ["", "/"].contains(parts.path)
        else { throw EvaluationError("--url must be like http://127.0.0.1:8080, got '\(url)'") }
        return HTTPExchange(host: host, port: parts.port ?? 80)
    }

    private func source() throws -> EvaluationBench.Source {
        if let exchange = try address() { return .running(DaemonClient(exchange: exchange, space: space)) }
        let own = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        return .spawned(executable: executable.map { URL(filePath: $0) } ?? own, model: model ?? DefaultPaths.model())
    }

    /// Paragraphs, spread evenly over the text.
    private func anchorTexts() throws -> [String] {
        var path = anchors
        if path == nil, url == nil {
            let shipped = "\(model ?? DefaultPaths.model())/anchors.txt"
            if FileManager.default.fileExists(atPath: shipped) { path = shipped }
        }
        guard let path else { return [] }
        var paragraphs: [String] = []
        try DocumentReader(path: path).forEach { document in
            paragraphs += document.split(whereSeparator: \.isNewline).map(String.init).filter { $0.utf8.count >= 100 }
            return true
        }
        guard !paragraphs.isEmpty else { throw EvaluationError("\(path): there is no paragraph of 100 bytes or more") }
        return paragraphs.spread(anchorPieces)
    }
}

extension EvaluationSettings.Suite: ExpressibleByArgument {}
extension CaseSelection.Half: ExpressibleByArgument {}
