/// The lengths of a tensor's axes, outermost first; at most four of them, held inline.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
    /// Number of axes.
    public let rank: Int
    private let d0: Int
    private let d1: Int
    private let d2: Int
    private let d3: Int

    /// A shape with the given axis lengths.
    ///
    /// - Precondition: at most four axes, none negative.
    public init(_ axes: [Int]) {
        precondition(axes.count <= 4, "a tensor has at most 4 axes, got \(axes)")
        precondition(axes.allSatisfy { $0 >= 0 }, "axis lengths can't be negative, got \(axes)")
        rank = axes.count
        d0 = axes.count > 0 ? axes[0] : 1
        d1 = axes.count > 1 ? axes[1] : 1
        d2 = axes.count > 2 ? axes[2] : 1
        d3 = axes.count > 3 ? axes[3] : 1
    }

    /// A shape written as a literal, `[B, T, D]`.
    public init(arrayLiteral axes: Int...) { self.init(axes) }

    /// The length of one axis.
    public subscript(axis: Int) -> Int {
        precondition(axis >= 0 && axis < rank, "axis \(axis) of a tensor of rank \(rank)")
        switch axis {
        case 0: return d0
        case 1: return d1
        case 2: return d2
        default: return d3
        }
    }

    /// Number of elements.
    public var count: Int { d0 * d1 * d2 * d3 }

    /// The axis lengths as an array.
    public var axes: [Int] { (0..<rank).map { self[$0] } }

    /// The innermost axis, 1 for a scalar.
    public var last: Int { rank == 0 ? 1 : self[rank - 1] }

    /// `[2, 3]`.
    public var description: String { axes.description }
}
