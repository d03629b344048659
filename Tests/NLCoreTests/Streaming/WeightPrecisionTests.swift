import NLCore
import TestSupport
import Testing

@testable import NLCore

/// Serving with fewer bits: what may not change, what may and by how much, and that neither the batch nor the cut of a
/// stream shows in anyone's bits.
@Suite struct WeightPrecisionTests {
    /// A Hope and a Hope-Attention model with every weight a bfloat16, as a file in that type holds them.
    private static let models: [(HopeConfiguration, ParameterSet<Float>)] = [
        hope, AttentionCases.configuration(),
    ].map { c in
        let set = c.usesAttention ? AttentionCases.parameters(c) : StreamingCases.lively(c, seed: 3)
        return (c, rounded(set))
    }

    private static func rounded(_ set: ParameterSet<Float>) -> ParameterSet<Float> {
        set.mapTensors { Tensor($0.elements.map { float(bfloat16Bits: bfloat16Bits($0)) }, shape: $0.shape) }
    }

    /// A level each for sessions, ingestion and consolidation.
    private static var hope: HopeConfiguration {
        var c = StreamingCases.smallConfiguration()
        c.levels.insert(.init(name: "medium", hiddenMultiple: 1, chunkSize: 24), at: 1)
        return c
    }

    /// Precisions with the bits of `f32` where all parameters are bfloat16s: `bf16` rounds the memories that a stream
    /// of Hope has of its own.
    private static func exact(_ c: HopeConfiguration) -> [WeightPrecision] {
        c.usesAttention ? [.auto, .bf16] : [.auto]
    }

    private func adapted(_ c: HopeConfiguration) throws -> Set<String> {
        Set(try LevelDefinition.levels(of: c).filter { $0.role != .reading }.flatMap { $0.tensors.map(\.name) })
    }

    @Test(arguments: [0, 1])
    func aModelOfBFloat16sIsServedToTheBit(model: Int) throws {
        let (c, parameters) = Self.models[model]
        let tokens = StreamingCases.tokens(53, of: c.vocabularySize, seed: 1)
        let exact = try HopeWeights(c, parameters)
        let expected = try StreamingCases.read(tokens, [53], exact)
        for precision in Self.exact(c) {
            let weights = try HopeWeights(c, parameters, precision: precision, exact: adapted(c))
            #expect(weights.held.scalars.keys.sorted() == ["bf16"])
            // Strips are filled up to 32 outputs with AVX-512, and these matrices are small.
            #expect(2 * weights.held.bytes <= exact.held.bytes * 3 / 2, "about half the memory")
            for split in [[53], [1, 20, 1, 1, 30], [26, 27]] {
                let found = try StreamingCases.read(tokens, split, weights)
                expectSame(found.logits, expected.logits, "\(precision), split \(split)")
                expectSame(
                    found.state.bits.map { Float($0) }, expected.state.bits.map { Float($0) }, "state, \(precision)")
            }
        }
    }

    /// A matrix that a level has changed keeps every bit of the change, whatever the others are held in.
    @Test(arguments: [0, 1], [WeightPrecision.auto, .bf16, .bf16Both, .int8])
    func whatLevelsAdaptIsNeverRounded(model: Int, precision: WeightPrecision) throws {
        let (c, base) = Self.models[model]
        let adapted = try adapted(c)
        let name = try #require(adapted.filter { $0.hasSuffix(".up") }.min())
        var taught = base
        let tensor = try #require(base[name])
        taught[name] = Tensor(tensor.elements.map { $0 + 1e-5 }, shape: tensor.shape)
        let before = try HopeWeights(c, base, precision: precision, exact: adapted)
        let after = try HopeWeights(c, taught, precision: precision, exact: adapted, sharing: before)
        #expect(before.held.scalars["f32"] == nil)
        #expect(try #require(after.held.scalars["f32"]) >= tensor.count)
        let tokens = StreamingCases.tokens(20, of: c.vocabularySize, seed: 2)
        let moved = try StreamingCases.read(tokens, [20], after).logits
        #expect(moved != (try StreamingCases.read(tokens, [20], before).logits))
        // Shared or laid out alone: the same weights.
        let alone = try HopeWeights(c, taught, precision: precision, exact: adapted)
        #expect(alone.held == after.held)
        expectSame(moved, try StreamingCases.read(tokens, [20], alone).logits, "shared with the generation before")
        if Self.exact(c).contains(precision) {
            expectSame(moved, try StreamingCases.read(tokens, [20], HopeWeights(c, taught)).logits, "\(precision)")
        }
    }

