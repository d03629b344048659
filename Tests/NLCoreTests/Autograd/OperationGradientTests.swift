import TestSupport
import Testing

@testable import NLCore

/// Every operation's backward pass against central differences, on shapes too odd to hide an index error.
@Suite struct OperationGradientTests {
    @Test func elementwise() {
        checkGradient("add", inputs: [[3, 5], [3, 5]]) { $0[0] + $0[1] }
        checkGradient("add to itself", inputs: [[7]]) { $0[0] + $0[0] }
        checkGradient("subtract", inputs: [[3, 5], [3, 5]]) { $0[0] - $0[1] }
        checkGradient("multiply", inputs: [[3, 5], [3, 5]]) { $0[0] * $0[1] }
        checkGradient("square", inputs: [[7]]) { $0[0] * $0[0] }
        checkGradient("scaled", inputs: [[7]]) { $0[0].scaled(by: -1.7) }
        checkGradient("silu", inputs: [[11]], scale: 3) { $0[0].silu() }
        checkGradient("silu slope", inputs: [[11]], scale: 3) { $0[0].siluSlope() }
        checkGradient("sigmoid", inputs: [[11]], scale: 3) { $0[0].sigmoid() }
        checkGradient("log sigmoid", inputs: [[11]], scale: 3) { $0[0].logSigmoid() }
        checkGradient("exp", inputs: [[11]]) { $0[0].exp() }
    }

    @Test func distillation() {
        let teacher = Tape<Double>().constant(Tensor([0.3, -1, 2, 0.1, 0.5, 0.2, -0.4, 1], shape: [2, 4])).softmaxRows()
        checkGradient("cross-entropy toward predictions", inputs: [[2, 4]]) {
            $0[0].crossEntropy(toward: teacher, weights: [1, 0.7]).loss
        }
        let tape = Tape<Double>()
        let logits = tape.parameter(Tensor([0.5, -0.3, 0.2, 1, 0, 2, -1, 0.4], shape: [2, 4]))
        let oneHot = Tensor<Double>([0, 1, 0, 0, 0, 0, 0, 1], shape: [2, 4])
        let toward = logits.crossEntropy(toward: oneHot, weights: [1, 1])
        let against = logits.crossEntropy([1, 3], weights: [1, 1])
        expectClose(toward.rowLosses, against.rowLosses, .double, "a certain teacher is a target")
    }

    @Test func rows() {
        checkGradient("unit", inputs: [[4, 5]]) { $0[0].unit() }
        checkGradient("rms", inputs: [[4, 5], [5]]) { $0[0].rms(gain: $0[1]) }
        checkGradient("row length", inputs: [[4, 5]]) { $0[0].rowLength() }
        checkGradient("scaling rows", inputs: [[4, 5], [4, 1]]) { $0[0].scalingRows(by: $0[1]) }
        checkGradient("reciprocal", inputs: [[4, 5]]) { $0[0].rowLength().reciprocal() }
        checkGradient("head readout", inputs: [[4, 3, 5], [2, 5], [2]]) { $0[0].headReadout($0[1], bias: $0[2]) }
        checkGradient("scaling groups", inputs: [[2, 3, 4], [2, 1]]) { $0[0].scalingGroups(by: $0[1]) }
        checkGradient("broadcast along row", inputs: [[3, 1]]) { $0[0].broadcastAlongRow(4) }
    }

    @Test(arguments: [false, true], [false, true])
    func products(left: Bool, right: Bool) {
        let a: Shape = left ? [2, 5, 3] : [2, 3, 5]
        let b: Shape = right ? [2, 4, 5] : [2, 5, 4]
        checkGradient("matmul", inputs: [a, b]) { $0[0].matmul($0[1], transposeLeft: left, transposeRight: right) }
    }

    @Test func linearAndItsSharedWeight() {
        checkGradient("linear", inputs: [[2, 3, 5], [4, 5]]) { $0[0].linear($0[1]) }
        checkGradient("linear twice", inputs: [[3, 5], [5, 5]]) { $0[0].linear($0[1]).linear($0[1]) }
    }

    @Test func layout() {
        checkGradient("split heads", inputs: [[2, 3, 6]]) { $0[0].splitHeads(2) }
        checkGradient("merge heads", inputs: [[4, 3, 3]]) { $0[0].mergeHeads(2) }
        checkGradient("repeated", inputs: [[2, 3, 2]]) { $0[0].repeated(3) }
        checkGradient("slice", inputs: [[2, 5, 3]]) { $0[0].slice(1..<4) }
        checkGradient("concatenated", inputs: [[2, 2, 3], [2, 3, 3]]) { Variable.concatenated([$0[0], $0[1], $0[0]]) }
        checkGradient("reshaped", inputs: [[2, 6]]) { $0[0].reshaped([3, 4]) * $0[0].reshaped([3, 4]) }
    }

    @Test func recurrence() {
        checkGradient("cumulative sum", inputs: [[2, 5]]) { $0[0].cumulativeSum() }
        checkGradient("shifted", inputs: [[2, 5]]) { $0[0].shifted() }
        // As in use: prefix sums of logarithms of shares, so that no difference is positive.
        checkGradient("decay matrix", inputs: [[2, 5]]) { $0[0].logSigmoid().cumulativeSum().decayMatrix() }
        checkGradient("triangular solve", inputs: [[2, 4, 4], [2, 4, 3]], scale: 0.5) {
            ($0[0] * strictlyLower(like: $0[0])).solvingUnitLower($0[1])
        }
        checkGradient("inside the ball", inputs: [[2, 3, 4]], scale: 0.1) { $0[0].within(radius: 2) }
        checkGradient("outside the ball", inputs: [[2, 3, 4]], scale: 3) { $0[0].within(radius: 2) }
    }

    @Test func sequence() {
        let history = Tensor<Double>((0..<12).map { Double($0) / 7 }, shape: [2, 2, 3])
        checkGradient("causal convolution", inputs: [[2, 4, 3], [3, 3]]) {
            $0[0].causalConvolution($0[1], history: history)
        }
        checkGradient("embedding", inputs: [[5, 3]]) { $0[0].embedding([1, 4, 1, 0], batch: 2) }
        checkGradient("cross entropy", inputs: [[4, 5]]) {
            $0[0].crossEntropy([1, 4, 0, 2], weights: [0.5, 0, 1, 2]).loss.scaled(by: 1.5)
        }
    }

    /// The naive row-by-row triangular solve must give what a product with I + L takes back.
    @Test func triangularSolveInvertsTheProduct() {
        let tape = Tape<Double>()
        var random = SeededRandom(seed: 9)
        let l = tape.constant(Tensor((0..<25).map { _ in random.nextNormal() }, shape: [1, 5, 5]))
        let right = tape.constant(Tensor((0..<15).map { _ in random.nextNormal() }, shape: [1, 5, 3]))
        let lower = l * strictlyLower(like: l)
        let x = lower.solvingUnitLower(right)
        expectClose((x + lower.matmul(x)).value, right.value, .double, "(I + L) X")
    }

    @Test func constantsAreNotRecorded() {
        let tape = Tape<Double>()
        let x = tape.constant(Tensor([1, 2], shape: [2]))
        #expect(!(x.silu() + x).wantsGradient)
    }

    private func strictlyLower(like variable: Variable<Double>) -> Variable<Double> {
        let (groups, length) = (variable.shape[0], variable.shape[1])
        var mask: [Double] = []
        for _ in 0..<groups {
            for t in 0..<length { for s in 0..<length { mask.append(s < t ? 1 : 0) } }
        }
        return variable.owner.constant(Tensor(mask, shape: variable.shape))
    }
}
