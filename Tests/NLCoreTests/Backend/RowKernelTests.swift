import CKernels
import Testing

@testable import NLCore

/// Would catch a row that reads its neighbour, a reduction that loses its tail, and softmax without its maximum.
@Suite(.timeLimit(.minutes(10)))
struct RowKernelTests {
    private let widths = Array(1...67) + [128, 300]

    @Test(arguments: InstructionSet.usable)
    func dotAgreesWithTheNaiveForm(instructions: InstructionSet) {
        for width in [0] + widths {
            let a: [Float] = randomNumbers(width, seed: width)
            let b: [Float] = randomNumbers(width, seed: width + 1)
            let expected = Double.dot(width, a.map(Double.init), b.map(Double.init))
            let results = [0, 1, 5].map { offset in
                misaligned(offset, [a, b], [0]) { $1[0] = nl_dot(instructions.isa, width, $0[0], $0[1]) }[0]
            }
            #expect(abs(Double(results[0]) - expected) <= 1e-7 * Double(width + 1))
            #expect(results[1] == results[0] && results[2] == results[0], "alignment changes the bits")
        }
    }

    @Test(arguments: InstructionSet.usable)
    func softmaxAgreesWithTheNaiveForm(instructions: InstructionSet) {
        for width in widths {
            let x: [Float] = randomNumbers(width, seed: width, scale: 6)
            let largest = nl_maximum(instructions.isa, width, x)
            #expect(largest == x.max())
            // All negative, so that a zero that fills a vector up would win.
            let below = x.map { $0 - 100 }
            #expect(nl_maximum(instructions.isa, width, below) == below.max())
            var expected = [Double](repeating: 0, count: width)
            let sum = Double.shiftedExponentials(width, x.map(Double.init), shift: Double(largest), &expected)
            let results = [0, 1, 5].map { offset in
                misaligned(offset, [x], [Float](repeating: 7, count: width + 1)) {
                    $1[width] = nl_shifted_exponentials(instructions.isa, width, $0[0], largest, $1)
                }
            }
            #expect(largestRelativeError(Array(results[0].dropLast()), expected) <= 1e-6)
            #expect(abs(Double(results[0][width]) - sum) <= 1e-6 * sum)
            #expect(results[1] == results[0] && results[2] == results[0], "alignment changes the bits")
            var inPlace = x
            #expect(nl_shifted_exponentials(instructions.isa, width, inPlace, largest, &inPlace) == results[0][width])
        }
    }

    @Test(arguments: InstructionSet.usable)
    func unitRowsAgreeWithTheNaiveForm(instructions: InstructionSet) {
        for width in widths {
            let rows = 3
            let x: [Float] = randomNumbers(rows * width, seed: width)
            let dy: [Float] = randomNumbers(rows * width, seed: width + 1)
            var dx: [Float] = randomNumbers(rows * width, seed: width + 2)
            var (y, scales) = ([Float](repeating: 0, count: rows * width), [Float](repeating: 0, count: rows))
            var (expectedY, expectedScales, expectedDX) = (
                y.map(Double.init), scales.map(Double.init), dx.map(Double.init)
            )
            nl_unit_rows(instructions.isa, rows, width, 1e-6, x, &y, &scales)
            nl_unit_rows_backward(instructions.isa, rows, width, y, scales, dy, &dx)
            Double.unitRows(rows, width, x.map(Double.init), &expectedY, &expectedScales)
            Double.unitRowsBackward(rows, width, expectedY, expectedScales, dy.map(Double.init), &expectedDX)
            #expect(largestRelativeError(y, expectedY) <= 1e-6)
            #expect(largestRelativeError(scales, expectedScales) <= 1e-6)
            #expect(largestRelativeError(dx, expectedDX) <= 3e-6)
        }
    }

    @Test(arguments: InstructionSet.usable)
    func rmsRowsAgreeWithTheNaiveForm(instructions: InstructionSet) {
        for width in widths {
            let rows = 3
            let x: [Float] = randomNumbers(rows * width, seed: width)
            let gain: [Float] = randomNumbers(width, seed: width + 1)
            let dy: [Float] = randomNumbers(rows * width, seed: width + 2)
            var dx: [Float] = randomNumbers(rows * width, seed: width + 3)
            var dgain: [Float] = randomNumbers(width, seed: width + 4)
            var (y, scales) = ([Float](repeating: 0, count: rows * width), [Float](repeating: 0, count: rows))
            var (expectedY, expectedScales) = (y.map(Double.init), scales.map(Double.init))
            var (expectedDX, expectedDGain) = (dx.map(Double.init), dgain.map(Double.init))
            nl_rms_rows(instructions.isa, rows, width, 1e-6, x, gain, &y, &scales)
            nl_rms_rows_backward(instructions.isa, rows, width, x, gain, scales, dy, &dx, &dgain)
            let (wideX, wideGain, wideDY) = (x.map(Double.init), gain.map(Double.init), dy.map(Double.init))
            Double.rmsRows(rows, width, wideX, wideGain, &expectedY, &expectedScales)
            Double.rmsRowsBackward(
                rows, width, wideX, wideGain, expectedScales, wideDY, &expectedDX, &expectedDGain)
            #expect(largestRelativeError(y, expectedY) <= 1e-6)
            #expect(largestRelativeError(scales, expectedScales) <= 1e-6)
            #expect(largestRelativeError(dx, expectedDX) <= 3e-6)
            #expect(largestRelativeError(dgain, expectedDGain) <= 1e-6)
        }
    }

