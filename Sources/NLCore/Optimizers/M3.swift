/// Multi-scale momentum Muon: a fast and a slow momentum, both orthogonalized (NL Algorithm 1, Eq. 75).
///
/// For a matrix W with the gradient g, at every step and at every f-th:
///
///     M¹ ← M¹ + β₁g,   V ← V + β₂g²
///     each f steps:  M² ← M² + β₃ Σ (the last f gradients)
///     W ← W − η ( NS_T(M¹) + a NS_T(M²) ) / (√V + ε)
///
/// As printed the momenta are plain sums. ``Settings/isExponential`` makes them means that forget:
/// M¹ ← β₁M¹ + (1 − β₁)g, and V and M² likewise, M² of the mean of the last f gradients.
///
/// The algorithm says no ε. A plain sum divides by the size of gradients, and an element whose gradient is nearly 0
/// would jump, since NS does not know that it is; so ε is a size below which gradients do not count [choice]. The
/// matrices it takes are those of ``Muon/takes(_:_:)``.
public struct M3<S: TensorScalar>: Sendable {
    /// The constants of the rule.
    public struct Settings: Sendable, Hashable, Codable {
        /// β₁.
        public var beta1 = 0.95
        /// β₂.
        public var beta2 = 0.95
        /// β₃.
        public var beta3 = 0.9
        /// a: how much the slow momentum counts.
        public var slowShare = 0.3
        /// f: steps between two of the slow momentum.
        public var interval = 8
        /// ε, in the gradient's own unit.
        public var epsilon = 1e-3
        /// T.
        public var iterations = 5
        /// Whether momenta forget.
        public var isExponential = false

        /// The defaults.
        public init() {}
    }

    /// What a matrix has been through; all of its shape, and written in place.
    public struct Moments: Sendable {
        /// M¹.
        public var fast: Tensor<S>
        /// M².
        public var slow: Tensor<S>
        /// Σ of the gradients since M² last moved.
        public var recent: Tensor<S>
        /// V.
        public var squares: Tensor<S>

        /// Moments over given storage.
        public init(fast: Tensor<S>, slow: Tensor<S>, recent: Tensor<S>, squares: Tensor<S>) {
            (self.fast, self.slow, self.recent, self.squares) = (fast, slow, recent, squares)
        }
    }

    /// One matrix's step, in place.
    ///
    /// - Parameters:
    ///   - number: of the step, from 1.
    ///   - gradientScale: multiplies the gradient.
    public static func step(
        _ parameter: Tensor<S>, _ gradient: Tensor<S>, _ moments: Moments, number: Int, _ settings: Settings,
        learningRate: Double, gradientScale: Double = 1
    ) {
        let scale = S(gradientScale)
        let (keep1, add1) = weights(settings.beta1, settings)
        let (keep2, add2) = weights(settings.beta2, settings)
        for i in 0..<parameter.count {
            let g = scale * gradient.pointer[i]
            moments.fast.pointer[i] = keep1 * moments.fast.pointer[i] + add1 * g
            moments.squares.pointer[i] = keep2 * moments.squares.pointer[i] + add2 * g * g
            moments.recent.pointer[i] += g
        }
        if number % settings.interval == 0 {
            let (keep3, add3) = weights(settings.beta3, settings)
            let share = settings.isExponential ? add3 / S(settings.interval) : add3
            for i in 0..<parameter.count {
                moments.slow.pointer[i] = keep3 * moments.slow.pointer[i] + share * moments.recent.pointer[i]
                moments.recent.pointer[i] = 0
            }
        }
        // NS of the slow momentum is a function of it, so it is not kept beside it.
        let fast = NewtonSchulz.orthogonalized(moments.fast, steps: settings.iterations)
        let slow = NewtonSchulz.orthogonalized(moments.slow, steps: settings.iterations)
        let (rate, slowShare, epsilon) = (S(learningRate), S(settings.slowShare), S(settings.epsilon))
        for i in 0..<parameter.count {
            let direction = fast.pointer[i] + slowShare * slow.pointer[i]
            parameter.pointer[i] -= rate * direction / (moments.squares.pointer[i].squareRoot() + epsilon)
        }
    }

    /// What a momentum keeps of itself, and what it takes of the newest.
    private static func weights(_ beta: Double, _ settings: Settings) -> (keep: S, add: S) {
        settings.isExponential ? (S(beta), S(1 - beta)) : (1, S(beta))
    }
}
