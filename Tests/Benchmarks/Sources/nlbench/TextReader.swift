import Foundation
import NLCore

/// A model directory, read without a daemon.
struct ModelFiles {
    let configuration: HopeConfiguration
    let tokenizer: Tokenizer
    /// Every tensor of the configuration; zeros where the file has none, as for what slots hold.
    let parameters: ParameterSet<Float>
    /// Scalars in the file.
    let count: Int

    init(_ path: String) throws {
        let directory = URL(filePath: path)
        let configuration = try JSONDecoder().decode(
            HopeConfiguration.self, from: Data(contentsOf: directory.appending(path: "config.json")))
        tokenizer = try Tokenizer(contentsOf: directory.appending(path: "tokenizer.json"))
        let file = try SafetensorsFile(contentsOf: directory.appending(path: "model.safetensors"))
        let present = Set(file.names)
        var parameters = ParameterSet<Float>()
        var failure: SafetensorsError?
        var count = 0
        _ = HopeParameters<Void>(configuration) { name, shape in
            do throws(SafetensorsError) {
                let isThere = present.contains(name)
                parameters[name] = isThere ? try file.deferred(name, shape: shape) : .zeros(shape)
                if isThere { count += shape.count }
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        (self.configuration, self.parameters, self.count) = (configuration, parameters, count)
    }

    private struct Document: Decodable { var text: String }

    static func documents(_ path: String) throws -> [String] {
        try String(contentsOf: URL(filePath: path), encoding: .utf8).split(separator: "\n").map {
            try JSONDecoder().decode(Document.self, from: Data($0.utf8)).text
        }
    }
}

/// Reads texts token by token, as the daemon does.
struct TextReader {
    private let tokenizer: Tokenizer
    private let weights: HopeWeights<Float>

    init(_ tokenizer: Tokenizer, _ weights: HopeWeights<Float>) {
        (self.tokenizer, self.weights) = (tokenizer, weights)
    }

    func tokens(_ text: String) -> [Int32] { tokenizer.encode(text, parseSpecialTokens: false).map(Int32.init) }

    func bytes(_ tokens: some Sequence<Int32>) -> Int { tokens.reduce(0) { $0 + tokenizer.bytes(of: Int($1)).count } }

    /// Reads a text from its beginning.
    ///
    /// - Parameter each: told of every token its place, −log p in nats, and whether no other was likelier.
    func read(_ tokens: [Int32], pieces: Int, each: (Int, Double, Bool) -> Void) throws {
        let c = weights.configuration
        let inputs = [Int32(c.bosTokenID)] + tokens.dropLast()
        var stream = [StreamInput(state: StreamState<Float>(c), tokens: [], wantsAllLogits: true)]
        for start in stride(from: 0, to: tokens.count, by: pieces) {
            let end = min(start + pieces, tokens.count)
            stream[0].tokens = Array(inputs[start..<end])
            let logits = try StreamingHope.advance(&stream, weights: weights)[0].elements
            for position in start..<end {
                let row = logits[(position - start) * c.vocabularySize..<(position - start + 1) * c.vocabularySize]
                let largest = row.max() ?? 0
                let sum = row.reduce(0.0) { $0 + exp(Double($1 - largest)) }
                let own = row[row.startIndex + Int(tokens[position])]
                let loss = log(sum) - Double(own - largest)
                guard loss.isFinite else { throw WrongWork(description: "a loss is not finite") }
                each(position, loss, own == largest)
            }
        }
    }
}
