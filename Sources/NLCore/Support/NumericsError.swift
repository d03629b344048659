/// Numbers that may not be learned from. Whoever throws one has changed nothing.
public enum NumericsError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A gradient holds NaN or infinity; named by its tensor.
    case nonFiniteGradient(String)
    /// An update would have put NaN or infinity into the parameters of the named level or tensor.
    case nonFiniteParameters(String)
    /// A loss is NaN or infinite.
    case nonFiniteLoss

    /// What happened.
    public var description: String {
        switch self {
        case .nonFiniteGradient(let name): "the gradient of \(name) is not finite"
        case .nonFiniteParameters(let name): "the update of \(name) is not finite"
        case .nonFiniteLoss: "the loss is not finite"
        }
    }
}
