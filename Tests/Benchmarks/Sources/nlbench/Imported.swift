import ArgumentParser
import Foundation
import NLCore

/// A pretrained Transformer's directory as the daemon serves it: loading, decoding, reading a prompt.
///
/// Streams are fed given tokens, so that the work does not depend on what is drawn; logits are computed for each.
struct Imported: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Loading, decoding and reading with the weights of a Hugging Face directory.")

    @Argument(help: "The directory: config.json and *.safetensors.")
    var directory: String
    @Option(help: "How weights are held: \(WeightPrecision.allCases.map(\.rawValue).joined(separator: ", ")).")
    var weights = WeightPrecision.auto.rawValue
    @Option(parsing: .upToNextOption, help: "Numbers of streams that are advanced together.")
    var streams = [1, 8]
    @Option(help: "Tokens in the prompt that is read.")
    var length = 512
    @Option(help: "Tokens that each stream has read before it is decoded.")
    var context = 64
    @Option(help: "Tokens decoded in each stream in a repetition.")
    var tokens = 32
    @Option(help: "Timed repetitions; one more comes first and is not counted.")
    var repetitions = 3
    @Option(help: "Compute threads; left out, one for each processor.")
    var threads: Int?
    @Option(help: "Writes the logits after these tokens, separated by commas, instead of measuring.")
    var logitsOf: String?

    func validate() throws {
        guard WeightPrecision(rawValue: weights) != nil else {
            throw ValidationError("--weights \(weights) is not known")
        }
        guard min(length, context, tokens, repetitions, streams.min() ?? 0) >= 1 else {
            throw ValidationError("all counts begin at 1")
        }
    }

    private struct Found: Encodable {
        var held: [String: Int]
        var weightBytes: Int
        var threads: Int
        var backend: String
        /// Until the weights are laid out.
        var loadSeconds: Double
        /// Until the logits of a first token are there.
        var firstTokenSeconds: Double
        var decodeTokensPerSecond: [String: Spread] = [:]
        var prefillTokensPerSecond: Spread?
    }

    func run() throws {
        if let threads { try ComputeBudget.setThreads(threads) }
        try MatrixProduct.select(.auto)
        let start = ContinuousClock.now
        let model = try ImportedModel(directory: URL(filePath: directory))
        let parameters = try model.parameters()
        guard parameters.isFinite else { throw WrongWork(description: "a weight is NaN or infinite") }
        let held = try HopeWeights(
            model.configuration, parameters, precision: WeightPrecision(rawValue: weights) ?? .auto)
        let loaded = start.duration(to: .now) / .seconds(1)
        if let logitsOf { return try writeLogits(logitsOf, held) }
        var first = [StreamInput(state: StreamState<Float>(model.configuration), tokens: [1])]
        _ = try StreamingHope.advance(&first, weights: held)
        var found = Found(
            held: held.held.scalars, weightBytes: held.held.bytes, threads: ComputeBudget.threads,
            backend: MatrixProduct.description, loadSeconds: loaded,
            firstTokenSeconds: start.duration(to: .now) / .seconds(1))
        for number in streams { found.decodeTokensPerSecond["\(number)"] = try decode(number, held) }
        found.prefillTokensPerSecond = try prefill(held)
        print(try json(found))
    }

    private func given(_ count: Int, _ seed: UInt64, _ c: HopeConfiguration) -> [Int32] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in Int32(random.nextIndex(below: c.vocabularySize)) }
    }

    private func decode(_ number: Int, _ weights: HopeWeights<Float>) throws -> Spread {
        let c = weights.configuration
        var readers = (0..<number).map {
            StreamInput(state: StreamState<Float>(c), tokens: given(context, UInt64($0), c))
        }
        _ = try StreamingHope.advance(&readers, weights: weights)
        let feed = given(tokens * number, 99, c)
        return try time(tokens * number) {
            var inputs = readers
            for step in 0..<tokens {
                for index in inputs.indices { inputs[index].tokens = [feed[step * number + index]] }
                let logits = try StreamingHope.advance(&inputs, weights: weights)
                guard logits.count == number else { throw WrongWork(description: "logits are missing") }
            }
        }
    }

    private func prefill(_ weights: HopeWeights<Float>) throws -> Spread {
        let c = weights.configuration
        let prompt = given(length, 5, c)
        return try time(length) {
            var inputs = [StreamInput(state: StreamState<Float>(c), tokens: prompt)]
            guard try StreamingHope.advance(&inputs, weights: weights)[0].isFinite else {
                throw WrongWork(description: "logits are not finite")
            }
        }
    }

    private func time(_ tokens: Int, _ run: () throws -> Void) throws -> Spread {
        var rates: [Double] = []
        for repetition in 0...repetitions {
            let start = ContinuousClock.now
            try run()
            let seconds = start.duration(to: .now) / .seconds(1)
            if repetition > 0 { rates.append(Double(tokens) / seconds) }
        }
        return Spread(rates)
    }

    private func writeLogits(_ list: String, _ weights: HopeWeights<Float>) throws {
        let ids = list.split(separator: ",").compactMap { Int32($0) }
        var inputs = [StreamInput(state: StreamState<Float>(weights.configuration), tokens: ids)]
        let logits = try StreamingHope.advance(&inputs, weights: weights)[0]
        print(String(decoding: try JSONEncoder().encode(logits.elements), as: UTF8.self))
    }
}
