import Foundation
import NLCore
import Store

/// The tokenizer of a run: its file, and the tokens that begin and end a document.
struct PreparedTokenizer {
    let tokenizer: Tokenizer
    /// The bytes of `tokenizer.json`, for the model directory.
    let json: Data
    let digest: String
    let bos: Int
    let eos: Int

    /// Begins a document, in tokenizers trained here.
    static let bosToken = "<|bos|>"
    /// Ends one.
    static let eosToken = "<|eos|>"
    /// Bytes of text a tokenizer is trained on, taken from the beginnings of all files alike.
    static let sampleBytes = 48 << 20

    /// Reads a tokenizer.
    ///
    /// - Throws: ``PretrainingError`` if it lacks one of the two tokens.
    init(contentsOf url: URL, bos: String, eos: String) throws {
        guard let json = FileManager.default.contents(atPath: url.path) else {
            throw PretrainingError("\(url.path): no such file, or it may not be read")
        }
        tokenizer = try Tokenizer(json: json)
        self.json = json
        digest = SHA256Digest(of: json).hex
        guard let bosID = tokenizer.id(of: bos) else {
            throw PretrainingError(
                "\(url.path): has no token \"\(bos)\" to begin a document with; name one with --bos-token")
        }
        guard let eosID = tokenizer.id(of: eos) else {
            throw PretrainingError(
                "\(url.path): has no token \"\(eos)\" to end a document with; name one with --eos-token")
        }
        (self.bos, self.eos) = (bosID, eosID)
    }

    /// Reads the tokenizer of a model.
    ///
    /// - Throws: ``PretrainingError`` if it can't be read.
    init(contentsOf url: URL, bos: Int, eos: Int) throws {
        guard let json = FileManager.default.contents(atPath: url.path) else {
            throw PretrainingError("\(url.path): no such file, or it may not be read")
        }
        tokenizer = try Tokenizer(json: json)
        self.json = json
        digest = SHA256Digest(of: json).hex
        (self.bos, self.eos) = (bos, eos)
    }

    /// Trains a tokenizer on a sample of the sources and writes it.
    static func train(vocabularySize: Int, sources: [String], to url: URL, note: (String) -> Void) throws {
        var trainer = try BPETrainer(vocabularySize: vocabularySize, specialTokens: [bosToken, eosToken])
        var bytes = 0
        for path in sources {
            var taken = 0
            try DocumentReader(path: path).forEach { text in
                trainer.add(text)
                taken += text.utf8.count
                return taken < sampleBytes / sources.count
            }
            bytes += taken
            note("tokenizer: read \(taken) bytes of \(path)")
        }
        guard bytes > 0 else { throw PretrainingError("the data files hold no text to train a tokenizer on") }
        let vocabulary = trainer.train()
        try vocabulary.write(to: url)
        note("tokenizer: \(vocabulary.tokens.count) tokens from \(bytes) bytes of text")
    }
}
