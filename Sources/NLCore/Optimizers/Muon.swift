/// Momentum orthogonalized by Newton and Schulz (K. Jordan et al. 2024; NL Eq. 52 reads it as a deep momentum).
///
/// For a matrix W `[out, in]` with the gradient g:
///
///     m ← βm + g
///     W ← W − η ( s · NS_5(m) + λW )        s = √max(1, out / in)
///
/// Every direction of m is followed equally far, so it takes a whole matrix that maps features to features:
/// ``takes(_:_:)``. Embeddings, heads, gains, biases and the memories' initial states are AdamW's; so are the values of
/// slots, of which a step moves single rows: orthogonalizing would spread it over all of them.
public struct Muon<S: TensorScalar>: Sendable {
    /// β, λ and the rate.
    public struct Settings: Sendable, Hashable, Codable {
        /// β.
        public var momentum = 0.95
        /// λ.
        public var weightDecay = 0.1
        /// η, where the run's schedule is at its peak.
        public var learningRate = 0.02
        /// Steps of the iteration.
        public var iterations = 5

        /// The defaults for pretraining.
        public init() {}
    }

    /// The constants of the rule.
    public let settings: Settings
    /// m, one matrix for each parameter.
    public private(set) var momenta: ParameterSet<S>

    /// An optimizer that has seen no gradient of these matrices yet.
    public init(_ settings: Settings, for parameters: ParameterSet<S>) {
        self.init(settings, momenta: parameters.zeros())
    }

    /// An optimizer as a checkpoint holds it; it takes the momenta's storage over.
    public init(_ settings: Settings, momenta: ParameterSet<S>) {
        self.settings = settings
        self.momenta = momenta
    }

    /// Whether a tensor is a matrix from features to features.
    public static func takes(_ name: String, _ shape: Shape) -> Bool {
        guard shape.axes.count == 2, !name.contains(".slots.") else { return false }
        switch name.split(separator: ".").last {
        case "query_projection", "key_projection", "value_projection", "gate_projection", "output_projection", "up",
            "down", "gate":
            return true
        default: return false
        }
    }

    /// Takes one step, in place. The outcome does not depend on the number of threads.
    ///
    /// - Parameters:
    ///   - parameters: the set the optimizer was made for, owning its tensors.
    ///   - gradients: a gradient for each of them, in the same shape.
    ///   - learningRate: η of this step.
    ///   - gradientScale: multiplies every gradient; NS hardly sees it, the momentum does.
    @specialized(where S == Float)  // other modules would run the generic loops, element by element
    public func step(
        parameters: ParameterSet<S>, gradients: ParameterSet<S>, learningRate: Double, gradientScale: Double = 1
    ) {
        let matrices = parameters.entries.map { name, parameter in
            guard let gradient = gradients[name], let momentum = momenta[name], gradient.shape == parameter.shape else {
                preconditionFailure("Muon has no gradient or momentum of shape \(parameter.shape) for \"\(name)\"")
            }
            return Matrix(parameter: parameter, gradient: gradient, momentum: momentum)
        }
        Self.step(matrices, settings, learningRate: learningRate, gradientScale: gradientScale)
    }

    /// What a step of one matrix reads and writes, all of its shape.
    struct Matrix {
        let parameter: Tensor<S>
        let gradient: Tensor<S>
        let momentum: Tensor<S>
    }

    /// Steps of several matrices, side by side: the products of one are too small to keep all cores busy. The largest
    /// begin, so that no core ends on a long one.
    static func step(
        _ matrices: [Matrix], _ settings: Settings, learningRate: Double, gradientScale: Double
    ) {
        let order = matrices.sorted { $0.parameter.count > $1.parameter.count }
        inParallel(order.count) { index in
            step(order[index], settings, learningRate: learningRate, gradientScale: gradientScale)
        }
    }

    /// One matrix's step, in place.
    static func step(_ matrix: Matrix, _ settings: Settings, learningRate: Double, gradientScale: Double) {
        let count = matrix.parameter.count
        let (parameter, gradient) = (matrix.parameter.pointer, matrix.gradient.pointer)
        let momentum = matrix.momentum.pointer
        let (beta, scale) = (S(settings.momentum), S(gradientScale))
        for i in 0..<count { momentum[i] = beta * momentum[i] + scale * gradient[i] }
        let orthogonal = NewtonSchulz.orthogonalized(matrix.momentum, steps: settings.iterations)
        let direction = orthogonal.pointer
        let shape = matrix.parameter.shape
        let aspect = max(1, Double(shape[0]) / Double(shape[1])).squareRoot()
        let (keep, rate) = (S(1 - learningRate * settings.weightDecay), S(learningRate * aspect))
        for i in 0..<count { parameter[i] = keep * parameter[i] - rate * direction[i] }
        withExtendedLifetime(orthogonal) {}
    }
}
