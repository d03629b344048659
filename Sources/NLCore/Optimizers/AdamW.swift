import Glibc

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019, Algorithm 2), over a whole set of parameters.
///
/// Per element, with g the gradient and t the number of the step from 1:
///
///     m ← β₁m + (1 − β₁)g          v ← β₂v + (1 − β₂)g²
///     θ ← θ − η ( m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε) + λθ )
///
/// As in NL §4.1 the two moments are memories of past gradients: they are state, to be kept beside the parameters.
public struct AdamW<S: TensorScalar>: Sendable {
    /// β₁, β₂, ε and λ.
    public struct Settings: Sendable, Hashable, Codable {
        /// Decay of the first moment.
        public var beta1 = 0.9
        /// Decay of the second moment.
        public var beta2 = 0.95
        /// Added to the root of the second moment.
        public var epsilon = 1e-8
        /// λ, for the tensors that decay (``AdamW/decaysWeight(_:)``).
        public var weightDecay = 0.1

        /// The defaults for pretraining language models (β₂ = 0.95 forgets a burst of large gradients sooner than 0.999).
        public init() {}
    }

    /// The constants of the rule.
    public let settings: Settings
    /// m, one tensor for each parameter.
    public private(set) var firstMoments: ParameterSet<S>
    /// v, one tensor for each parameter.
    public private(set) var secondMoments: ParameterSet<S>
    /// t, the number of steps taken.
    public private(set) var stepCount: Int

    /// An optimizer that has seen no gradient of these parameters yet.
    public init(_ settings: Settings, for parameters: ParameterSet<S>) {
        self.settings = settings
        firstMoments = parameters.zeros()
        secondMoments = parameters.zeros()
        stepCount = 0
    }

    /// An optimizer as a checkpoint holds it; it takes the moments' storage over.
    public init(
        _ settings: Settings, firstMoments: ParameterSet<S>, secondMoments: ParameterSet<S>, stepCount: Int
    ) {
        self.settings = settings
        self.firstMoments = firstMoments
        self.secondMoments = secondMoments
        self.stepCount = stepCount
    }

    /// Whether weight decay applies to a tensor of a Hope model.
    ///
    /// It applies to the matrices that mix features: the embedding, the projections of the mixer, the CMS links and
    /// a Transformer's gated MLPs.
    /// It does not apply to what sets a scale or an operating point, where a pull towards zero has no meaning: gains,
    /// biases, the taps of the convolution, the readouts of step size and retention. Nor does it apply to the initial
    /// states of the memories (`w1`, `w2`): retention already draws each memory back to them.
    public static func decaysWeight(_ name: String) -> Bool {
        switch name.split(separator: ".").last {
        case "embedding", "query_projection", "key_projection", "value_projection", "gate_projection",
            "output_projection", "up", "down", "gate", "head":
            true
        default: false
        }
    }

    /// Takes one step, in place. The outcome does not depend on the number of threads.
    ///
    /// - Parameters:
    ///   - parameters: the set the optimizer was made for, owning its tensors.
    ///   - gradients: a gradient for each of them, in the same shape.
    ///   - learningRate: η of this step.
    ///   - gradientScale: multiplies every gradient (``GradientClipping``).
    ///   - decays: which tensors decay.
    public mutating func step(
        parameters: ParameterSet<S>, gradients: ParameterSet<S>, learningRate: Double, gradientScale: Double = 1,
        decays: (String) -> Bool = AdamW.decaysWeight
    ) {
        stepCount += 1
        for (name, parameter) in parameters.entries {
            guard let gradient = gradients[name], let first = firstMoments[name], let second = secondMoments[name],
                gradient.shape == parameter.shape, first.shape == parameter.shape, second.shape == parameter.shape
            else { preconditionFailure("AdamW has no gradient or moments of shape \(parameter.shape) for \"\(name)\"") }
            let step = AdamWStep<S>(
                learningRate: S(learningRate), beta1: S(settings.beta1), beta2: S(settings.beta2),
                epsilon: S(settings.epsilon), weightDecay: S(decays(name) ? settings.weightDecay : 0),
                correction1: S(1 - pow(settings.beta1, Double(stepCount))),
                correction2: S(1 - pow(settings.beta2, Double(stepCount))), gradientScale: S(gradientScale))
            elementBlocks(parameter.count) { start, count in
                S.adamW(
                    count, step, gradient.pointer + start, parameter.pointer + start, first.pointer + start,
                    second.pointer + start)
            }
        }
    }
}
