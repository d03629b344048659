public import NLCore
public import Testing

/// Compares the gradient that a tape gives with central differences, element by element, in `Double`.
///
/// - Parameters:
///   - inputs: shapes of the inputs; each is filled from the seed.
///   - scale: deviation of the inputs.
///   - function: any differentiable function of them; it is reduced to one number by a fixed random projection, so
///     that every output element counts with its own weight.
public func checkGradient(
    _ name: String, seed: UInt64 = 1, inputs shapes: [Shape], scale: Double = 1,
    sourceLocation: SourceLocation = #_sourceLocation, _ function: ([Variable<Double>]) -> Variable<Double>
) {
    var random = SeededRandom(seed: seed)
    var values = shapes.map { shape in (0..<shape.count).map { _ in random.nextNormal() * scale } }

    func evaluate(_ values: [[Double]], gradients: Bool) -> (Double, [Tensor<Double>?]) {
        let tape = Tape<Double>()
        let variables = zip(values, shapes).map { tape.parameter(Tensor($0, shape: $1)) }
        let output = function(variables)
        var projection = SeededRandom(seed: seed ^ 0xABCD)
        let weights = (0..<output.value.count).map { _ in projection.nextNormal() }
        let weighted = output * tape.constant(Tensor(weights, shape: output.shape))
        let loss = weighted.reshaped([1, output.value.count]).matmulWithOnes()
        if gradients { tape.backward(from: loss) }
        return (loss.value.elements[0], variables.map { tape.gradient(of: $0) })
    }

    let (_, gradients) = evaluate(values, gradients: true)
    for input in shapes.indices {
        var numeric: [Double] = []
        for element in values[input].indices {
            let x = values[input][element]
            let step = 6e-6 * max(1, abs(x))
            values[input][element] = x + step
            let (up, _) = evaluate(values, gradients: false)
            values[input][element] = x - step
            let (down, _) = evaluate(values, gradients: false)
            values[input][element] = x
            numeric.append((up - down) / (2 * step))
        }
        let analytic = gradients[input]?.elements ?? [Double](repeating: 0, count: numeric.count)
        expectClose(
            analytic, numeric, Tolerance(relative: 2e-8, absolute: 2e-9), "\(name): gradient of input \(input)",
            sourceLocation: sourceLocation)
    }
}

extension Variable where S == Double {
    /// The sum of a `[1, N]` row, as one element.
    fileprivate func matmulWithOnes() -> Variable {
        linear(owner.constant(Tensor(repeating: 1, shape: [1, shape.last]))).reshaped([1])
    }
}
