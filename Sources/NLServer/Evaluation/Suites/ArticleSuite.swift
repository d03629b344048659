/// Articles read: what learning some did to their loss, and to that of others.
struct ArticleSuite: Sendable {
    let learned: [Article]
    let others: [Article]

    /// - Throws: ``EvaluationError`` if there are fewer articles than the ranges name.
    init(_ articles: [Article], _ settings: EvaluationSettings) throws {
        let ranges = [settings.learned, settings.others]
        guard ranges.allSatisfy({ $0.upperBound <= articles.count }) else {
            throw EvaluationError(
                "there are \(articles.count) articles of \(settings.characters) characters; --range and --others name "
                    + "more")
        }
        guard !settings.learned.overlaps(settings.others) else {
            throw EvaluationError("--range and --others overlap: what is learned can't be among the others")
        }
        learned = Array(articles[settings.learned])
        others = Array(articles[settings.others])
    }

    private typealias Scores = [DaemonClient.Score]

    func run(_ bench: EvaluationBench) async throws {
        let before = try await bench.withBase { memory in
            let before = try await scores(memory, bench)
            if bench.settings.rows.contains(.base) {
                let row = memory.row(
                    .base, .untouched, figures: figures(before, before: nil), cases: learned.count,
                    standing: try await memory.standing())
                try bench.report.add(row)
            }
            return before
        }
        for (learner, rows) in bench.settings.learners where rows.contains(where: { $0.recallMode == .weights }) {
            guard let row = rows.first(where: { $0.recallMode == .weights }) else { continue }
            try await bench.withMemory(learner) { memory in
                try await memory.learn(learned.map(\.document))
                var atOnce = try await scores(memory, bench)
                try await bench.scoring(memory) { stage in
                    if stage == .consolidated { atOnce = [] }
                    let now = try await scores(memory, bench)
                    var figures = figures(now, before: before)
                    // The restart must have changed nothing.
                    if !atOnce.isEmpty { figures["same_after_restart"] = now == atOnce ? 1 : 0 }
                    try bench.report.add(
                        memory.row(
                            row, stage, figures: figures, cases: learned.count,
                            standing: try await memory.standing()))
                }
            }
        }
    }

    /// Of the learned articles, then of the others.
    private func scores(_ memory: EvaluatedMemory, _ bench: EvaluationBench) async throws -> Scores {
        let texts = (learned + others).map(\.text)
        return try await memory.client.map(texts, parallel: bench.settings.parallel) { done in
            bench.progress.step("scored", done, of: texts.count)
        } _: {
            try await $0.score($1)
        }
    }

    private func figures(_ now: Scores, before: Scores?) -> [String: Double] {
        let (ours, others) = (now.prefix(learned.count), now.dropFirst(learned.count))
        var figures = ["learned_loss": mean(ours.map(\.loss)), "others_loss": mean(others.map(\.loss))]
        if let before {
            let changes = zip(now, before).map { $0.loss / $1.loss - 1 }
            figures["learned_change"] = mean(Array(changes.prefix(learned.count)))
            figures["others_change"] = mean(Array(changes.dropFirst(learned.count)))
        }
        return figures
    }
}
