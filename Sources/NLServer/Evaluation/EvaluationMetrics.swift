import Foundation

/// How near an answer is to what was learned.
enum AnswerMetric {
    /// Lower-cased runs of letters and digits: the words of ROUGE.
    static func words(_ text: String) -> [String] {
        text.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
    }

    /// ROUGE-L recall: the longest common subsequence of words as a share of the reference's words (Lin 2004).
    static func rougeLRecall(of reference: String, in candidate: String) -> Double {
        let (wanted, found) = (words(reference), words(candidate))
        guard !wanted.isEmpty else { return found.isEmpty ? 1 : 0 }
        // lengths[j]: of the longest common subsequence of what was seen of `wanted` and the first j of `found`.
        var lengths = [Int](repeating: 0, count: found.count + 1)
        for word in wanted {
            var diagonal = 0
            for (index, other) in found.enumerated() {
                let above = lengths[index + 1]
                lengths[index + 1] = word == other ? diagonal + 1 : max(above, lengths[index])
                diagonal = above
            }
        }
        return Double(lengths[found.count]) / Double(wanted.count)
    }

    /// Whether a continuation begins with an answer, whole words only, white space around it aside.
    static func begins(_ continuation: String, with answer: String) -> Bool {
        let (text, wanted) = (trimmed(continuation), trimmed(answer))
        guard !wanted.isEmpty, text.hasPrefix(wanted) else { return false }
        guard let next = text.dropFirst(wanted.count).first else { return true }
        return !next.isLetter && !next.isNumber
    }

    /// Whether two texts are the same, white space around them aside.
    static func isExact(_ text: String, _ other: String) -> Bool { trimmed(text) == trimmed(other) }

    /// The words that SQuAD's evaluation compares: lower-cased, without punctuation and articles (Rajpurkar et al. 2016).
    static func normalized(_ text: String) -> [String] {
        let kept = text.lowercased().filter { !$0.isPunctuation && !$0.isSymbol }
        return kept.split(whereSeparator: \.isWhitespace).map(String.init).filter { !["a", "an", "the"].contains($0) }
    }

    /// Whether the words of an answer stand in a text, together and in order.
    static func contains(_ text: String, answer: String) -> Bool {
        let (all, wanted) = (normalized(text), normalized(answer))
        guard !wanted.isEmpty, all.count >= wanted.count else { return false }
        return (0...all.count - wanted.count).contains { all[$0..<$0 + wanted.count].elementsEqual(wanted) }
    }

    private static func trimmed(_ text: String) -> String { text.trimmingCharacters(in: .whitespacesAndNewlines) }
}

/// R: `rows[i][j]` is the accuracy on task j ≤ i after learning task i (Lopez-Paz & Ranzato 2017).
struct RetentionMatrix: Sendable, Equatable {
    /// One row a task learned, each as long as its number.
    private(set) var rows: [[Double]] = []

    init(_ rows: [[Double]] = []) {
        self.rows = rows
        precondition(rows.indices.allSatisfy { rows[$0].count == $0 + 1 }, "row i of R has i + 1 entries")
    }

    /// What the tasks so far score after one more was learned.
    mutating func append(_ row: [Double]) {
        precondition(row.count == rows.count + 1, "row \(rows.count) of R has \(rows.count + 1) entries")
        rows.append(row)
    }

    /// The same with another last row: what the tasks score after something else happened, as a consolidation.
    func replacingLast(by row: [Double]) -> RetentionMatrix { RetentionMatrix(rows.dropLast() + [row]) }

    /// ACC: mean over all tasks after the last. NaN before the first.
    var averageAccuracy: Double { mean(rows.last ?? []) }

    /// BWT: what later tasks did to earlier ones, mean of R[T][j] − R[j][j] over j < T. Nil for a single task.
    var backwardTransfer: Double? {
        guard let last = rows.last, rows.count > 1 else { return nil }
        return mean(last.dropLast().enumerated().map { $0.element - rows[$0.offset][$0.offset] })
    }

    /// Forgetting: mean over j < T of the best that task j ever scored, before the end, less what it scores at the end
    /// (Chaudhry et al. 2018). Nil for a single task.
    var forgetting: Double? {
        guard let last = rows.last, rows.count > 1 else { return nil }
        return mean(
            last.dropLast().enumerated().map { task, now in
                (rows[task..<rows.count - 1].map { $0[task] }.max() ?? now) - now
            })
    }

    /// ACC less what the untouched base scores on the same tasks.
    func netGain(over base: [Double]) -> Double { averageAccuracy - mean(base) }
}

/// The arithmetic mean; NaN of nothing.
func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
