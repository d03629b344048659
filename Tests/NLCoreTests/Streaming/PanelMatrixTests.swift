import NLCore
import TestSupport
import Testing

@testable import NLCore

/// The panels of a weight matrix against three loops, at sizes below, at and above a panel and a band of rows.
@Suite struct PanelMatrixTests {
    @Test(arguments: [1, 127, 128, 129, 300], [1, 3, 128, 260])
    func productsAreThoseOfTheMatrix(outputs: Int, rows: Int) {
        for inputs in [1, 5, 64] {
            var random = SeededRandom(seed: UInt64(outputs * 1000 + rows))
            func numbers(_ shape: Shape) -> Tensor<Double> {
                Tensor((0..<shape.count).map { _ in random.nextNormal() }, shape: shape)
            }
            let weight = numbers([outputs, inputs])
            let (x, before) = (numbers([rows, inputs]), numbers([rows, outputs]))
            var expected = before.elements
            for row in 0..<rows {
                for output in 0..<outputs {
                    for input in 0..<inputs {
                        expected[row * outputs + output] +=
                            weight.elements(output * inputs + input) * x.elements(row * inputs + input)
                    }
                }
            }
            // In one part, and cut where no panel ends.
            let cut = outputs / 3
            let parts = cut == 0 ? [weight] : [weight.slice(0..<cut), weight.slice(cut..<outputs)]
            for matrix in [PanelMatrix([weight]), PanelMatrix(parts)] {
                #expect(matrix.inputs == inputs && matrix.outputs == outputs)
                let y = before.copy()
                matrix.multiply(rows, x.pointer, into: y.pointer, accumulate: true)
                expectClose(y.elements, expected, .double, "\(rows) rows, \(inputs) to \(outputs)")
                let fresh = before.copy()
                matrix.multiply(rows, x.pointer, into: fresh.pointer)
                let difference = zip(y.elements, fresh.elements).map { $0 - $1 }
                expectClose(difference, before.elements, .double, "without what was there")
            }
        }
    }

    @Test func transposingExchangesTheLastTwoAxes() {
        let tensor = Tensor((0..<2 * 33 * 18).map { Float($0) }, shape: [2, 33, 18])
        let transposed = tensor.transposed()
        #expect(transposed.shape == [2, 18, 33])
        for matrix in 0..<2 {
            for row in 0..<33 {
                for column in 0..<18 {
                    #expect(
                        transposed.elements((matrix * 18 + column) * 33 + row)
                            == tensor.elements((matrix * 33 + row) * 18 + column))
                }
            }
        }
    }
}

extension Tensor {
    fileprivate func elements(_ index: Int) -> S { withElements { $0[index] } }

    /// Some rows of a matrix.
    fileprivate func slice(_ rows: Range<Int>) -> Tensor {
        let width = shape[1]
        return Tensor(Array(elements[rows.lowerBound * width..<rows.upperBound * width]), shape: [rows.count, width])
    }
}
