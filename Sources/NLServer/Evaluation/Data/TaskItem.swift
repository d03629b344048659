import NLCore

/// Something to be learned in a task, and what is asked of it.
struct TaskItem: Sendable, Equatable {
    var prompt: String
    var answer: String

    /// As it is learned: the answer follows the prompt after a space.
    var text: String { "\(prompt) \(answer)" }

    static func question(_ question: String, _ answer: String) -> TaskItem {
        TaskItem(prompt: "Question: \(question)\nAnswer:", answer: answer)
    }

    static func intent(_ text: String, _ label: String) -> TaskItem {
        TaskItem(prompt: "Text: \(text)\nIntent:", answer: label.replacing("_", with: " "))
    }
}

/// One of the tasks that are learned one after another.
struct LearningTask: Sendable, Equatable {
    var name: String
    var learned: [TaskItem]
    /// What is asked; may be the same as what was learned.
    var asked: [TaskItem]
}

/// How large the tasks are.
struct TaskSizes: Sendable, Equatable {
    /// Tasks; nil: the set's own number.
    var tasks: Int?
    /// Documents learned in each.
    var perTask: Int
    /// Items asked of each.
    var sample: Int
}

extension LearningTask {
    /// TOFU: question-answer pairs on fictitious authors, in their tasks (Maini et al. 2024).
    static func tofu(_ files: EvaluationFiles, _ selection: CaseSelection, _ sizes: TaskSizes) throws -> [LearningTask]
    {
        struct Pair: Decodable {
            var task_id: String
            var question: String
            var answer: String
        }
        let pairs: [Pair] = try files.jsonLines("tofu/forget10.jsonl.gz")
        let names = pairs.map(\.task_id).uniqued().prefix(sizes.tasks ?? .max)
        return names.map { name in
            let items = selection.of(pairs.filter { $0.task_id == name }).map {
                TaskItem.question($0.question, $0.answer)
            }
            let learned = Array(items.prefix(sizes.perTask))
            return LearningTask(name: name, learned: learned, asked: learned.spread(sizes.sample))
        }
    }

    /// CLINC150: intents of a domain are a task (Larson et al. 2019).
    static func clinc150(
        _ files: EvaluationFiles, _ selection: CaseSelection, _ sizes: TaskSizes
    ) throws -> [LearningTask] {
        let splits = try files.json("clinc150/data_full.json.gz", as: [String: [[String]]].self)
        let domains = try files.json("clinc150/domains.json", as: [String: [String]].self, isMain: false)
        func examples(_ split: String) throws -> [(text: String, label: String)] {
            guard let rows = splits[split], rows.allSatisfy({ $0.count == 2 }) else {
                throw EvaluationError("clinc150: \"\(split)\" must be a list of [text, intent]")
            }
            return rows.map { ($0[0], $0[1]) }
        }
        let classes = domains.sorted { $0.key < $1.key }.map { (name: $0.key, labels: $0.value) }
        return try tasks(
            Array(classes.prefix(sizes.tasks ?? .max)), train: examples("train"), test: examples("test"), selection,
            sizes)
    }

    /// Banking77: its intents by name, cut into tasks (Casanueva et al. 2020).
    static func banking77(
        _ files: EvaluationFiles, _ selection: CaseSelection, _ sizes: TaskSizes
    ) throws -> [LearningTask] {
        func examples(_ name: String, isMain: Bool) throws -> [(text: String, label: String)] {
            try files.table(name, isMain: isMain).map { row in
                guard let text = row["text"], let label = row["category"] else {
                    throw EvaluationError("banking77: the table must have the columns text and category")
                }
                return (text, label)
            }
        }
        let train = try examples("banking77/train.csv.gz", isMain: true)
        let labels = train.map(\.label).uniqued().sorted()
        let count = min(sizes.tasks ?? 10, labels.count)
        let classes = (0..<count).map { task in
            (
                name: "intents \(task + 1)",
                labels: Array(labels[task * labels.count / count..<(task + 1) * labels.count / count])
            )
        }
        return try tasks(
            classes, train: train, test: examples("banking77/test.csv.gz", isMain: false), selection, sizes)
    }

    private static func tasks(
        _ classes: [(name: String, labels: [String])], train: [(text: String, label: String)],
        test: [(text: String, label: String)], _ selection: CaseSelection, _ sizes: TaskSizes
    ) -> [LearningTask] {
        // In turn from each class: the file is sorted by class, and a task must have heard of all of its own.
        func drawn(_ examples: [(text: String, label: String)], _ labels: [String], _ count: Int) -> [TaskItem] {
            let own = labels.map { label in
                selection.of(examples.filter { $0.label == label }).map { TaskItem.intent($0.text, $0.label) }
            }
            let rounds = own.map(\.count).max() ?? 0
            return Array((0..<rounds).flatMap { round in own.compactMap { $0.dropFirst(round).first } }.prefix(count))
        }
        return classes.map { name, labels in
            LearningTask(
                name: name, learned: drawn(train, labels, sizes.perTask), asked: drawn(test, labels, sizes.sample))
        }
    }
}

extension Array {
    /// `count` elements spread evenly from the first to the last, or all.
    func spread(_ count: Int) -> [Element] {
        self.count <= count ? self : (0..<count).map { self[$0 * self.count / count] }
    }
}

extension Sequence where Element: Hashable {
    /// Each element once, in the order in which it came first.
    func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
