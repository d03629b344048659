import ArgumentParser
import NLCore

/// One repetition writes C_p tokens in every stream, greedily and as one batch, so that open chunks of every length
/// are met; the streams have read a prompt of C_p tokens before.
struct Decode: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Writing token by token, for several numbers of streams.")

    @OptionGroup var options: WorkbenchOptions
    @Option(parsing: .upToNextOption, help: "Numbers of streams that are advanced together.")
    var streams = [1, 8, 16]
    @Flag(help: "Give every stream a fast level of its own that has learned.")
    var fastDelta = false
    @Option(help: "How the matrices are held: \(WeightPrecision.allCases.map(\.rawValue).joined(separator: ", ")).")
    var weights = WeightPrecision.f32.rawValue

    func validate() throws {
        guard WeightPrecision(rawValue: weights) != nil else {
            throw ValidationError("--weights \(weights) is not known")
        }
        guard !streams.isEmpty, streams.allSatisfy({ $0 >= 1 }) else {
            throw ValidationError("--streams takes numbers from 1")
        }
    }

    func run() throws {
        var bench = try Workbench(options)
        let precision = WeightPrecision(rawValue: weights) ?? .f32
        let weights = try HopeWeights(bench.configuration, bench.parameters, precision: precision)
        let count = bench.configuration.projectionChunkSize
        var speeds: [Speed] = []
        var facts: [Fact] = []
        for number in streams {
            var readers = try (0..<number).map { _ in
                StreamInput(
                    state: StreamState<Float>(bench.configuration), tokens: bench.tokens(count),
                    fast: try fast(bench, precision))
            }
            try advance(&readers, weights)
            let start = readers
            speeds.append(
                try bench.measure(
                    name(number, precision), tokens: number * count, prepare: { start },
                    run: { inputs in for _ in 0..<count { try advance(&inputs, weights) } }))
            facts += share(of: speeds[speeds.count - 1], number, weights)
        }
        facts += stateSize(try streamBeforeBoundary(bench, weights), bench)
        try bench.report("decode", speeds, facts: facts)
    }

    private func name(_ streams: Int, _ precision: WeightPrecision) -> String {
        "decode, \(streams) stream\(streams > 1 ? "s" : "")\(fastDelta ? " with a fast level" : "")"
            + (precision == .f32 ? "" : ", \(precision.rawValue) weights")
    }

    /// Bytes that a step reads at least (weights, W_0, and each stream's Δ and Δθ, once), over what the machine reads
    /// of so many bytes in the step's time.
    private func share(of speed: Speed, _ streams: Int, _ weights: HopeWeights<Float>) -> [Fact] {
        let configuration = weights.configuration
        let work = TokenWork(configuration)
        var own = work.stateBytes
        if fastDelta, let level = configuration.levels.first {
            let bytes = [.auto, .f32].contains(weights.precision) ? 4 : 2
            own += Double(bytes * configuration.layers * level.linkWeights(ofModel: configuration.width))
        }
        let bytes = Double(weights.held.bytes) + work.initialBytes + Double(streams) * own
        let rate = Roofline.readingRate(bytes: Int(bytes))
        let steps = speed.tokensPerSecond.median / Double(streams)
        return [
            Fact(name: "\(speed.name): read a step", value: bytes, unit: "bytes"),
            Fact(name: "\(speed.name): bandwidth of so many bytes, GB/s", value: rate / 1e9, unit: ""),
            Fact(name: "\(speed.name): share of it", value: 100 * steps * bytes / rate, unit: "%"),
        ]
    }

    /// Reads each stream's tokens; what it draws greedily is what it reads next.
    private func advance(_ inputs: inout [StreamInput<Float>], _ weights: HopeWeights<Float>) throws {
        let logits = try StreamingHope.advance(&inputs, weights: weights)
        // As the daemon draws; it throws where a logit is not finite.
        var sampler = Sampler(seed: 0)
        for (index, own) in logits.enumerated() { inputs[index].tokens = [try sampler.sample(own, .greedy).token] }
    }

    /// A Δθ of the fast level's size; small, so that the streams stay in a range that a session's would be in.
    private func fast(_ bench: Workbench, _ precision: WeightPrecision) throws -> FastWeights<Float>? {
        guard fastDelta, let level = try LevelDefinition.levels(of: bench.configuration).first else { return nil }
        var delta = ParameterSet<Float>()
        for tensor in level.tensors { delta[tensor.name] = Tensor(repeating: 1e-4, shape: tensor.shape) }
        return try FastWeights(bench.configuration, delta, precision: precision)
    }

    /// A stream one token before a multiple of C_p, where its state is largest.
    private func streamBeforeBoundary(_ bench: Workbench, _ weights: HopeWeights<Float>) throws -> StreamState<Float> {
        var bench = bench
        let prompt = bench.tokens(2 * bench.configuration.projectionChunkSize - 1)
        var inputs = [StreamInput(state: StreamState<Float>(bench.configuration), tokens: prompt)]
        _ = try StreamingHope.advance(&inputs, weights: weights)
        return inputs[0].state
    }

    private func stateSize(_ state: StreamState<Float>, _ bench: Workbench) -> [Fact] {
        let encoded = state.encoded()
        let numbers = encoded.tensors.reduce(0) { $0 + $1.values.count }
        return [
            Fact(
                name: "a stream's state, stored", value: Double(4 * (numbers + encoded.openTokens.count)),
                unit: "bytes"),
            Fact(
                name: "a stream's state, at most",
                value: Double(4 * StreamState<Float>.largestElementCount(bench.configuration)), unit: "bytes"),
        ]
    }
}
