import Foundation
import NLCore
import Testing

@testable import NLServer

/// Catches a set that is read wrongly, or whose cases are not the same ones twice.
@Suite struct EvaluationDataTests {
    /// A data directory with small files of our own, gone when the value is.
    private final class Folder {
        let path = NSTemporaryDirectory() + "evaluation-" + UUID().uuidString

        init(_ files: [String: String]) throws {
            for (name, text) in files {
                let file = URL(filePath: path).appending(path: name)
                try FileManager.default.createDirectory(
                    at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                if name.hasSuffix(".gz") || name.hasSuffix(".xz") {
                    try Self.pack(text, with: name.hasSuffix(".gz") ? "gzip" : "xz", to: file)
                } else {
                    try Data(text.utf8).write(to: file)
                }
            }
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        var files: EvaluationFiles { EvaluationFiles(directory: path) }

        private static func pack(_ text: String, with program: String, to file: URL) throws {
            let plain = file.deletingPathExtension()
            try Data(text.utf8).write(to: plain)
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = [program, "-f", plain.path]
            try process.run()
            process.waitUntilExit()
        }
    }

    @Test func counterFactIsReadInEasyEditsForm() throws {
        let folder = try Folder([
            "counterfact/counterfact-edit.json.gz": """
            [{"case_id": 7, "prompt": "The mother tongue of A is", "target_new": "English", "subject": "A",
              "ground_truth": "French", "rephrase_prompt": "A speaks", "locality_prompt": "B speaks",
              "locality_ground_truth": "French"}]
            """
        ])
        let edit = try #require(try EditCase.counterFact(folder.files).first)
        #expect(edit.document == EvaluationDocument(id: "counterfact-7", text: "The mother tongue of A is English."))
        #expect((edit.rephrase, edit.locality, edit.localityTruth) == ("A speaks", "B speaks", "French"))
    }

    @Test func zsREIsReadInMENDsForm() throws {
        let folder = try Folder([
            "mend.json": """
            [{"subject": "Watts", "src": "Where did Watts study?", "pred": "Illinois", "rephrase": "Which school?",
              "alt": "Michigan", "answers": ["Illinois"], "loc": "nq question: who", "loc_ans": "Krug", "cond": ""}]
            """
        ])
        let files = EvaluationFiles(directory: nil, file: folder.path + "/mend.json")
        let edit = try #require(try EditCase.zsRE(files).first)
        #expect(edit.document.text == "Where did Watts study? Michigan.")
        #expect((edit.rephrase, edit.locality, edit.localityTruth) == ("Which school?", "nq question: who", "Krug"))
    }

    @Test func aFileInAnotherFormIsToldByNameAndField() throws {
        let folder = try Folder(["counterfact/counterfact-edit.json.gz": #"[{"case_id": 1, "prompt": "x"}]"#])
        let error = #expect(throws: EvaluationError.self) { try EditCase.counterFact(folder.files) }
        #expect(error?.description.contains("counterfact-edit.json.gz") == true)
        #expect(error?.description.contains("target_new") == true)
        let missing = #expect(throws: EvaluationError.self) { try EditCase.counterFact(EvaluationFiles()) }
        #expect(missing?.description.contains("--data") == true)
    }

    @Test func tofuComesInItsTasks() throws {
        let lines = (0..<6).map { #"{"task_id": "\#($0 / 3 + 1)", "question": "q\#($0)?", "answer": "a\#($0)."}"# }
        let folder = try Folder(["tofu/forget10.jsonl.gz": lines.joined(separator: "\n")])
        let sizes = TaskSizes(perTask: 2, sample: 1)
        let tasks = try LearningTask.tofu(folder.files, CaseSelection(), sizes)
        #expect(tasks.map(\.name) == ["1", "2"])
        #expect(tasks[1].learned.map(\.text) == ["Question: q3?\nAnswer: a3.", "Question: q4?\nAnswer: a4."])
        #expect(tasks[1].asked == [.question("q3?", "a3.")])
        let reported = try LearningTask.tofu(folder.files, CaseSelection(half: .b), sizes)
        #expect(reported.map { $0.learned.map(\.answer) } == [["a1."], ["a4."]])
    }

    @Test func clinc150ComesByDomainAndHearsOfEveryIntent() throws {
        let folder = try Folder([
            "clinc150/domains.json": #"{"travel": ["book_flight"], "banking": ["pay_bill", "balance"]}"#,
            "clinc150/data_full.json.gz": """
            {"train": [["pay one", "pay_bill"], ["pay two", "pay_bill"], ["how much", "balance"], ["fly", "book_flight"]],
             "test": [["pay three", "pay_bill"], ["fly away", "book_flight"]], "oos_test": [["hm", "oos"]]}
            """,
        ])
        let tasks = try LearningTask.clinc150(folder.files, CaseSelection(), TaskSizes(perTask: 2, sample: 5))
        #expect(tasks.map(\.name) == ["banking", "travel"])
        #expect(tasks[0].learned.map(\.text) == ["Text: pay one\nIntent: pay bill", "Text: how much\nIntent: balance"])
        #expect(tasks[1].asked == [TaskItem(prompt: "Text: fly away\nIntent:", answer: "book flight")])
    }

    @Test func banking77IsCutIntoTasksByName() throws {
        let train = (0..<4).map { "\"text, \($0)\",label_\($0)" }.joined(separator: "\r\n")
        let folder = try Folder([
            "banking77/train.csv.gz": "text,category\r\n" + train,
            "banking77/test.csv.gz": "text,category\nasked,label_3\n",
        ])
        let tasks = try LearningTask.banking77(
            folder.files, CaseSelection(), TaskSizes(tasks: 2, perTask: 9, sample: 9))
        #expect(tasks.map { $0.learned.map(\.answer) } == [["label 0", "label 1"], ["label 2", "label 3"]])
        #expect(tasks[1].learned[0].prompt == "Text: text, 2\nIntent:")
        #expect(tasks[1].asked.map(\.answer) == ["label 3"])
    }

    @Test func passagesAndArticlesAreRead() throws {
        let folder = try Folder([
            "squad-v1.1-dev/squad_val.json.gz":
                #"[{"title": "T", "context": "C", "questions": [{"question": "Q?", "answer": "A"}]}]"#,
            "wikipedia-en-2015/valid.jsonl.xz":
                "{\"id\": 3, \"title\": \"short\", \"text\": \"abc\"}\n{\"id\": \"4\", \"title\": \"t\", \"text\": \"abcdef\"}\n",
        ])
        #expect(try PassageCase.squad(folder.files)[0].questions == [.init(question: "Q?", answer: "A")])
        let passages = ["T", "T", "U"].enumerated().map { place, title in
            PassageCase(title: title, context: "C\(place)", questions: [.init(question: "Q\(place)?", answer: "A")])
        }
        let whole = PassageCase.articles(of: passages)
        #expect(whole.map(\.context) == ["C0\nC1", "C2"] && whole.map(\.questions.count) == [2, 1])
        let articles = try Article.wikipedia(folder.files, characters: 5)
        #expect(articles.map(\.document) == [EvaluationDocument(id: "wiki-4", title: "t", text: "abcde")])
    }

    @Test func quotedFieldsHoldCommasQuotesAndLineBreaks() {
        let rows = CommaSeparated.rows(Data("a,b\n\"x, \"\"y\"\"\nz\",2\n\n,\n".utf8))
        #expect(rows == [["a", "b"], ["x, \"y\"\nz", "2"], ["", ""]])
    }

    @Test func halvesAreDisjointAndSeedsRepeat() {
        let all = Array(0..<9)
        let (a, b) = (CaseSelection(half: .a).of(all), CaseSelection(half: .b).of(all))
        #expect(a == [0, 2, 4, 6, 8])
        #expect(b == [1, 3, 5, 7])
        let shuffled = CaseSelection(seed: 3).of(all)
        #expect(shuffled != all)
        #expect(shuffled.sorted() == all)
        #expect(shuffled == CaseSelection(seed: 3).of(all))
        #expect(CaseSelection(half: .a, seed: 5).of(all).sorted() == a)
    }

    @Test(arguments: ["end", "none", "every 10", "10", "every:10"])
    func plansAreRead(_ text: String) {
        let expected: [String: ConsolidationPlan] = ["end": .end, "none": .none]
        #expect(ConsolidationPlan(text) == expected[text] ?? .every(10))
    }

    @Test(arguments: ["", "every", "0", "-1", "sometimes"])
    func otherPlansAreRefused(_ text: String) { #expect(ConsolidationPlan(text) == nil) }

    @Test(arguments: [false, true]) func theFullModelAdaptsEverythingAndLinksItsWeights(isGated: Bool) throws {
        let home = try EngineHome()
        var configuration = TestModel.configuration
        for index in configuration.levels.indices { configuration.levels[index].isGated = isGated }
        try TestModel.write(
            to: home.model, parameters: .initial(configuration, seed: 1), configuration: configuration)
        let copy = URL(filePath: home.path).appending(path: "full")
        let adapts = try #require(LearningMethod.full.adapts)
        try FineTunedModel.write(of: home.model.path, to: copy, adapting: adapts, learningRate: 0.5)
        let model = try LoadedModel(directory: copy.path)
        #expect(model.levels[1].parameterCount == model.base.parameterCount)
        #expect(model.levels[1].optimizer.learningRate == 0.5)
        #expect(model.levels[2].parameterCount < model.base.parameterCount)
        let weights = copy.appending(path: "model.safetensors").path
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: weights).hasSuffix("model.safetensors"))
        let naive = URL(filePath: home.path).appending(path: "naive")
        let links = try #require(LearningMethod.naive.adapts)
        try FineTunedModel.write(of: home.model.path, to: naive, adapting: links, learningRate: nil)
        let level = try LoadedModel(directory: naive.path).levels[1]
        #expect(level.tensors.allSatisfy { $0.name.contains(".levels.1.") } && !level.tensors.isEmpty)
        #expect(level.optimizer.learningRate == 4e-3)
    }
}