    @Test(arguments: InstructionSet.usable, [Float(1), 30, 1e4])
    func crossEntropyAgreesWithTheNaiveForm(instructions: InstructionSet, scale: Float) {
        for width in widths + [4096] {
            let rows = 3
            var x: [Float] = randomNumbers(rows * width, seed: width, scale: scale)
            let targets = [0, width / 2, width - 1].map(Int32.init)
            let weights: [Float] = [1, 0.25, 0]
            var losses = [Float](repeating: 0, count: rows)
            var (expected, expectedLosses) = (x.map(Double.init), losses.map(Double.init))
            nl_cross_entropy_rows(instructions.isa, rows, width, &x, targets, weights, &losses)
            Double.crossEntropyRows(rows, width, &expected, targets, weights.map(Double.init), &expectedLosses)
            // What is subtracted from the largest logit carries its rounding, up to half a unit of `scale`.
            let allowed = max(1e-6, Double(scale.ulp) * 2)
            #expect(largestRelativeError(x, expected) <= allowed, "gradient of \(width) classes")
            #expect(largestRelativeError(losses, expectedLosses) <= allowed, "loss of \(width) classes")
            let rowSums = (0..<rows).map { row in x[(row * width)..<((row + 1) * width)].reduce(0, +) }
            #expect(rowSums.allSatisfy { abs($0) <= 1e-5 }, "a softmax's gradient sums to zero")
        }
    }

    @Test(arguments: InstructionSet.usable)
    func maskedClassesHaveNoShare(instructions: InstructionSet) {
        var x: [Float] = [1, -.infinity, 1, -.infinity]
        var loss: Float = 0
        nl_cross_entropy_rows(instructions.isa, 1, 4, &x, [0], [1], &loss)
        #expect(x == [-0.5, 0, 0.5, 0])
        #expect(abs(loss - 0.6931472) <= 1e-6)
    }

    @Test(arguments: InstructionSet.usable)
    func bfloat16IsRoundedToNearestEven(instructions: InstructionSet) {
        for count in [0, 1, 15, 16, 17, 33, 65536] {
            // Every upper half with lower halves around the tie.
            for low in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] as [UInt32] {
                let x = (0..<count).map { Float(bitPattern: UInt32($0) << 16 | low) }
                var y = [UInt16](repeating: 0x1234, count: count + 1)
                nl_to_bfloat16(instructions.isa, count, x, &y)
                #expect(y[count] == 0x1234)
                let isRight = zip(x, y).allSatisfy { $1 == rounded($0) }
                #expect(isRight, "\(count) numbers ending in \(low)")

                var back = [Float](repeating: 0, count: count)
                nl_from_bfloat16(instructions.isa, count, y, &back)
                let isExact = zip(y, back).allSatisfy { $1.bitPattern == UInt32($0) << 16 }
                #expect(isExact)
            }
        }
    }

    /// By candidates: of the two neighbours of x, the nearer one, or the even one of a tie.
    private func rounded(_ x: Float) -> UInt16 {
        let cut = UInt16(x.bitPattern >> 16)
        if x.isNaN { return cut | 0x40 }
        if x.isInfinite { return cut }
        let (below, above) = (Double(Float(bitPattern: UInt32(cut) << 16)), value(after: cut))
        let (toBelow, toAbove) = (abs(Double(x) - below), abs(above - Double(x)))
        if toBelow == toAbove { return cut & 1 == 0 ? cut : cut + 1 }
        return toBelow < toAbove ? cut : cut + 1
    }

    /// The next number away from zero; after the largest, what it would be with one more exponent.
    private func value(after bits: UInt16) -> Double {
        let next = Float(bitPattern: UInt32(bits + 1) << 16)
        return next.isInfinite ? Double(sign: next.sign, exponent: 128, significand: 1) : Double(next)
    }
}

/// The largest error, relative to the number or to 1.
private func largestRelativeError(_ values: [Float], _ expected: [Double]) -> Double {
    zip(values, expected).map { value, expected in
        let error = abs(Double(value) - expected) / max(1, abs(expected))
        return error.isNaN ? .infinity : error
    }.max() ?? 0
}
