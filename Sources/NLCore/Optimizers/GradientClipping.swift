/// Clipping by the norm of all gradients together (Pascanu et al. 2013).
public enum GradientClipping {
    /// The global norm of a set of gradients, and the factor that brings it down to a maximum.
    ///
    /// The gradients themselves stay as they are: the factor goes to the optimizer, which scales while it reads, so
    /// clipping costs one pass over memory and not three. As in PyTorch, the factor is min(1, max / (norm + 1e-6)).
    ///
    /// - Throws: ``NumericsError/nonFiniteGradient(_:)`` naming the first tensor that holds a NaN or an infinity.
    public static func factor<S: TensorScalar>(
        for gradients: ParameterSet<S>, maximumNorm: Double
    ) throws(NumericsError) -> (norm: Double, factor: Double) {
        let norm = gradients.norm
        guard norm.isFinite else {
            let culprit = gradients.entries.first { !$0.tensor.squaredNorm.isFinite }
            throw .nonFiniteGradient(culprit?.name ?? "all tensors together")
        }
        return (norm, min(1, maximumNorm / (norm + 1e-6)))
    }
}
