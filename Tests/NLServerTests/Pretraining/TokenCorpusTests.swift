import Foundation
import NLCore
import Testing

@testable import NLServer

/// The tokens on disk are those of the text, and are made again when something about them is not right.
@Suite struct TokenCorpusTests {
    private let folder: TemporaryFolder
    private let prepared: PreparedTokenizer

    init() throws {
        folder = try TemporaryFolder()
        var trainer = try BPETrainer(vocabularySize: 280, specialTokens: ["<|bos|>", "<|eos|>"])
        trainer.add("the old river runs past the old mill")
        let file = folder.url.appending(path: "tokenizer.json")
        try trainer.train().write(to: file)
        prepared = try PreparedTokenizer(contentsOf: file, bos: "<|bos|>", eos: "<|eos|>")
    }

    private func corpus(_ sources: [String], notes: (String) -> Void = { _ in }) throws -> TokenCorpus {
        try TokenCorpus.prepared(
            in: folder.url.appending(path: "corpus"), sources: sources, tokenizer: prepared.tokenizer,
            tokenizerDigest: prepared.digest, bos: prepared.bos, eos: prepared.eos, note: notes)
    }

    private func tokens(_ corpus: TokenCorpus) -> [[Int]] {
        (0..<corpus.manifest.documents).map { corpus.range(ofDocument: $0).map { Int(corpus[$0]) } }
    }

    @Test func holdsEveryDocumentBetweenBosAndEos() throws {
        let texts = ["the old river", "a <|eos|> in text is text", "\u{1F30A}"]
        let lines = try texts.map { String(decoding: try JSONEncoder().encode(["text": $0]), as: UTF8.self) }
        let one = try folder.write("one.jsonl", lines[0] + "\n" + lines[1])
        let two = try folder.write("two.jsonl", lines[2])
        let corpus = try corpus([one, two])
        let expected = texts.map { [0] + prepared.tokenizer.encode($0, parseSpecialTokens: false) + [1] }
        #expect(tokens(corpus) == expected)
        #expect(corpus.manifest.textBytes == texts.reduce(0) { $0 + $1.utf8.count })
    }

    @Test func isReusedUntilSomethingChanges() throws {
        let path = try folder.write("a.txt", "the old mill")
        var notes: [String] = []
        let note = { (text: String) in notes.append(text) }
        let before = tokens(try corpus([path], notes: note))
        #expect(notes.count == 1)
        #expect(tokens(try corpus([path], notes: note)) == before && notes.count == 1)

        let file = folder.url.appending(path: "corpus/tokens.bin")
        var bytes = try Data(contentsOf: file)
        bytes[4] ^= 1
        try bytes.write(to: file)
        #expect(tokens(try corpus([path], notes: note)) == before && notes.count == 2)
        try FileManager.default.removeItem(at: folder.url.appending(path: "corpus/corpus.json"))
        #expect(tokens(try corpus([path], notes: note)) == before && notes.count == 3)

        try folder.write("a.txt", "the old mill runs")
        #expect(tokens(try corpus([path], notes: note)) != before && notes.count == 4)
    }

    @Test func filesWithoutTextAreNamed() throws {
        let empty = try folder.write("empty.txt", "")
        let blank = try folder.write("blank.txt", " \n\n")
        for path in [empty, blank] {
            let error = #expect(throws: PretrainingError.self) { try corpus([path]) }
            #expect(error?.description.hasPrefix(path) == true)
        }
    }

    // MARK: - The order of training

    private func order(_ corpus: TokenCorpus, seed: UInt64, length: Int = 7, batch: Int = 2) throws -> TrainingOrder {
        try TrainingOrder(corpus, seed: seed, sequenceLength: length, batch: batch)
    }

    @Test func anEpochSeesEveryWindowOnce() throws {
        let corpus = try corpus([folder.write("a.jsonl", PretrainingFixture.jsonLines(40))])
        let order = try order(corpus, seed: 5, batch: 1)
        for epoch in 0..<3 {
            let windows = (0..<order.windows).map { order.batch(at: epoch * order.windows + $0) }
            // Windows overlap by one token, so each can be followed by at most a few: chain them by content.
            #expect(windows.allSatisfy { $0.count == 8 })
            var counts: [Int32: Int] = [:]
            for window in windows { for token in window.dropLast() { counts[token, default: 0] += 1 } }
            var all: [Int32: Int] = [:]
            for document in tokens(corpus) { for token in document { all[Int32(token), default: 0] += 1 } }
            // All but the tail shorter than a window.
            let missing = all.reduce(0) { $0 + ($1.value - counts[$1.key, default: 0]) }
            #expect(missing == corpus.manifest.tokens - order.windows * 7 && missing <= 7)
            #expect(all.allSatisfy { $0.value >= counts[$0.key, default: 0] })
        }
    }

    @Test func aWindowIsTextAsItStands() throws {
        let corpus = try corpus([folder.write("a.jsonl", PretrainingFixture.jsonLines(40))])
        let row = tokens(corpus)
        let order = try order(corpus, seed: 5, length: 30, batch: 3)
        for step in 0..<20 {
            let batch = order.batch(at: step)
            for start in stride(from: 0, to: batch.count, by: 31) {
                // Cut at BOS, every part is a piece of one document: an end, whole ones, a beginning.
                let window = batch[start..<start + 31].map(Int.init)
                let starts = window.indices.filter { window[$0] == 0 }
                let bounds = [0] + starts.filter { $0 > 0 } + [window.count]
                for (from, to) in zip(bounds, bounds.dropFirst()) {
                    let part = Array(window[from..<to])
                    #expect(row.contains { document in contains(document, part) })
                }
            }
        }
    }

    private func contains(_ document: [Int], _ part: [Int]) -> Bool {
        guard document.count >= part.count else { return false }
        return (0...document.count - part.count).contains { Array(document[$0..<$0 + part.count]) == part }
    }

    @Test func theOrderIsAFunctionOfSeedAndStep() throws {
        let corpus = try corpus([folder.write("a.jsonl", PretrainingFixture.jsonLines(40))])
        let steps = [0, 1, 50, 400, 3, 399]
        let (forward, other) = (try order(corpus, seed: 5), try order(corpus, seed: 6))
        let expected = steps.sorted().map { forward.batch(at: $0) }
        for (step, batch) in zip(steps.sorted(), expected).reversed() {
            #expect(try order(corpus, seed: 5).batch(at: step) == batch)
            #expect(forward.batch(at: step) == batch)
            #expect(other.batch(at: step) != batch)
        }
        #expect(Set(expected).count == expected.count)
    }

    @Test func tooLittleTextIsSaid() throws {
        let corpus = try corpus([folder.write("a.txt", "the old")])
        let error = #expect(throws: PretrainingError.self) { try order(corpus, seed: 1, length: 100) }
        #expect(error?.description.contains("--sequence-length") == true)
    }
}