    /// A session's Δ is read as bfloat16s where weights are rounded, and to the bit where they are not.
    @Test(arguments: [0, 1], WeightPrecision.allCases)
    func aSessionsOwnWeightsAreRoundedWhereTheOthersAre(model: Int, precision: WeightPrecision) throws {
        let (c, parameters) = Self.models[model]
        let level = try #require(try LevelDefinition.levels(of: c).first { $0.role == .reading })
        let delta = StreamingCases.randomDelta(level, seed: 8)
        let rounded = Self.rounded(delta)
        let weights = try HopeWeights(c, parameters)
        let tokens = StreamingCases.tokens(30, of: c.vocabularySize, seed: 2)
        let found = try StreamingCases.read(
            tokens, [30], weights, fast: FastWeights(c, delta, precision: precision)
        ).logits
        let isExact = precision == .auto || precision == .f32
        let expected = try StreamingCases.read(
            tokens, [30], weights, fast: FastWeights(c, isExact ? delta : rounded)
        ).logits
        expectSame(found, expected, "\(precision)")
        let other = try StreamingCases.read(
            tokens, [30], weights, fast: FastWeights(c, isExact ? rounded : delta)
        ).logits
        #expect(found != other)
    }

    @Test(arguments: [0, 1], [WeightPrecision.bf16, .bf16Both, .int8])
    func aStreamsBitsDoNotDependOnTheBatch(model: Int, precision: WeightPrecision) throws {
        let c = Self.models[model].0
        let parameters = c.usesAttention ? AttentionCases.parameters(c) : StreamingCases.lively(c, seed: 3)
        let weights = try HopeWeights(c, parameters, precision: precision)
        #expect(weights.held.scalars.keys.sorted() == [precision.rawValue])
        let tokens = StreamingCases.tokens(40, of: c.vocabularySize, seed: 2)
        let alone = try StreamingCases.read(tokens, [40], weights)
        for others in [1, 4, 8] {
            var inputs = (0...others).map { _ in StreamInput(state: StreamState<Float>(c), tokens: []) }
            var logits: [Float] = []
            var start = 0
            for count in [1, 1, 7, 1, 13, 17] {
                for index in inputs.indices {
                    inputs[index].tokens = StreamingCases.tokens(
                        index % 5 + 1, of: c.vocabularySize, seed: UInt64(start * 100 + index))
                }
                inputs[others / 2].tokens = Array(tokens[start..<start + count])
                inputs[others / 2].wantsAllLogits = true
                logits += try StreamingHope.advance(&inputs, weights: weights)[others / 2].elements
                start += count
            }
            let same = zip(logits, alone.logits).allSatisfy { $0.bitPattern == $1.bitPattern }
            #expect(same || !MatrixProduct.isRowInvariant, "\(precision) beside \(others) others")
        }
    }

    /// Rounded weights give other logits, near those of the exact ones.
    @Test(arguments: [(WeightPrecision.bf16, 0.05), (.bf16Both, 0.05), (.int8, 0.1)])
    func roundingCostsLittle(precision: WeightPrecision, most: Double) throws {
        let c = AttentionCases.configuration()
        let relative = try errorOfRounding(c, AttentionCases.parameters(c), precision)
        #expect(relative > 1e-4 && relative < most, "relative error \(relative)")
    }

    /// Of bfloat16s alone, so that what a stream has of its own is all that is rounded.
    @Test func roundingAStreamsMemoriesCostsLittle() throws {
        let (c, parameters) = Self.models[0]
        let relative = try errorOfRounding(c, parameters, .bf16)
        #expect(relative > 1e-5 && relative < 0.01, "relative error \(relative)")
    }

    /// Of the logits of 30 tokens, against the exact ones' size.
    private func errorOfRounding(
        _ c: HopeConfiguration, _ parameters: ParameterSet<Float>, _ precision: WeightPrecision
    ) throws -> Double {
        let tokens = StreamingCases.tokens(30, of: c.vocabularySize, seed: 2)
        let exact = try StreamingCases.read(tokens, [30], HopeWeights(c, parameters)).logits
        let rounded = try StreamingCases.read(tokens, [30], HopeWeights(c, parameters, precision: precision)).logits
        let error = zip(exact, rounded).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        let size = exact.reduce(0.0) { $0 + Double($1 * $1) }
        return (error / size).squareRoot()
    }

    @Test func addingZerosLeavesTheBaseWhereItIs() throws {
        let (c, base) = Self.models[1]
        let levels = try SpaceLevels(c, base: base)
        #expect(base.names.allSatisfy { levels.effective[$0]?.storage === base[$0]?.storage })
        #expect(levels.levels.allSatisfy { $0.delta.norm == 0 && $0.delta.isFinite })
    }
}
