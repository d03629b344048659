/// Knowledge editing: false facts, learned in a stream, asked for as they were stated and in other words; neighbours
/// must be continued as the untouched base continues them.
///
/// Everything is free-running greedy continuation. Each count is learned on a memory of its own.
struct EditSuite: Sendable {
    /// Fewest tokens of a neighbour's continuation that are compared.
    static let leastLocalityTokens = 3
    /// Tokens in which a question in other words is answered, at least: a memory that continues what it was told may say
    /// the rest of that sentence first.
    static let leastAnswerTokens = 16

    let cases: [EditCase]

    /// What the untouched base says.
    private struct Base: Sendable {
        var neighbours: [String]
        /// Tokens of each neighbour's continuation.
        var lengths: [Int]
        var recalled: [Bool]
        var rephrased: [Rephrased?]
    }

    /// How a fact asked for in other words was answered: with the answer at once, or with the answer in it.
    private struct Rephrased: Sendable {
        var begins: Bool
        var says: Bool

        static func figures(_ answers: some Sequence<Rephrased?>) -> [String: Double] {
            let answers = answers.compactMap(\.self)
            return ["generalization": share(answers.map(\.begins)), "generalization_said": share(answers.map(\.says))]
        }
    }

    func run(_ bench: EvaluationBench) async throws {
        let counts = bench.settings.counts
        guard let most = counts.max(), cases.count >= most else {
            throw EvaluationError("there are \(cases.count) cases, fewer than --counts asks for")
        }
        let base = try await bench.withBase { memory in try await untouched(most, memory, bench) }
        for (learner, rows) in bench.settings.learners {
            for count in counts {
                try await bench.withMemory(learner) { memory in
                    try await memory.learn(cases.prefix(count).map(\.document))
                    try await bench.scoring(memory) { stage in
                        let standing = try await memory.standing()
                        for row in rows where row.isScored(stage) {
                            let figures = try await figures(count, row, memory, base, bench)
                            try bench.report.add(
                                memory.row(row, stage, figures: figures, cases: count, standing: standing))
                        }
                    }
                }
            }
        }
    }

    private func untouched(_ count: Int, _ memory: EvaluatedMemory, _ bench: EvaluationBench) async throws -> Base {
        let cases = Array(cases.prefix(count))
        let lengths = try await memory.client.map(cases, parallel: bench.settings.parallel, report: { _ in }) {
            client, edit in
            guard let prompt = edit.locality else { return 0 }
            let truth = edit.localityTruth ?? ""
            let tokens = truth.isEmpty ? 0 : try await client.tokenCount(of: " \(truth)", after: prompt)
            return max(tokens, Self.leastLocalityTokens)
        }
        var base = Base(neighbours: [], lengths: lengths, recalled: [], rephrased: [])
        base.neighbours = try await neighbours(count, .base, memory, lengths, bench)
        base.recalled = try await recalled(count, .base, memory, bench)
        base.rephrased = try await rephrased(count, .base, memory, bench)
        guard bench.settings.rows.contains(.base) else { return base }
        let standing = try await memory.standing()
        for count in bench.settings.counts {
            var row = memory.row(
                .base, .untouched,
                figures: Rephrased.figures(base.rephrased.prefix(count))
                    .merging(["reliability": share(base.recalled.prefix(count))]) { $1 },
                cases: count, standing: standing)
            // So that it stands beside the rows it is compared with; nothing was learned.
            row.documents = count
            try bench.report.add(row)
        }
        return base
    }

    private func figures(
        _ count: Int, _ row: EvaluationRow, _ memory: EvaluatedMemory, _ base: Base, _ bench: EvaluationBench
    ) async throws -> [String: Double] {
        let recalled = try await recalled(count, row, memory, bench)
        let rephrased = try await rephrased(count, row, memory, bench)
        let neighbours = try await neighbours(count, row, memory, base.lengths, bench)
        let same = (0..<count).filter { cases[$0].locality != nil }.map { neighbours[$0] == base.neighbours[$0] }
        let reliability = share(recalled)
        return Rephrased.figures(rephrased).merging([
            "reliability": reliability, "locality": share(same), "acc": reliability,
            "net_gain": reliability - share(base.recalled.prefix(count)),
        ]) { $1 }
    }

    private func recalled(
        _ count: Int, _ row: EvaluationRow, _ memory: EvaluatedMemory, _ bench: EvaluationBench
    ) async throws -> [Bool] {
        let cases = cases.prefix(count)
        let answers = try await bench.complete(
            cases.map { Self.probe($0.prompt, $0.target) }, row, "reliability", of: memory)
        return zip(cases, answers).map { AnswerMetric.begins($1, with: $0.target) }
    }

    private func rephrased(
        _ count: Int, _ row: EvaluationRow, _ memory: EvaluatedMemory, _ bench: EvaluationBench
    ) async throws -> [Rephrased?] {
        let asked = cases.prefix(count).enumerated().filter { $0.element.rephrase != nil }
        let probes = asked.map {
            Self.probe($0.element.rephrase ?? "", $0.element.target, least: Self.leastAnswerTokens)
        }
        let answers = try await bench.complete(probes, row, "generalization", of: memory)
        var results = [Rephrased?](repeating: nil, count: count)
        for (place, answer) in zip(asked, answers) {
            let target = place.element.target
            results[place.offset] = Rephrased(
                begins: AnswerMetric.begins(answer, with: target), says: AnswerMetric.contains(answer, answer: target))
        }
        return results
    }

    /// Continuations of the neighbours as lists of words; empty where a case has none.
    private func neighbours(
        _ count: Int, _ row: EvaluationRow, _ memory: EvaluatedMemory, _ lengths: [Int], _ bench: EvaluationBench
    ) async throws -> [String] {
        let asked = (0..<count).filter { cases[$0].locality != nil }
        let probes = asked.map { DaemonClient.Probe(prompt: cases[$0].locality ?? "", maxTokens: lengths[$0]) }
        let answers = try await bench.complete(probes, row, "locality", of: memory)
        var results = [String](repeating: "", count: count)
        for (index, answer) in zip(asked, answers) {
            results[index] = answer.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
        return results
    }

    /// Long enough for the target whatever its tokens (each is a byte at least), the space before it, and what follows.
    private static func probe(_ prompt: String, _ target: String, least: Int = 0) -> DaemonClient.Probe {
        DaemonClient.Probe(prompt: prompt, maxTokens: max(target.utf8.count + 3, least))
    }
}

/// The share that is true; NaN of nothing.
func share(_ claims: some Collection<Bool>) -> Double { Double(claims.count { $0 }) / Double(claims.count) }
