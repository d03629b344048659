import NLCore

/// Which tokens each step trains on: a pure function of the corpus, the seed and the step, so that a resumed run needs
/// only the number of its step.
///
/// Each epoch lays the documents end to end in an order of its own, cuts the row into windows of T + 1 tokens that
/// overlap by one, and visits the windows in an order of its own: neighbours in a batch come from different documents
/// even where one is a whole novel. The tail shorter than a window differs from epoch to epoch, so nothing is never seen.
final class TrainingOrder {
    private let corpus: TokenCorpus
    private let seed: UInt64
    private let length: Int
    private let batch: Int
    /// Windows in an epoch.
    let windows: Int
    private var epoch: Epoch

    private struct Epoch {
        let number: Int
        let documents: [Int32]
        /// Where each document of the row ends.
        let ends: [Int]
        let windows: [Int32]
    }

    /// - Throws: ``PretrainingError`` if the corpus is shorter than one window.
    init(_ corpus: TokenCorpus, seed: UInt64, sequenceLength: Int, batch: Int) throws {
        self.corpus = corpus
        self.seed = seed
        self.batch = batch
        length = sequenceLength
        windows = (corpus.manifest.tokens - 1) / sequenceLength
        guard windows > 0 else {
            throw PretrainingError(
                "the data has \(corpus.manifest.tokens) tokens, less than one sequence of \(sequenceLength + 1); give more text or a smaller --sequence-length"
            )
        }
        epoch = TrainingOrder.epoch(0, corpus, seed, windows)
    }

    /// The batch of a step, `[B, T + 1]`.
    func batch(at step: Int) -> [Int32] {
        var tokens: [Int32] = []
        tokens.reserveCapacity(batch * (length + 1))
        for index in step * batch..<(step + 1) * batch {
            if index / windows != epoch.number {
                epoch = TrainingOrder.epoch(index / windows, corpus, seed, windows)
            }
            append(window: Int(epoch.windows[index % windows]), to: &tokens)
        }
        return tokens
    }

    private func append(window: Int, to tokens: inout [Int32]) {
        var position = window * length
        var left = length + 1
        var place = epoch.ends.partitioningIndex { $0 > position }
        while left > 0 {
            let document = corpus.range(ofDocument: Int(epoch.documents[place]))
            let start = document.upperBound - (epoch.ends[place] - position)
            let count = min(left, document.upperBound - start)
            for index in start..<start + count { tokens.append(corpus[index]) }
            position += count
            left -= count
            place += 1
        }
    }

    private static func epoch(_ number: Int, _ corpus: TokenCorpus, _ seed: UInt64, _ windows: Int) -> Epoch {
        var random = SeededRandom(seed: SeededRandom.mix(seed, UInt64(number)))
        let documents = (0..<Int32(corpus.manifest.documents)).shuffled(using: &random)
        var end = 0
        let ends = documents.map { document in
            end += corpus.range(ofDocument: Int(document)).count
            return end
        }
        return Epoch(
            number: number, documents: documents, ends: ends,
            windows: (0..<Int32(windows)).shuffled(using: &random))
    }
}

extension Array where Element == Int {
    /// The first index whose element satisfies a predicate that holds from some point on; `count` if none does.
    func partitioningIndex(_ belongsAfter: (Int) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if belongsAfter(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
