/// Lays out the keys of a level's slots over what the level's links read in general text.
///
/// What a link reads is crowded into a few directions; keys drawn at random would send most contexts to the same few
/// slots. So inputs are whitened first: with mean μ and covariance Σ = LLᵀ, a key k of unit length scores
/// k · L⁻¹(u − μ), that is P = K L⁻¹ and b = −P μ (``HopeParameters/Slots``). Contexts that differ then fall apart as
/// evenly as a seeded hash would have it.
public struct SlotLayout {
    /// Added to the covariance's diagonal, as a share of its mean: directions hardly used must not decide alone.
    static let ridge = 0.01

    private let configuration: HopeConfiguration
    private let parameters: ParameterSet<Float>
    private let level: Int
    private var statistics: [InputStatistics]

    /// A layout over a trained model.
    ///
    /// - Parameters:
    ///   - configuration: its geometry, without slots at that level.
    ///   - level: index of the level that is to have slots.
    public init(_ configuration: HopeConfiguration, _ parameters: ParameterSet<Float>, level: Int) {
        self.configuration = configuration
        self.parameters = parameters
        self.level = level
        statistics = (0..<configuration.layers).map { _ in InputStatistics(width: configuration.width) }
    }

    /// Rows seen by each link so far.
    public var rowCount: Int { statistics.map(\.count).max() ?? 0 }

    /// Takes in what the links read of one text.
    public mutating func read(_ text: LearningText) {
        let tape = Tape<Float>()
        var model = HopeModel(configuration, parameters, on: tape) { _ in false }
        var seen: [(block: Int, input: Tensor<Float>)] = []
        model.observe = { [level, configuration] block, link, input in
            if configuration.links(ofBlock: block)[link].level == level { seen.append((block, input)) }
        }
        _ = model(text.inputs, batch: 1)
        for (block, input) in seen { statistics[block].add(input) }
    }

    /// The parameters with the slots' keys and biases added; their values are zero.
    ///
    /// - Parameters:
    ///   - slotted: the same geometry with slots at the level.
    ///   - seed: draws the keys.
    public func parameters(for slotted: HopeConfiguration, seed: UInt64) -> ParameterSet<Float> {
        var result = parameters
        var random = SeededRandom(seed: seed)
        _ = HopeParameters<Void>(slotted) { name, shape in
            guard result[name] == nil else { return }
            let block = Int(name.split(separator: ".")[1]) ?? 0
            if name.hasSuffix(".slots.keys") {
                let (keys, bias) = statistics[block].keys(shape[0], random: &random)
                result[name] = keys
                result[String(name.dropLast("keys".count)) + "bias"] = bias
            } else if HopeParameters<Void>.isZeroInBase(name) {
                result[name] = .zeros(shape)
            }
        }
        return result
    }
}

/// Mean and covariance of rows.
private struct InputStatistics {
    private let width: Int
    private var sum: [Double]
    /// Σ u uᵀ, its lower triangle.
    private var products: [Double]
    private(set) var count = 0

    init(width: Int) {
        self.width = width
        sum = [Double](repeating: 0, count: width)
        products = [Double](repeating: 0, count: width * width)
    }

    mutating func add(_ rows: Tensor<Float>) {
        let elements = rows.elements
        for start in stride(from: 0, to: elements.count, by: width) {
            count += 1
            for i in 0..<width {
                let value = Double(elements[start + i])
                sum[i] += value
                for j in 0...i { products[i * width + j] += value * Double(elements[start + j]) }
            }
        }
    }

    /// P `[count, D]` and b `[count]`.
    func keys(_ rows: Int, random: inout SeededRandom) -> (keys: Tensor<Float>, bias: Tensor<Float>) {
        let mean = sum.map { $0 / Double(max(count, 1)) }
        let factor = cholesky(mean)
        var keys: [Float] = []
        var bias: [Float] = []
        for _ in 0..<rows {
            var key = (0..<width).map { _ in random.nextNormal() }
            let length = key.reduce(0) { $0 + $1 * $1 }.squareRoot()
            // k L⁻¹: solve p L = k from the last column.
            for j in stride(from: width - 1, through: 0, by: -1) {
                var rest = key[j] / length
                for i in j + 1..<max(width, j + 1) { rest -= key[i] * factor[i * width + j] }
                key[j] = rest / factor[j * width + j]
            }
            keys += key.map(Float.init)
            bias.append(Float(-zip(key, mean).reduce(0) { $0 + $1.0 * $1.1 }))
        }
        return (Tensor(keys, shape: [rows, width]), Tensor(bias, shape: [rows]))
    }

    /// L of the covariance and its ridge.
    private func cholesky(_ mean: [Double]) -> [Double] {
        var matrix = products
        var trace = 0.0
        for i in 0..<width {
            for j in 0...i { matrix[i * width + j] = matrix[i * width + j] / Double(max(count, 1)) - mean[i] * mean[j] }
            trace += matrix[i * width + i]
        }
        // Inputs that never vary (no text read) are left as they are.
        let ridge = trace > 0 ? SlotLayout.ridge * trace / Double(width) : 1
        for i in 0..<width {
            for j in 0...i {
                var rest = matrix[i * width + j] + (i == j ? ridge : 0)
                for k in 0..<j { rest -= matrix[i * width + k] * matrix[j * width + k] }
                matrix[i * width + j] = i == j ? max(rest, ridge).squareRoot() : rest / matrix[j * width + j]
            }
        }
        return matrix
    }
}
