import TestSupport
import Testing

@testable import NLCore

/// Products of bfloat16s against the same numbers multiplied in `Double`, and training with them.
@Suite(.enabled(if: ProductPrecision.bf16.isUsable), .timeLimit(.minutes(5))) struct ProductPrecisionTests {
    private static func numbers(_ shape: Shape, seed: UInt64) -> Tensor<Float> {
        var random = SeededRandom(seed: seed)
        return Tensor((0..<shape.count).map { _ in 2 * Float(random.nextUnit()) - 1 }, shape: shape)
    }

    /// Rounded to nearest, ties to even, by way of the bits.
    private static func rounded(_ tensor: Tensor<Float>) -> Tensor<Double> {
        Tensor(
            tensor.elements.map { x in
                let bits = x.bitPattern
                return Double(Float(bitPattern: (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000))
            }, shape: tensor.shape)
    }

    /// Would catch a wrong transpose, tile or stride, factors that are not rounded, and sums that are.
    @Test(arguments: Layout.all) func productsAreThoseOfRoundedFactors(layout: Layout) {
        let sizes = [
            (0, 5, 7), (3, 5, 0), (1, 1, 1), (3, 5, 7), (33, 17, 65), (130, 257, 300), (512, 700, 256), (700, 512, 33),
            (300, 576, 96),
        ]
        for (m, n, k) in sizes {
            let shape = layout.shape(m, n, k)
            let a = Self.numbers(layout.transposeA ? [k, m] : [m, k], seed: 1)
            let b = Self.numbers(layout.transposeB ? [n, k] : [k, n], seed: 2)
            let c = Self.numbers([m, n], seed: 3)
            let expected: Tensor<Double> = c.converted()
            let (left, right) = (Self.rounded(a), Self.rounded(b))
            withExtendedLifetime((left, right)) {
                Double.multiply(
                    shape, left.pointer, a.shape[1], right.pointer, b.shape[1], expected.pointer, n,
                    accumulate: layout.accumulates)
            }
            ProductOperand.multiply(
                shape, ProductOperand(a, .bf16), a.shape[1], ProductOperand(b, .bf16), b.shape[1], c.pointer,
                accumulate: layout.accumulates)
            let worst = zip(c.elements, expected.elements).map { abs(Double($0) - $1) }.max() ?? 0
            #expect(worst <= Double(Float.ulpOfOne) * Double(k + 1), "\(layout) \(m) x \(n) x \(k): \(worst)")
        }
    }

    /// y = x Wᵀ with its gradients, each the product of what is rounded.
    @Test func aLinearMapsGradientsAreProductsOfRoundedFactors() throws {
        let (x, w, dy) = (
            Self.numbers([9, 40], seed: 1), Self.numbers([24, 40], seed: 2), Self.numbers([9, 24], seed: 3)
        )
        let tape = Tape<Float>(precision: .bf16)
        let (input, weight) = (tape.parameter(x), tape.parameter(w))
        let y = input.linear(weight)
        tape.backward(from: Self.sum(y, times: dy))

        let exact = Tape<Double>()
        let (input2, weight2) = (exact.parameter(Self.rounded(x)), exact.parameter(Self.rounded(w)))
        let y2 = input2.linear(weight2)
        exact.backward(from: Self.sum(y2, times: Self.rounded(dy)))
        expectClose(y.value, y2.value, .float, "y")
        expectClose(try #require(tape.gradient(of: input)), try #require(exact.gradient(of: input2)), .float, "dx")
        expectClose(try #require(tape.gradient(of: weight)), try #require(exact.gradient(of: weight2)), .float, "dW")
    }

    /// Weights that wait in a file are not rounded again, at whatever address they are mapped, and not made `Float`s.
    @Test(arguments: [0, 1, 2]) func weightsOfAFileAreMultipliedAsItHoldsThem(padding: Int) throws {
        let (out, width, rows) = (160, 96, 70)
        let w = Self.rounded(Self.numbers([out, width], seed: 2)).converted() as Tensor<Float>
        let (file, url) = try BFloat16File.write(w.elements, shape: [out, width], padding: padding)
        defer { BFloat16File.remove(url) }
        let waiting = try file.deferred("w", shape: [out, width])
        let x = Self.numbers([rows, width], seed: 1)
        func gradients(_ weight: Tensor<Float>) throws -> (y: [Float], dx: [Float], rows: [Float]) {
            let tape = Tape<Float>(precision: .bf16)
            let input = tape.parameter(x)
            let y = input.linear(tape.constant(weight))
            tape.backward(from: Self.sum(y, times: Self.numbers([rows, out], seed: 3)))
            let rows = tape.constant(weight).embedding([7, 0, 159], batch: 1)
            return (y.value.elements, try #require(tape.gradient(of: input)).elements, rows.value.elements)
        }
        let (own, held) = (try gradients(w), try gradients(waiting))
        #expect(own.y == held.y && own.dx == held.dx && own.rows == held.rows)
        let deferred = try #require(waiting.storage.deferred)
        let isAligned = Int(bitPattern: deferred.bfloat16) % 2 == 0
        #expect(isAligned == (padding % 2 == 0))
        #expect(deferred.isFilled == !isAligned)
        #expect((deferred.rounded.map(UnsafeRawPointer.init) == deferred.bfloat16) == isAligned)
        #expect(deferred.rounded == deferred.rounded)
    }

    private static func sum<S: TensorScalar>(_ y: Variable<S>, times weights: Tensor<S>) -> Variable<S> {
        y.reshaped([1, 1, weights.count]).matmul(y.owner.constant(weights.reshaped([1, weights.count, 1])))
    }

    /// A whole model's gradients: near those of `Float`, not the same, and the same bits every time.
    @Test func trainingStepsAreNearThoseOfFloats() {
        let configuration = PretrainingStepTests.configuration()
        let parameters = ParameterSet<Float>.initial(configuration, seed: 3)
        let tokens = PretrainingStepTests.tokens(6 * 20, seed: 9)
        func step(_ precision: ProductPrecision) -> PretrainingStep.Outcome {
            PretrainingStep(configuration, microBatch: 2, precision: precision)(parameters, tokens: tokens, batch: 6)
        }
        let (exact, rounded, again) = (step(.f32), step(.bf16), step(.bf16))
        #expect(rounded.loss == again.loss && rounded.loss != exact.loss)
        #expect(abs(rounded.loss - exact.loss) < 2e-3 * exact.loss)
        // Together: in this small a model rounding is much of what some memories' gradients are.
        var (difference, norm) = (0.0, 0.0)
        for (name, gradient) in exact.gradients.entries {
            guard let own = rounded.gradients[name], let repeated = again.gradients[name] else {
                Issue.record("no gradient of \(name)")
                continue
            }
            #expect(own.elements == repeated.elements, "\(name)")
            for (one, other) in zip(own.elements, gradient.elements) {
                difference += Double((one - other) * (one - other))
            }
            norm += gradient.squaredNorm
        }
        #expect(difference > 0 && difference.squareRoot() < 0.1 * norm.squareRoot(), "\(difference) of \(norm)")
    }
}
