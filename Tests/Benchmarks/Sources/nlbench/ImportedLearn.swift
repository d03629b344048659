import ArgumentParser
import Foundation
import NLCore

/// Learning documents into the medium level of an imported model, one pass each: what `lora.py` holds against PyTorch.
struct ImportedLearn: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "imported-learn",
        abstract: "Learning with the weights of a Hugging Face directory: the medium level's layers, or slots.")

    @Argument(help: "The directory: config.json and *.safetensors.")
    var directory: String
    @Option(help: "Tokens of a document.")
    var length = 256
    @Option(help: "Documents in a repetition; the level is updated whenever its chunk is full.")
    var documents = 4
    @Option(help: "Timed repetitions; one more comes first and is not counted.")
    var repetitions = 3
    @Option(help: "Learn changes of this rank; left out, whole matrices.")
    var rank: Int?
    @Option(help: "Dense products in f32 or bf16.")
    var precision = "f32"
    @Option(help: "Compute threads; left out, one for each processor.")
    var threads: Int?

    private struct Found: Encodable {
        var threads: Int
        var backend: String
        var precision: String
        /// Layers whose MLPs learn.
        var layers: [Int]
        var scalars: Int
        /// Mean loss of the first document before anything is learned, in nats a token.
        var loss: Double
        var tokensPerSecond: Spread
        /// The same documents read without learning.
        var readTokensPerSecond: Spread
    }

    func run() throws {
        guard let products = ProductPrecision(rawValue: precision), products.isUsable else {
            throw ValidationError("--precision \(precision) is not known, or not usable here")
        }
        if let threads { try ComputeBudget.setThreads(threads) }
        try MatrixProduct.select(.auto)
        var options = ImportOptions()
        options.rank = rank
        let model = try ImportedModel(directory: URL(filePath: directory), options)
        let c = model.configuration
        let fresh = try SpaceLevels(c, base: try model.parameters())
        let role = LevelDefinition.Role.acquisition
        let trained = fresh.tensors(of: role)
        let reader = LearningWindow(c, precision: products)
        // As lora.py makes them.
        let texts = (0..<documents).map { document in
            (0...length).map { Int32((7919 * ($0 + 1) + 104_729 * (document + 1)) % c.vocabularySize) }
        }
        func read(_ text: [Int32], _ levels: SpaceLevels, learns: Bool) throws -> LearningWindow.Reading {
            try reader.read(
                Array(text[..<length]), targets: Array(text[1...]), states: nil, parameters: levels.effective,
                trained: learns ? trained : [])
        }
        let first = try read(texts[0], fresh, learns: false).losses
        let learned = try time {
            var levels = fresh
            for text in texts {
                guard let gradients = try read(text, levels, learns: true).gradients else {
                    throw WrongWork(description: "a document gave no gradients")
                }
                try levels.update(role) { level throws(NumericsError) in
                    try level.gather(gradients, tokenCount: length)
                }
            }
            guard levels.levels.contains(where: { $0.counters.updates > 0 }) else {
                throw WrongWork(description: "the level was not updated: more documents are needed")
            }
        }
        let readOnly = try time { for text in texts { _ = try read(text, fresh, learns: false) } }
        let names = fresh.levels.filter { $0.definition.role == role }.map(\.definition.name)
        let found = Found(
            threads: ComputeBudget.threads, backend: MatrixProduct.description, precision: precision,
            layers: (c.layerLevels ?? []).indices.filter { names.contains(c.layerLevels?[$0] ?? "") },
            scalars: fresh.levels.filter { $0.definition.role == role }.reduce(0) { $0 + $1.definition.parameterCount },
            loss: first.reduce(0.0) { $0 + Double($1) } / Double(first.count), tokensPerSecond: learned,
            readTokensPerSecond: readOnly)
        print(try json(found))
    }

    private func time(_ run: () throws -> Void) throws -> Spread {
        var rates: [Double] = []
        for repetition in 0...repetitions {
            let start = ContinuousClock.now
            try run()
            let seconds = start.duration(to: .now) / .seconds(1)
            if repetition > 0 { rates.append(Double(length * documents) / seconds) }
        }
        return Spread(rates)
    }
}
