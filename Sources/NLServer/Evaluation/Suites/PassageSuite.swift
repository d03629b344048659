/// Closed-book questions: passages are learned as documents, their questions asked without them, in a conversation.
struct PassageSuite: Sendable {
    /// Longest answer.
    static let answerTokens = 96
    /// Questions about what is not taught, at most: they are to be answered as the untouched model answers them.
    static let mostProbes = 100

    let passages: [PassageCase]

    func run(_ bench: EvaluationBench) async throws {
        let counts = bench.settings.counts
        guard let most = counts.max(), passages.count >= most else {
            throw EvaluationError("there are \(passages.count) passages, fewer than --counts asks for")
        }
        let probes = probes(besides: most)
        let base = try await bench.withBase { memory in
            let standing = try await memory.standing()
            var gained: [Int: [String: Double]] = [:]
            let untouched = try await replies(to: probes, .base, memory, bench)
            for count in counts {
                let figures = try await figures(count, .base, memory, bench)
                gained[count] = figures
                guard bench.settings.rows.contains(.base) else { continue }
                var row = memory.row(
                    .base, .untouched, figures: figures, cases: questions(count).count, standing: standing)
                row.documents = count
                try bench.report.add(row)
            }
            return (gained: gained, untouched: untouched)
        }
        for (learner, rows) in bench.settings.learners {
            for count in counts {
                try await bench.withMemory(learner) { memory in
                    try await memory.learn(documents(count))
                    try await bench.scoring(memory) { stage in
                        let standing = try await memory.standing()
                        for row in rows where row.isScored(stage) {
                            var figures = try await figures(count, row, memory, bench)
                            figures["net_gain"] =
                                (figures["containment"] ?? 0) - (base.gained[count]?["containment"] ?? 0)
                            if !probes.isEmpty {
                                let replies = try await replies(to: probes, row, memory, bench)
                                figures["locality"] = share(zip(replies, base.untouched).map { $0 == $1 })
                            }
                            try bench.report.add(
                                memory.row(
                                    row, stage, figures: figures, cases: questions(count).count, standing: standing))
                        }
                    }
                }
            }
        }
    }

    private func documents(_ count: Int) -> [EvaluationDocument] {
        passages.prefix(count).enumerated().map { index, passage in
            EvaluationDocument(
                id: "squad-\(index)", title: passage.title.isEmpty ? nil : passage.title, text: passage.context)
        }
    }

    private func questions(_ count: Int) -> [PassageCase.Question] { passages.prefix(count).flatMap(\.questions) }

    /// Questions of passages whose articles are not taught, spread over them.
    private func probes(besides most: Int) -> [PassageCase.Question] {
        let taught = Set(passages.prefix(most).map(\.title))
        let others = passages.dropFirst(most).filter { !taught.contains($0.title) }.flatMap(\.questions)
        let stride = max((others.count + Self.mostProbes - 1) / Self.mostProbes, 1)
        return others.enumerated().filter { $0.offset % stride == 0 }.map(\.element)
    }

    private func replies(
        to questions: [PassageCase.Question], _ row: EvaluationRow, _ memory: EvaluatedMemory, _ bench: EvaluationBench
    ) async throws -> [String] {
        try await bench.complete(
            questions.map { .init(prompt: $0.question, maxTokens: Self.answerTokens, stop: ["\n"], isChat: true) }, row,
            "questions", of: memory)
    }

    private func figures(
        _ count: Int, _ row: EvaluationRow, _ memory: EvaluatedMemory, _ bench: EvaluationBench
    ) async throws -> [String: Double] {
        let questions = questions(count)
        let answers = try await replies(to: questions, row, memory, bench)
        let pairs = zip(questions, answers)
        return [
            "exact": share(
                pairs.map { AnswerMetric.normalized($1) == AnswerMetric.normalized($0.answer) }),
            "containment": share(pairs.map { AnswerMetric.contains($1, answer: $0.answer) }),
        ]
    }
}
