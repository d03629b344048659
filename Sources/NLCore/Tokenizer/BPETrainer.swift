/// Learns a byte-level byte-pair vocabulary from text.
///
/// Ids are given in this order: special tokens, the 256 bytes (ordered by the character that stands for each, see
/// ``TrainedVocabulary``), then one token per merge. Each merge joins the adjacent pair of tokens that occurs most
/// often, counted over the pieces GPT-2's pattern cuts; of pairs that occur equally often, the one with the lower
/// left id, then the lower right id. So the result depends on the text alone, not on its order or on hashing, and
/// is that of the Python library `tokenizers` for the same settings.
///
/// ```swift
/// var trainer = try BPETrainer(vocabularySize: 4096, specialTokens: ["<|bos|>", "<|eos|>"])
/// for document in documents { trainer.add(document) }
/// try trainer.train().write(to: directory.appending(path: "tokenizer.json"))
/// ```
public struct BPETrainer: Sendable {
    /// Tokens the vocabulary should have, special ones and bytes included.
    public let vocabularySize: Int
    /// Their ids are their places. They are not looked for in the training text, and no merge makes one.
    public let specialTokens: [String]
    /// A pair that occurs less often is not merged.
    public let minimumFrequency: Int

    private var pieces: PieceCounts

    /// A trainer that has seen no text.
    ///
    /// - Parameters:
    ///   - minimumFrequency: how often a pair must occur to be merged.
    ///   - memoryLimit: bytes for the distinct pieces and their counts. Past it, the rarest pieces are forgotten, and
    ///     the result then depends on the order of the texts; 256 MiB hold some six million words.
    /// - Throws: ``TokenizerError/invalidTraining(_:)`` for a vocabulary without room for the special tokens and 256
    ///   bytes, or special tokens that are empty or equal.
    public init(
        vocabularySize: Int, specialTokens: [String] = [], minimumFrequency: Int = 2, memoryLimit: Int = 256 << 20
    ) throws(TokenizerError) {
        let smallest = specialTokens.count + 256
        guard (smallest...TokenizerFile.maximumVocabularySize).contains(vocabularySize) else {
            throw .invalidTraining(
                "a vocabulary of \(vocabularySize) tokens is not in \(smallest)...\(TokenizerFile.maximumVocabularySize)"
            )
        }
        guard Set(specialTokens).count == specialTokens.count, !specialTokens.contains("") else {
            throw .invalidTraining("special tokens must be different and not empty")
        }
        guard specialTokens.allSatisfy({ $0.unicodeScalars.count > 1 }) else {
            throw .invalidTraining("a special token of one character could be the name of a byte")
        }
        guard memoryLimit >= 1 << 16 else {
            throw .invalidTraining("a memory limit of \(memoryLimit) bytes is below 64 KiB")
        }
        self.vocabularySize = vocabularySize
        self.specialTokens = specialTokens
        self.minimumFrequency = max(1, minimumFrequency)
        pieces = PieceCounts(memoryLimit: memoryLimit)
    }

    /// Distinct pieces counted so far.
    public var pieceCount: Int { pieces.count }

    /// Counts the pieces of one document. Nothing is merged across the ends of a document.
    public mutating func add(_ text: String) {
        let span = text.utf8.span
        var start = 0
        while start < span.count {
            let end = SplitPattern.gpt2.pieceEnd(in: span, from: start)
            pieces.add(span.extracting(start..<end))
            start = end
        }
    }

    /// Learns the merges.
    ///
    /// - Parameter progress: called with the number of tokens so far, once per merge.
    /// - Returns: a vocabulary of `vocabularySize` tokens, or fewer if the text has no more pairs that occur
    ///   `minimumFrequency` times.
    public func train(progress: (Int) -> Void = { _ in }) -> TrainedVocabulary {
        var vocabulary = TrainedVocabulary(specialTokens: specialTokens)
        var pairs = PairCounts(pieces, byteIDs: vocabulary.byteIDs)
        while vocabulary.tokens.count < vocabularySize, let pair = pairs.mostFrequent(atLeast: minimumFrequency) {
            // Always a new token: bytes that no merge has crossed into are merged alike wherever they occur, so two
            // different pairs never spell the same.
            let token = vocabulary.tokens[Int(pair.left)] + vocabulary.tokens[Int(pair.right)]
            if specialTokens.contains(token) {
                // Ordinary text must never become a special token.
                pairs.discard(pair)
                continue
            }
            vocabulary.merges.append((Int(pair.left), Int(pair.right)))
            pairs.merge(pair, into: UInt32(vocabulary.tokens.count))
            vocabulary.tokens.append(token)
            progress(vocabulary.tokens.count)
        }
        return vocabulary
    }
}
