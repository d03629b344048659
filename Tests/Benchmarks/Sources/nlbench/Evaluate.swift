import ArgumentParser
import Foundation
import NLCore

/// What a model predicts of texts, read as the daemon reads them: bits per byte, by position too, and last words.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bits per byte of texts, by position too, and last words guessed.")

    @Argument(help: "A model directory: config.json, model.safetensors, tokenizer.json.")
    var model: String
    @Option(parsing: .upToNextOption, help: "Texts to measure, as name=FILE; one JSON object with a \"text\" a line.")
    var text: [String] = []
    @Option(help: "Tokens that are read of each text's file; a document is cut at 1,024.")
    var tokens = 65_536
    @Option(help: "Texts that are read to 32,768 tokens, one stream each.")
    var long: String?
    @Option(help: "Streams of those.")
    var streams = 4
    @Option(help: "Passages whose last words are to be guessed (LAMBADA).")
    var lastWords: String?
    @Option(help: "Passages of those; all unless said.")
    var passages: Int?

    private static let piece = 512
    private static let longest = 32_768

    private struct Found: Encodable {
        var parameters: Int
        var bitsPerByte: [String: Double] = [:]
        /// From each position on to the next, both in tokens.
        var byPosition: [Position] = []
        var lastWords: LastWords?

        struct Position: Encodable {
            var from: Int
            var to: Int
            var bitsPerByte: Double
        }
        struct LastWords: Encodable {
            var passages: Int
            var accuracy: Double
            /// exp of the mean of −log p of the whole last word.
            var perplexity: Double
        }
    }

    func run() throws {
        let files = try ModelFiles(model)
        let reader = TextReader(files.tokenizer, try HopeWeights(files.configuration, files.parameters))
        var found = Found(parameters: files.count)
        for pair in text {
            guard let equals = pair.firstIndex(of: "=") else { throw ValidationError("\(pair) is not name=FILE") }
            let documents = try ModelFiles.documents(String(pair[pair.index(after: equals)...]))
            found.bitsPerByte[String(pair[..<equals])] = try bitsPerByte(documents, reader)
        }
        if let long { found.byPosition = try byPosition(ModelFiles.documents(long), reader) }
        if let lastWords { found.lastWords = try guess(ModelFiles.documents(lastWords), reader) }
        print(try json(found))
    }

    private func bitsPerByte(_ documents: [String], _ reader: TextReader) throws -> Double {
        var (nats, bytes, count) = (0.0, 0, 0)
        for document in documents where count < tokens {
            let ids = reader.tokens(document).prefix(min(1024, tokens - count))
            try reader.read(Array(ids), pieces: Self.piece) { _, loss, _ in nats += loss }
            bytes += reader.bytes(ids)
            count += ids.count
        }
        guard bytes > 0 else { throw ValidationError("there is no text to measure") }
        return nats / log(2) / Double(bytes)
    }

    private func byPosition(_ documents: [String], _ reader: TextReader) throws -> [Found.Position] {
        let bounds = [0] + sequence(first: 256) { $0 < Self.longest ? 2 * $0 : nil }
        var sums = [(nats: Double, bytes: Int)](repeating: (0, 0), count: bounds.count - 1)
        var used = 0
        for document in documents where used < streams {
            let ids = Array(reader.tokens(document).prefix(Self.longest))
            guard ids.count == Self.longest else { continue }
            used += 1
            var part = 0
            try reader.read(ids, pieces: Self.piece) { position, loss, _ in
                if position == bounds[part + 1] { part += 1 }
                sums[part].nats += loss
                sums[part].bytes += reader.bytes([ids[position]])
            }
        }
        guard used > 0 else { throw ValidationError("no text has \(Self.longest) tokens") }
        return zip(zip(bounds, bounds.dropFirst()), sums).map {
            Found.Position(from: $0.0, to: $0.1, bitsPerByte: $1.nats / log(2) / Double($1.bytes))
        }
    }

    private func guess(_ documents: [String], _ reader: TextReader) throws -> Found.LastWords {
        var (right, nats, count) = (0, 0.0, 0)
        for document in documents.prefix(passages ?? .max) {
            guard let space = document.lastIndex(of: " ") else { continue }
            let given = reader.tokens(String(document[..<space]))
            let word = reader.tokens(String(document[space...]))
            var (isRight, own) = (true, 0.0)
            try reader.read(given + word, pieces: Self.piece) { position, loss, isBest in
                guard position >= given.count else { return }
                own += loss
                isRight = isRight && isBest
            }
            right += isRight ? 1 : 0
            nats += own
            count += 1
        }
        guard count > 0 else { throw ValidationError("there are no passages") }
        return Found.LastWords(
            passages: count, accuracy: Double(right) / Double(count), perplexity: exp(nats / Double(count)))
    }
}
