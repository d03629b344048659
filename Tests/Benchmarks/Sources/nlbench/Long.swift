import ArgumentParser
import Foundation
import Glibc
import NLCore

/// A session that has read a million tokens beside one that has read a thousand: the time of a token, the bytes of the
/// state and the memory of the process.
///
/// Both decode in turns, C_p tokens at a time, so that whatever else the machine does falls on both.
struct Long: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Decoding after a long text against after a short one.")

    @OptionGroup var options: WorkbenchOptions
    @Option(help: "Tokens of the long text, in thousands.")
    var thousands = 1_000
    @Option(help: "How the matrices are held: \(WeightPrecision.allCases.map(\.rawValue).joined(separator: ", ")).")
    var weights = WeightPrecision.bf16.rawValue

    private static let piece = 1_000

    func validate() throws {
        guard thousands >= 2 else { throw ValidationError("--thousands counts from 2") }
        guard WeightPrecision(rawValue: weights) != nil else {
            throw ValidationError("--weights \(weights) is not known")
        }
    }

    func run() throws {
        var bench = try Workbench(options)
        let held = try HopeWeights(
            bench.configuration, bench.parameters, precision: WeightPrecision(rawValue: weights) ?? .bf16)
        var reader = [StreamInput(state: StreamState<Float>(bench.configuration), tokens: bench.tokens(Self.piece))]
        try read(&reader, held)
        let short = reader[0].state
        var shortResident = 0.0
        let start = ContinuousClock.now
        for number in 1..<thousands {
            reader[0].tokens = bench.tokens(Self.piece)
            try read(&reader, held)
            // From here on the process holds two states, the short text's being kept for comparison.
            if number == 1 { shortResident = residentBytes() }
        }
        let reading = Double((thousands - 1) * Self.piece) / (start.duration(to: .now) / .seconds(1))
        let longResident = residentBytes()
        let long = reader[0].state

        var rates: [[Double]] = [[], []]
        for repetition in 0...options.repetitions {
            for (index, state) in [short, long].enumerated() {
                let rate = try decode(from: state, held)
                if repetition > 0 { rates[index].append(rate) }
            }
        }
        let speeds = zip([Self.piece, thousands * Self.piece], rates).map {
            Speed(name: "decode after \($0.formatted()) tokens", tokensPerSecond: Spread($1))
        }
        let ratio = speeds[0].tokensPerSecond.median / speeds[1].tokensPerSecond.median
        try bench.report(
            "long",
            speeds + [
                Speed(
                    name: "reading \((thousands * Self.piece).formatted()) tokens", tokensPerSecond: Spread([reading]))
            ],
            facts: [
                Fact(name: "time of a token, long against short", value: 100 * ratio, unit: "%"),
                Fact(name: "state after the short text", value: bytes(short), unit: "bytes"),
                Fact(name: "state after the long text", value: bytes(long), unit: "bytes"),
                Fact(name: "resident after one piece more than the short text", value: shortResident, unit: "bytes"),
                Fact(name: "resident after the long text", value: longResident, unit: "bytes"),
            ])
    }

    private func read(_ inputs: inout [StreamInput<Float>], _ weights: HopeWeights<Float>) throws {
        guard try StreamingHope.advance(&inputs, weights: weights)[0].isFinite else {
            throw WrongWork(description: "logits are not finite after \(inputs[0].state.position) tokens")
        }
    }

    /// Tokens per second of C_p tokens, written greedily.
    private func decode(from state: StreamState<Float>, _ weights: HopeWeights<Float>) throws -> Double {
        let count = weights.configuration.projectionChunkSize
        var inputs = [StreamInput(state: state, tokens: [1])]
        var sampler = Sampler(seed: 0)
        // The first token copies what the states share: it belongs to neither.
        var logits = try StreamingHope.advance(&inputs, weights: weights)
        let start = ContinuousClock.now
        for _ in 0..<count {
            inputs[0].tokens = [try sampler.sample(logits[0], .greedy).token]
            logits = try StreamingHope.advance(&inputs, weights: weights)
        }
        return Double(count) / (start.duration(to: .now) / .seconds(1))
    }

    /// Numbers of the state without its open tokens, of which there may be none.
    private func bytes(_ state: StreamState<Float>) -> Double {
        Double(4 * state.encoded().tensors.reduce(0) { $0 + $1.values.count })
    }

    private func residentBytes() -> Double {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return .nan }
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? .nan
        return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
    }
}
