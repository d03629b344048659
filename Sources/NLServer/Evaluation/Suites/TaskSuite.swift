/// Tasks learned one after another: what is known of each after each, hence ACC, BWT and forgetting.
struct TaskSuite: Sendable {
    /// What R is made of.
    enum Metric: Sendable {
        /// ROUGE-L recall of the answer; the share of exact ones is told beside it.
        case rougeL
        /// The share of answers whose first line is the label.
        case accuracy
    }

    let tasks: [LearningTask]
    let metric: Metric

    /// Mean scores of one task.
    private struct Score: Sendable {
        /// By the metric.
        var main: Double
        var exact: Double
    }

    /// What the untouched base scores, and how long each answer may be.
    private struct Base: Sendable {
        var lengths: [[Int]]
        var scores: [Score]
    }

    func run(_ bench: EvaluationBench) async throws {
        guard !tasks.isEmpty, tasks.allSatisfy({ !$0.learned.isEmpty && !$0.asked.isEmpty }) else {
            throw EvaluationError("a task has nothing to learn or nothing to ask; the set is too small for the options")
        }
        let base = try await bench.withBase { memory in
            let lengths = try await lengths(memory, bench)
            let scores = try await tasks.indices.asyncMap { try await score($0, .base, memory, lengths, bench) }
            if bench.settings.rows.contains(.base) {
                var row = memory.row(
                    .base, .untouched, figures: figures(scores), cases: cases,
                    standing: try await memory.standing())
                row.tasks = tasks.count
                row.figures["acc"] = mean(scores.map(\.main))
                try bench.report.add(row)
            }
            return Base(lengths: lengths, scores: scores)
        }
        for (learner, rows) in bench.settings.learners {
            try await bench.withMemory(learner) { memory in
                try await run(rows, memory, base, bench)
            }
        }
    }

    private func run(
        _ rows: [EvaluationRow], _ memory: EvaluatedMemory, _ base: Base, _ bench: EvaluationBench
    ) async throws {
        let lengths = base.lengths
        var matrices = [RetentionMatrix](repeating: RetentionMatrix(), count: rows.count)
        for task in tasks.indices {
            try await memory.learn(documents(task))
            // The last is scored below, with the rest of what is told at the end.
            guard task < tasks.count - 1 else { break }
            try await memory.restart()
            for (index, row) in rows.enumerated() {
                let scores = try await (0...task).asyncMap { try await score($0, row, memory, lengths, bench) }
                matrices[index].append(scores.map(\.main))
            }
        }
        try await bench.scoring(memory) { stage in
            let standing = try await memory.standing()
            for (index, row) in rows.enumerated() where row.isScored(stage) {
                let scores = try await tasks.indices.asyncMap { try await score($0, row, memory, lengths, bench) }
                if stage == .learned {
                    matrices[index].append(scores.map(\.main))
                } else {
                    matrices[index] = matrices[index].replacingLast(by: scores.map(\.main))
                }
                let matrix = matrices[index]
                var figures = figures(scores)
                figures["acc"] = matrix.averageAccuracy
                figures["bwt"] = matrix.backwardTransfer
                figures["forgetting"] = matrix.forgetting
                figures["net_gain"] = matrix.netGain(over: base.scores.map(\.main))
                var result = memory.row(row, stage, figures: figures, cases: cases, standing: standing)
                (result.tasks, result.retention) = (tasks.count, matrix.rows)
                try bench.report.add(result)
            }
        }
    }

    private var cases: Int { tasks.reduce(0) { $0 + $1.asked.count } }

    private func figures(_ scores: [Score]) -> [String: Double] {
        metric == .rougeL
            ? ["rouge_l": mean(scores.map(\.main)), "exact": mean(scores.map(\.exact))]
            : ["accuracy": mean(scores.map(\.main))]
    }

    private func documents(_ task: Int) -> [EvaluationDocument] {
        tasks[task].learned.enumerated().map { index, item in
            EvaluationDocument(id: "task-\(task + 1)-\(index)", text: item.text)
        }
    }

    /// Most tokens of each answer: a quarter more than it has, since it may come in other tokens.
    private func lengths(_ memory: EvaluatedMemory, _ bench: EvaluationBench) async throws -> [[Int]] {
        try await tasks.asyncMap { task in
            try await memory.client.map(task.asked, parallel: bench.settings.parallel, report: { _ in }) {
                let tokens = try await $0.tokenCount(of: " \($1.answer)", after: $1.prompt)
                return tokens + tokens / 4 + 4
            }
        }
    }

    private func score(
        _ task: Int, _ row: EvaluationRow, _ memory: EvaluatedMemory, _ lengths: [[Int]], _ bench: EvaluationBench
    ) async throws -> Score {
        let asked = tasks[task].asked
        let probes = zip(asked, lengths[task]).map { item, length in
            DaemonClient.Probe(
                prompt: item.prompt, maxTokens: length, stop: metric == .accuracy ? ["\n"] : [])
        }
        let answers = try await bench.complete(probes, row, "task \(task + 1)", of: memory)
        let exact = share(zip(asked, answers).map { AnswerMetric.isExact($1, $0.answer) })
        guard metric == .rougeL else { return Score(main: exact, exact: exact) }
        return Score(
            main: mean(zip(asked, answers).map { AnswerMetric.rougeLRecall(of: $0.answer, in: $1) }), exact: exact)
    }
}

extension Sequence {
    /// `transform` of each element, one after the other.
    func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
