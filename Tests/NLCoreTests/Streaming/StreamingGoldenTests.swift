import NLCore
import TestSupport
import Testing

@testable import NLCore

/// Streams cut anywhere against the PyTorch reference: every position's logits and every closed state, for every switch
/// that the golden cases turn. Would catch an open chunk that is not continued as if the stream had never stopped.
@Suite struct StreamingGoldenTests {
    @Test(arguments: Golden.modelCases)
    func anySplitOfAStreamMatchesTheReference(name: String) throws {
        let golden = try Golden(named: name)
        let weights = try HopeWeights(golden.configuration, golden.parameters())
        let batch = golden.batch
        let tokens = try golden.tokens("tokens")
        let length = tokens.count / batch
        let logits = try golden.tensor("logits").elements
        let perStream = logits.count / batch
        for b in 0..<batch {
            let own = Array(tokens[b * length..<(b + 1) * length])
            let expected = Array(logits[b * perStream..<(b + 1) * perStream])
            let prefix = try prefixTokens(golden, stream: b)
            for split in StreamingCases.splits(of: length, random: 6, seed: UInt64(b)) {
                let before = prefix.isEmpty ? nil : try StreamingCases.read(prefix, [prefix.count], weights).state
                let result = try StreamingCases.read(own, split, weights, from: before)
                expectClose(result.logits, expected, .double, "\(name), stream \(b), split \(split)")
                try checkBoundary(result.state, golden, prefix + own, "\(name), stream \(b), split \(split)")
            }
        }
    }

    /// Where the reference ends on a multiple of C_p, its own final states; elsewhere those of the tape form, which the
    /// reference holds, after as many whole projection chunks.
    private func checkBoundary(
        _ state: StreamState<Double>, _ golden: Golden, _ read: [Int32], _ name: String
    ) throws {
        let span = golden.configuration.projectionChunkSize
        let closed = read.count / span * span
        #expect(state.position == read.count, "\(name)")
        #expect(state.openTokens == Array(read[closed...]), "\(name)")
        let expected =
            closed == 0
            ? golden.configuration.layerStates()
            : StreamingCases.readOnTape(golden.configuration, try golden.parameters(), Array(read[..<closed])).states
        for (layer, (own, other)) in zip(state.boundary.compactMap(\.titans), expected).enumerated() {
            expectClose(own.history, other.history, .double, "history, layer \(layer), \(name)")
            for kind in MemoryKind.allCases {
                expectClose(own.delta[kind].w1, other.delta[kind].w1, .double, "W1 of \(kind), layer \(layer), \(name)")
                expectClose(own.delta[kind].w2, other.delta[kind].w2, .double, "W2 of \(kind), layer \(layer), \(name)")
            }
        }
    }

    private func prefixTokens(_ golden: Golden, stream: Int) throws -> [Int32] {
        guard golden.file.tensor(named: "prefix_tokens") != nil else { return [] }
        let tokens = try golden.tokens("prefix_tokens")
        let length = tokens.count / golden.batch
        return Array(tokens[stream * length..<(stream + 1) * length])
    }

    @Test(arguments: Golden.modelCases)
    func floatMatchesTheReference(name: String) throws {
        let golden = try Golden(named: name)
        var parameters = ParameterSet<Float>()
        for (name, tensor) in try golden.parameters().entries { parameters[name] = tensor.converted() }
        let weights = try HopeWeights(golden.configuration, parameters)
        let batch = golden.batch
        let tokens = try golden.tokens("tokens")
        let length = tokens.count / batch
        // All streams of the case in one batch, one token at a time.
        var inputs = try (0..<batch).map { b in
            let prefix = try prefixTokens(golden, stream: b)
            let before = try StreamingCases.read(prefix, prefix.isEmpty ? [] : [prefix.count], weights).state
            return StreamInput(state: before, tokens: [])
        }
        var logits = [[Double]](repeating: [], count: batch)
        for t in 0..<length {
            for b in 0..<batch { inputs[b].tokens = [tokens[b * length + t]] }
            for (b, row) in try StreamingHope.advance(&inputs, weights: weights).enumerated() {
                logits[b] += row.elements.map { Double($0) }
            }
        }
        expectClose(logits.flatMap { $0 }, try golden.tensor("logits").elements, .float, name)
    }
}

extension HopeConfiguration {
    /// The closed states before the first token.
    fileprivate func layerStates() -> [TitansState<Double>] {
        (0..<layers).map { _ in TitansState(self, batch: 1) }
    }
}
