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
        let files = try ModelFiles(model)
        let (configuration, parameters) = (files.configuration, files.parameters)
        let (documents, bytes) = try documents(files.tokenizer)
        var found = Found(
            documents: documents.count, tokens: documents.reduce(0) { $0 + $1.count }, bytes: bytes)
        let adapted = Set(
            try LevelDefinition.levels(of: configuration).filter { $0.role != .reading }.flatMap {
                $0.tensors.map(\.name)
            })
        for name in weights {
            let held = try HopeWeights(
                configuration, parameters, precision: WeightPrecision(rawValue: name) ?? .auto, exact: adapted)
            let reader = TextReader(files.tokenizer, held)
            var nats = 0.0
            for document in documents { try reader.read(document, pieces: 512) { _, loss, _ in nats += loss } }
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
        print(try json(found))
    }

    private func documents(_ tokenizer: Tokenizer) throws -> (documents: [[Int32]], bytes: Int) {
        var documents: [[Int32]] = []
        var (bytes, count) = (0, 0)
        for text in try ModelFiles.documents(text) {
            let ids = tokenizer.encode(text, parseSpecialTokens: false).prefix(min(1024, tokens - count))
            documents.append(ids.map(Int32.init))
            bytes += ids.reduce(0) { $0 + tokenizer.bytes(of: $1).count }
            count += ids.count
            if count >= tokens { break }
        }
        guard bytes > 0 else { throw ValidationError("\(text) holds no text") }
        return (documents, bytes)
    }
}
