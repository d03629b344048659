public import NLCore
public import Testing

/// How far two tensors may lie apart: the relative root-mean-square error, with a floor for values near zero.
///
/// All tolerances stand here, so that none is widened in the test that fails.
public struct Tolerance: Sendable {
    /// Allowed RMS difference in units of the expected RMS.
    public var relative: Double
    /// Allowed RMS difference where the expected values are themselves near zero.
    public var absolute: Double

    /// Double precision against the float64 reference.
    public static let double = Tolerance(relative: 1e-9, absolute: 1e-12)
    /// Single precision outputs and states.
    public static let float = Tolerance(relative: 2e-5, absolute: 1e-6)
    /// Single precision gradients, which sum many terms of both signs.
    public static let floatGradient = Tolerance(relative: 2e-4, absolute: 1e-6)
    /// Double precision gradients of two forms of one thing: some are differences of large terms.
    public static let doubleGradient = Tolerance(relative: 1e-9, absolute: 1e-9)
    /// Logits in single precision against another library's, whose sums run in another order.
    public static let otherLibrary = Tolerance(relative: 2e-5, absolute: 1e-6)
    /// One single-precision kernel against its naive form.
    public static let kernel = Tolerance(relative: 2e-6, absolute: 1e-7)
}

/// Expects two tensors to agree; a failure names the tensor, the worst element and both error measures.
public func expectClose<A: TensorScalar, B: TensorScalar>(
    _ actual: Tensor<A>, _ expected: Tensor<B>, _ tolerance: Tolerance, _ name: String,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    guard actual.shape.count == expected.shape.count else {
        Issue.record("\(name): shape \(actual.shape), expected \(expected.shape)", sourceLocation: sourceLocation)
        return
    }
    let (a, b) = (actual.elements.map { Double($0) }, expected.elements.map { Double($0) })
    expectClose(a, b, tolerance, name, sourceLocation: sourceLocation)
}

/// Expects two rows of numbers to agree.
public func expectClose(
    _ a: [Double], _ b: [Double], _ tolerance: Tolerance, _ name: String,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    guard a.count == b.count else {
        Issue.record("\(name): \(a.count) numbers, expected \(b.count)", sourceLocation: sourceLocation)
        return
    }
    guard !a.isEmpty else { return }
    let difference = zip(a, b).map { abs($0 - $1) }
    let rms = { (x: [Double]) in (x.reduce(0) { $0 + $1 * $1 } / Double(x.count)).squareRoot() }
    let (error, size) = (rms(difference), rms(b))
    // A NaN compares false, and so fails.
    if error <= tolerance.absolute + tolerance.relative * size { return }
    let worst = difference.indices.max { difference[$0] < difference[$1] } ?? 0
    Issue.record(
        "\(name): rms error \(error) of rms \(size) (allowed \(tolerance.relative) relative, \(tolerance.absolute) absolute); worst at \(worst): \(a[worst]), expected \(b[worst])",
        sourceLocation: sourceLocation)
}
