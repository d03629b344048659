/// Gathers Σ x̂x̂ᵀ over what matrices of links are applied to in one forward pass.
final class InputMoments {
    /// By the name of the matrix.
    private(set) var sums = ParameterSet<Float>()
    private let names: [[(name: String, isWanted: Bool)]]
    private let weights: [Float]?
    private let wanted: Set<String>

    /// - Parameters:
    ///   - wanted: names of matrices of links.
    ///   - weights: of the tokens; those of weight 0 are left out.
    init(_ configuration: HopeConfiguration, of wanted: Set<String>, weights: [Float]?) {
        self.wanted = wanted
        self.weights = weights
        names =
            wanted.isEmpty
            ? []
            : (0..<configuration.layers).map { block in
                configuration.links(ofBlock: block).map { ($0.name, !wanted.isDisjoint(with: $0.matrices)) }
            }
    }

    /// What ``HopeModel/observeInput`` is to be.
    func add(block: Int, link: Int, matrix: String, input: Tensor<Float>) {
        guard names[block][link].isWanted else { return }
        let name = "\(names[block][link].name).\(matrix)"
        guard wanted.contains(name) else { return }
        let width = input.shape.last
        let sum = sums[name] ?? .zeros([width, width])
        DGD.addInputs(input, weights: weights, to: sum)
        sums[name] = sum
    }
}
