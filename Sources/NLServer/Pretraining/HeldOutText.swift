import Foundation
import NLCore

/// Text kept out of training, and how well a model predicts it.
struct HeldOutText {
    /// Tokens of each document, BOS first.
    let documents: [[Int32]]
    /// UTF-8 bytes of the text they stand for.
    let bytes: Int

    /// Longer documents are cut here, so that many fit into the budget.
    static let documentLimit = 1024

    /// The beginning of a file: documents in order until their tokens reach the budget.
    init(path: String, tokenizer: Tokenizer, bos: Int, tokens budget: Int) throws {
        var documents: [[Int32]] = []
        var (bytes, tokens) = (0, 0)
        try DocumentReader(path: path).forEach { text in
            let ids = tokenizer.encode(text, parseSpecialTokens: false).prefix(min(Self.documentLimit, budget - tokens))
            documents.append([Int32(bos)] + ids.map(Int32.init))
            bytes += ids.reduce(0) { $0 + tokenizer.bytes(of: $1).count }
            tokens += ids.count
            return tokens < budget
        }
        guard bytes > 0 else { throw PretrainingError("\(path): holds no text to measure on") }
        self.documents = documents
        self.bytes = bytes
    }

    /// Σ nats / ln 2 / UTF-8 bytes of the text. The end of a document is not text and is not scored.
    func bitsPerByte(_ parameters: ParameterSet<Float>, _ configuration: HopeConfiguration) -> Double {
        let chunk = configuration.projectionChunkSize
        let scoring = DocumentScoring(configuration, window: max(1, 256 / chunk) * chunk, batch: 4)
        let nats = scoring(parameters, documents).reduce(0, +)
        return nats / log(2) / Double(bytes)
    }
}
