import Foundation

/// Where the memories of an evaluation come from.
struct EvaluationBench: Sendable {
    enum Source: Sendable {
        /// Daemons of its own.
        case spawned(executable: URL, model: String)
        /// One that is there already, which is neither killed nor restarted.
        case running(DaemonClient)
    }

    let settings: EvaluationSettings
    let source: Source
    let progress: EvaluationProgress
    let report: ReportWriter

    /// `body` with a memory that has learned nothing; it is gone afterwards.
    func withMemory<Value: Sendable>(
        _ learner: LearningMethod, _ body: @Sendable (EvaluatedMemory) async throws -> Value
    ) async throws -> Value {
        switch source {
        case .running(let client):
            return try await body(
                EvaluatedMemory(client: client, daemon: nil, learner: learner, settings: settings, progress: progress))
        case .spawned(let executable, let model):
            let directory = FileManager.default.temporaryDirectory.appending(path: "nlserver-eval-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: directory) }
            var served = model
            if let tensors = learner.adapts {
                let copy = directory.appending(path: "model")
                try FineTunedModel.write(
                    of: model, to: copy, adapting: tensors,
                    learningRate: learner == .full ? settings.fullLearningRate : nil)
                served = copy.path
            }
            let daemon = try SpawnedDaemon(
                executable: executable, model: served, directory: directory,
                options: learner.options + settings.daemonOptions)
            do {
                try await daemon.start()
                let value = try await body(
                    EvaluatedMemory(
                        client: DaemonClient(exchange: HTTPExchange(host: "127.0.0.1", port: daemon.port)),
                        daemon: daemon, learner: learner, settings: settings, progress: progress))
                await daemon.kill()
                return value
            } catch {
                await daemon.kill()
                throw error
            }
        }
    }

    /// `body` with a memory for the base: it is asked and learns nothing.
    func withBase<Value: Sendable>(_ body: @Sendable (EvaluatedMemory) async throws -> Value) async throws -> Value {
        try await withMemory(.ours) { memory in
            let model = try await memory.client.model()
            try report.update { ($0.model, $0.parameters) = (model.id, model.parameters) }
            if case .running = source, try await memory.client.levels().contains(where: { $0.updates > 0 }) {
                progress.note("the daemon has learned before: \"base\" is what it knows now, not the untouched model")
            }
            return try await body(memory)
        }
    }

    /// The continuations of many prompts.
    func complete(
        _ probes: [DaemonClient.Probe], _ row: EvaluationRow, _ what: String, of memory: EvaluatedMemory
    ) async throws -> [String] {
        try await memory.client.complete(probes, recall: row.recallMode, parallel: settings.parallel) { done in
            progress.step("\(row.rawValue): \(what)", done, of: probes.count)
        }
    }

    /// Scores at the end of learning, and again after a consolidation where one is due; a restart before each.
    func scoring(
        _ memory: EvaluatedMemory, _ body: (EvaluationReport.Row.Stage) async throws -> Void
    ) async throws {
        try await memory.restart()
        try await body(.learned)
        guard memory.consolidatesAtEnd, try await memory.consolidate() else { return }
        try await memory.restart()
        try await body(.consolidated)
    }

    /// Runs the suite.
    func run() async throws {
        let (files, selection, sizes) = (settings.files, settings.selection, settings.sizes)
        switch settings.suite {
        case .counterfact: try await EditSuite(cases: selection.of(EditCase.counterFact(files))).run(self)
        case .zsre: try await EditSuite(cases: selection.of(EditCase.zsRE(files))).run(self)
        case .squad: try await PassageSuite(passages: selection.of(PassageCase.squad(files))).run(self)
        case .squadArticles:
            try await PassageSuite(passages: selection.of(PassageCase.articles(of: PassageCase.squad(files)))).run(self)
        case .articles:
            let articles = try Article.wikipedia(files, characters: settings.characters)
            try await ArticleSuite(selection.of(articles), settings).run(self)
        case .tofu: try await TaskSuite(tasks: LearningTask.tofu(files, selection, sizes), metric: .rougeL).run(self)
        case .clinc150:
            try await TaskSuite(tasks: LearningTask.clinc150(files, selection, sizes), metric: .accuracy).run(self)
        case .banking77:
            try await TaskSuite(tasks: LearningTask.banking77(files, selection, sizes), metric: .accuracy).run(self)
        }
    }
}
