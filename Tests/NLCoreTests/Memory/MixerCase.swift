@testable import NLCore

/// One random geometry of self-modifying Titans, with parameters, input and state drawn from a seed.
struct MixerCase: Sendable, CustomStringConvertible {
    var configuration: HopeConfiguration
    var batch: Int
    var length: Int
    var seed: UInt64
    /// Whether the stream begins with Δ = 0.
    var isFresh: Bool { seed % 3 == 0 }

    init(
        heads: Int, headWidth: Int, multiple: Int = 1, chunk: Int, projectionChunk: Int, batch: Int, length: Int,
        radius: Double = 2, ablations: [String] = [], seed: UInt64
    ) {
        configuration = HopeConfiguration(
            vocabularySize: 2, width: heads * headWidth, layers: 1, heads: heads, levels: [])
        configuration.memoryHiddenMultiple = multiple
        configuration.chunkSize = chunk
        configuration.projectionChunkSize = projectionChunk
        configuration.memoryRadius = radius
        configuration.stepSizeMaximum = 0.5
        configuration.ablations = ablations
        self.batch = batch
        self.length = length
        self.seed = seed
    }

    /// A geometry drawn from the seed: every switch, early closes and the ball among them.
    init(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        func pick(_ range: ClosedRange<Int>) -> Int { range.lowerBound + Int(random.next() % UInt64(range.count)) }
        let chunk = pick(1...6)
        let switches = ["delta", "retain", "key", "value", "step_size", "retention"]
        self.init(
            heads: pick(1...3), headWidth: pick(2...9), multiple: pick(1...3), chunk: chunk,
            projectionChunk: chunk * pick(1...4), batch: pick(1...3), length: pick(1...40),
            radius: pick(0...2) == 0 ? 0.4 : 2, ablations: switches.filter { _ in pick(0...3) == 0 }, seed: seed)
    }

    var description: String {
        let c = configuration
        return """
            seed \(seed): B \(batch), T \(length), H \(c.heads), d \(c.headWidth), m \(c.memoryHiddenWidth), \
            C \(c.chunkSize), C_p \(c.projectionChunkSize), radius \(c.memoryRadius), without \(c.ablations)\(isFresh ? ", fresh" : "")
            """
    }

    /// Everything that a run can be compared by.
    struct Outcome<S: TensorScalar> {
        var output: Tensor<S>
        var state: TitansState<S>
        var gradients: [(name: String, tensor: Tensor<S>)]
    }

    /// Runs the mixer and the gradient of ⟨output, a random tensor⟩.
    ///
    /// - Parameter trains: what wants a gradient; `u` is the input.
    func run<S: TensorScalar>(
        _ form: SelfModifyingTitans<S>.Form, trains: (String) -> Bool = { _ in true }
    ) -> Outcome<S> {
        var random = SeededRandom(seed: seed &+ 1)
        func normal(_ shape: Shape, _ deviation: Double) -> Tensor<S> {
            Tensor((0..<shape.count).map { _ in S(random.nextNormal() * deviation) }, shape: shape)
        }
        let tape = Tape<S>()
        var trained: [(String, Variable<S>)] = []
        func variable(_ name: String, _ tensor: Tensor<S>) -> Variable<S> {
            guard trains(name) else { return tape.constant(tensor) }
            let variable = tape.parameter(tensor)
            trained.append((name, variable))
            return variable
        }
        let parameters = HopeParameters(configuration) { name, shape in
            let isGate = name.hasSuffix("bias")
            return variable(
                name, normal(shape, isGate ? 1 : 1 / Double(max(configuration.headWidth, 1)).squareRoot()))
        }
        let u = variable("u", normal([batch, length, configuration.width], 1))
        var state = TitansState<S>(configuration, batch: batch)
        state.history = normal(state.history.shape, 1)
        for kind in MemoryKind.allCases where !isFresh {
            state.delta[kind].w1 = normal(state.delta[kind].w1.shape, 0.1)
            state.delta[kind].w2 = normal(state.delta[kind].w2.shape, 0.1)
        }
        let weights = tape.constant(normal(u.shape, 1))
        guard case .titans(let own) = parameters.blocks[0].mixer else { preconditionFailure("a case of Titans") }
        let mixer = SelfModifyingTitans(configuration: configuration, parameters: own, form: form)
        let (output, after) = mixer(u, state: state)
        let ones = tape.constant(Tensor(repeating: 1, shape: [1, output.value.count]))
        tape.backward(from: (output * weights).reshaped([1, output.value.count]).linear(ones))
        return Outcome(
            output: output.value, state: after,
            gradients: trained.map { ($0, tape.gradient(of: $1) ?? .zeros($1.shape)) })
    }
}
