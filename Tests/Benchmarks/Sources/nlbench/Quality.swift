import ArgumentParser
import Foundation
import NLCore

/// What rounding the weights costs: bits per byte of held-out text, read as the daemon reads it, in each precision.
struct Quality: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bits per byte of held-out text with weights in each precision.")

    @Argument(help: "A model directory: config.json, model.safetensors, tokenizer.json.")
    var model: String
    @Argument(help: "Documents, one JSON object with a \"text\" a line.")
    var text: String
    @Option(help: "Tokens that are read in all; a document is cut at 1,024.")
    var tokens = 32_768
    @Option(parsing: .upToNextOption, help: "Precisions.")
    var weights = WeightPrecision.allCases.map(\.rawValue)

    private struct Document: Decodable { var text: String }

    private struct Found: Encodable {
        var documents: Int
        var tokens: Int
        var bytes: Int
        var precisions: [String: Precision] = [:]

        struct Precision: Encodable {
            var bitsPerByte: Double
            /// Against f32.
            var rise: Double?
            var held: [String: Int]
            var weightBytes: Int
        }
    }

    func validate() throws {
        for name in weights where WeightPrecision(rawValue: name) == nil {
            throw ValidationError("--weights \(name) is not known")
        }
    }

    func run() throws {
        let directory = URL(filePath: model)
        let configuration = try JSONDecoder().decode(
            HopeConfiguration.self, from: Data(contentsOf: directory.appending(path: "config.json")))
        let tokenizer = try Tokenizer(contentsOf: directory.appending(path: "tokenizer.json"))
        let file = try SafetensorsFile(contentsOf: directory.appending(path: "model.safetensors"))
        let present = Set(file.names)
        var parameters = ParameterSet<Float>()
        var failure: SafetensorsError?
        _ = HopeParameters<Void>(configuration) { name, shape in
            do throws(SafetensorsError) {
                parameters[name] = present.contains(name) ? try file.deferred(name, shape: shape) : .zeros(shape)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        let (documents, bytes) = try documents(tokenizer, bos: Int32(configuration.bosTokenID))
        var found = Found(
            documents: documents.count, tokens: documents.reduce(0) { $0 + $1.count - 1 }, bytes: bytes)
        let adapted = Set(
            try LevelDefinition.levels(of: configuration).filter { $0.role != .reading }.flatMap {
                $0.tensors.map(\.name)
            })
        for name in weights {
            let held = try HopeWeights(
                configuration, parameters, precision: WeightPrecision(rawValue: name) ?? .auto, exact: adapted)
            let nats = try documents.reduce(0.0) { try $0 + Self.nats($1, held) }
            found.precisions[name] = Found.Precision(
                bitsPerByte: nats / log(2) / Double(bytes), rise: nil, held: held.held.scalars,
                weightBytes: held.held.bytes)
        }
        if let exact = found.precisions["f32"]?.bitsPerByte {
            found.precisions = found.precisions.mapValues {
                var precision = $0
                precision.rise = precision.bitsPerByte / exact - 1
                return precision
            }
        }
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(found), as: UTF8.self))
    }

    private func documents(_ tokenizer: Tokenizer, bos: Int32) throws -> (documents: [[Int32]], bytes: Int) {
        var documents: [[Int32]] = []
        var (bytes, count) = (0, 0)
        for line in try String(contentsOf: URL(filePath: text), encoding: .utf8).split(separator: "\n") {
            let text = try JSONDecoder().decode(Document.self, from: Data(line.utf8)).text
            let ids = tokenizer.encode(text, parseSpecialTokens: false).prefix(min(1024, tokens - count))
            documents.append([bos] + ids.map(Int32.init))
            bytes += ids.reduce(0) { $0 + tokenizer.bytes(of: $1).count }
            count += ids.count
            if count >= tokens { break }
        }
        guard bytes > 0 else { throw ValidationError("\(text) holds no text") }
        return (documents, bytes)
    }

    /// Σ −log p of all tokens but the first.
    private static func nats(_ document: [Int32], _ weights: HopeWeights<Float>) throws -> Double {
        var inputs = [
            StreamInput(
                state: StreamState<Float>(weights.configuration), tokens: Array(document.dropLast()),
                wantsAllLogits: true)
        ]
        let logits = try StreamingHope.advance(&inputs, weights: weights)[0].elements
        let width = weights.configuration.vocabularySize
        var nats = 0.0
        for (row, token) in document.dropFirst().enumerated() {
            let own = logits[row * width..<(row + 1) * width]
            let largest = own.max() ?? 0
            let sum = own.reduce(0.0) { $0 + exp(Double($1 - largest)) }
            nats += log(sum) - Double(own[own.startIndex + Int(token)] - largest)
        }
        guard nats.isFinite else { throw WrongWork(description: "a loss is not finite") }
        return nats
    }
}
