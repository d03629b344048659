import Foundation
import Testing

@testable import NLCore

/// Would catch a wrong count after a merge, another order of ties, or a file that reads back as another tokenizer.
@Suite struct BPETrainerTests {
    private func text() throws -> String {
        try String(contentsOf: TokenizerFixture.directory.appending(path: "text.txt"), encoding: .utf8)
    }

    private func trained(_ texts: [String], size: Int = 600, minimumFrequency: Int = 2) throws -> TrainedVocabulary {
        var trainer = try BPETrainer(
            vocabularySize: size, specialTokens: ["<|bos|>", "<|eos|>"], minimumFrequency: minimumFrequency)
        for text in texts { trainer.add(text) }
        return trainer.train()
    }

    @Test func learnsWhatTheReferenceLearns() throws {
        let vocabulary = try trained([text()])
        let expected = try EditableTokenizerFile(.plain)
        let ids = try #require(expected.model["vocab"] as? [String: Int])
        #expect(Dictionary(uniqueKeysWithValues: zip(vocabulary.tokens, 0...)) == ids)
        let merges = try #require(expected.model["merges"] as? [[String]])
        #expect(vocabulary.merges.map { [vocabulary.tokens[$0.left], vocabulary.tokens[$0.right]] } == merges)
    }

    @Test func writesAFileThatEncodesAsTheReference() throws {
        let tokenizer = try trained([text()]).tokenizer()
        for expected in try TokenizerFixture.plain.cases() {
            #expect(tokenizer.encode(expected.text) == expected.ids, "\(expected.text.debugDescription)")
        }
    }

    /// The definition: count every pair of every piece again before each merge.
    private func naiveMerges(_ text: String, count: Int) throws -> [[String]] {
        let splitter = try Tokenizer(json: TrainedVocabulary(specialTokens: []).json())
        var words: [[String]: Int] = [:]
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let end = SplitPattern.gpt2.pieceEnd(in: Array(rest).span, from: 0)
            words[splitter.encode(utf8: rest.prefix(end)).compactMap { splitter.token(of: $0) }, default: 0] += 1
            rest = rest.dropFirst(end)
        }
        var merges: [[String]] = []
        let ids = TrainedVocabulary(specialTokens: []).tokens
        var order = Dictionary(uniqueKeysWithValues: zip(ids, 0...))
        while merges.count < count {
            var counts: [[String]: Int] = [:]
            for (word, frequency) in words {
                for (left, right) in zip(word, word.dropFirst()) { counts[[left, right], default: 0] += frequency }
            }
            func key(_ pair: [String]) -> (Int, Int) { (order[pair[0]] ?? 0, order[pair[1]] ?? 0) }
            guard let best = counts.min(by: { $0.value != $1.value ? $0.value > $1.value : key($0.key) < key($1.key) })
            else { break }
            merges.append(best.key)
            order[best.key.joined()] = order.count
            var merged: [[String]: Int] = [:]
            for (word, frequency) in words {
                var symbols: [String] = []
                var index = 0
                while index < word.count {
                    if index + 1 < word.count, word[index] == best.key[0], word[index + 1] == best.key[1] {
                        symbols.append(best.key.joined())
                        index += 2
                    } else {
                        symbols.append(word[index])
                        index += 1
                    }
                }
                merged[symbols, default: 0] += frequency
            }
            words = merged
        }
        return merges
    }

    /// Few letters, long words: overlapping pairs ("aaaa"), and no two merges may spell the same token.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func countsKeptUpToDateAreCountsFromTheStart(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let letters = Array("aabc")
        let words = (0..<40).map { _ in
            let length = Int.random(in: 1...20, using: &generator)
            return String((0..<length).map { _ in letters[Int.random(in: 0..<4, using: &generator)] })
        }
        let text = words.joined(separator: " ")
        var trainer = try BPETrainer(vocabularySize: 256 + 150, minimumFrequency: 1)
        trainer.add(text)
        let vocabulary = trainer.train()
        let merges = vocabulary.merges.map { [vocabulary.tokens[$0.left], vocabulary.tokens[$0.right]] }
        #expect(try merges == naiveMerges(text, count: merges.count))
        #expect(Set(vocabulary.tokens).count == vocabulary.tokens.count)
    }

    @Test func theOrderOfTheDocumentsDoesNotMatter() throws {
        let lines = try text().split(separator: "\n", omittingEmptySubsequences: false).map { "\($0)\n" }
        let forward = try trained(lines).json()
        #expect(try trained(lines.reversed()).json() == forward)
    }

    @Test func aSmallerVocabularyIsTheBeginningOfALargerOne() throws {
        let whole = try trained([text()])
        let part = try trained([text()], size: 300)
        #expect(part.tokens.count == 300)
        #expect(part.tokens == Array(whole.tokens.prefix(300)))
    }

    @Test func everyByteIsThereWithoutAnyText() throws {
        let vocabulary = try trained([])
        #expect(vocabulary.tokens.count == 258)
        let tokenizer = try vocabulary.tokenizer()
        let text = "\u{0}\u{7F}\u{1F30A}\r\n"
        #expect(tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: false) == text)
        #expect((0..<258).reduce(into: Set<[UInt8]>()) { $0.insert(tokenizer.bytes(of: $1)) }.count == 258)
    }

    @Test func rarePairsAreNotMerged() throws {
        let vocabulary = try trained(["ab ab ab cd cd"], minimumFrequency: 3)
        #expect(vocabulary.merges.count == 1)
        #expect(vocabulary.tokens.last == "ab")
    }

    @Test func textNeverMergesIntoASpecialToken() throws {
        var trainer = try BPETrainer(vocabularySize: 300, specialTokens: ["user"], minimumFrequency: 1)
        for _ in 0..<9 { trainer.add("user") }
        let tokenizer = try trainer.train().tokenizer()
        #expect(!tokenizer.encode("user", parseSpecialTokens: false).contains(0))
    }

    @Test func progressCountsTokens() throws {
        var trainer = try BPETrainer(vocabularySize: 300)
        trainer.add(try text())
        var seen: [Int] = []
        _ = trainer.train { seen.append($0) }
        #expect(seen == Array(257...300))
    }

    @Test func aFullMapForgetsTheRarePieces() {
        var counts = PieceCounts(memoryLimit: 20_000)
        for round in 0..<200 {
            counts.add(Array("frequent".utf8).span)
            for word in 0..<20 { counts.add(Array("rare\(round * 20 + word)".utf8).span) }
            #expect(counts.memory <= 20_000)
        }
        let frequent = (0..<counts.count).first { counts.piece(at: $0).elementsEqual("frequent".utf8) }
        #expect(frequent.map { counts.counts[$0] } == 200)
    }

    @Test func impossibleSettingsAreRefused() {
        #expect(throws: TokenizerError.self) { try BPETrainer(vocabularySize: 257, specialTokens: ["<a>", "<b>"]) }
        #expect(throws: TokenizerError.self) { try BPETrainer(vocabularySize: .max) }
        #expect(throws: TokenizerError.self) { try BPETrainer(vocabularySize: 400, specialTokens: ["<a>", "<a>"]) }
        #expect(throws: TokenizerError.self) { try BPETrainer(vocabularySize: 400, specialTokens: [""]) }
        #expect(throws: TokenizerError.self) { try BPETrainer(vocabularySize: 400, specialTokens: ["a"]) }
        #expect(throws: TokenizerError.self) { try BPETrainer(vocabularySize: 400, memoryLimit: 0) }
    }
}
