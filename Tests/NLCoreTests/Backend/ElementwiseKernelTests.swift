import CKernels
import Testing

@testable import NLCore

/// Would catch a wrong formula, a tail left out or overrun, alignment taken for granted, and exponentials that
/// overflow. Every instruction set that the processor has is held to the naive form, computed in `Double`.
@Suite(.timeLimit(.minutes(10)))
struct ElementwiseKernelTests {
    @Test(arguments: InstructionSet.usable, ElementwiseKernel.allCases)
    func agreesWithTheNaiveForm(instructions: InstructionSet, kernel: ElementwiseKernel) {
        for count in Array(0...67) + [128, 1000] {
            for offset in [0, 1, 3] {
                let x: [Float] = randomNumbers(count, seed: count, scale: 6)
                let z: [Float] = randomNumbers(count, seed: count + 1)
                let start: [Float] = randomNumbers(count, seed: count + 2)
                let result = misaligned(offset, [x, z], start) {
                    kernel.run(instructions.isa, count, $0[0], $0[1], $1)
                }
                var expected = start.map(Double.init)
                kernel.runNaive(count, x.map(Double.init), z.map(Double.init), &expected)
                for index in 0..<count {
                    // Three roundings, each of half a unit, of terms that are at most 4 times the result or 1.
                    let allowed = 4e-7 * max(1, abs(expected[index]))
                    let isClose = abs(Double(result[index]) - expected[index]) <= allowed
                    #expect(isClose, "\(count) numbers at offset \(offset), index \(index)")
                }
            }
        }
    }

    @Test(arguments: InstructionSet.usable)
    func signsAreThoseOfTheBits(instructions: InstructionSet) {
        var random = SeededRandom(seed: 5)
        let bits = (0..<16).map { _ in random.next() }
        for count in Array(0...67) + [128, 1000] {
            for offset in [0, 1, 3] {
                let start: [Float] = randomNumbers(count, seed: count)
                let result = misaligned(offset, [], start) { nl_add_signed(instructions.isa, count, -0.37, bits, $1) }
                var expected = start
                for index in 0..<count {
                    expected[index] += bits[index / 64] & 1 << (index % 64) == 0 ? -0.37 : 0.37
                }
                #expect(result == expected, "\(count) numbers at offset \(offset)")
                var naive = start.map(Double.init)
                Double.addSigned(count, -0.37, bits, &naive)
                #expect(zip(naive, expected).allSatisfy { abs($0 - Double($1)) < 1e-6 })
            }
        }
    }

    @Test(arguments: InstructionSet.usable, ElementwiseKernel.allCases)
    func resultsDoNotDependOnTheirPlace(instructions: InstructionSet, kernel: ElementwiseKernel) {
        let count = 67
        let x: [Float] = randomNumbers(count, seed: 1, scale: 6)
        let z: [Float] = randomNumbers(count, seed: 2)
        let start: [Float] = randomNumbers(count, seed: 3)
        var together = start
        kernel.run(instructions.isa, count, x, z, &together)
        for index in 0..<count {
            var alone = [start[index]]
            kernel.run(instructions.isa, 1, [x[index]], [z[index]], &alone)
            #expect(alone[0].bitPattern == together[index].bitPattern, "index \(index)")
        }
    }

    @Test(arguments: InstructionSet.usable)
    func exponentialIsAccurate(instructions: InstructionSet) {
        // Every 997th float from e^-87.3 to e^88.7: both signs, all exponents.
        let x = stride(from: 0, to: UInt32.max, by: 997).map(Float.init(bitPattern:)).filter { $0 > -87.3 && $0 < 88.7 }
        var y = [Float](repeating: 0, count: x.count)
        nl_exponentials(instructions.isa, x.count, x, &y)
        let worst = zip(x, y).map { abs(Double($1) / Double.exponential(Double($0)) - 1) }.max() ?? 1
        #expect(worst <= 9e-8)
    }

    @Test(arguments: InstructionSet.usable)
    func extremesAreNeitherInfiniteNorNaN(instructions: InstructionSet) {
        let extremes: [Float] = [
            0, -0.0, 1e-30, -1e-30, .leastNonzeroMagnitude, 16, -16, 87.3, -87.3, 87.5, -87.5, 88.7, 88.8, -88.8, 104,
            -104,
            1000, -1000, 1e4, -1e4,
        ]
        let ones = [Float](repeating: 1, count: extremes.count)
        for kernel in [ElementwiseKernel.sigmoids, .silu, .siluSlope, .siluBackward, .siluSlopeBackward] {
            var y = [Float](repeating: 0, count: extremes.count)
            var expected = y.map(Double.init)
            kernel.run(instructions.isa, extremes.count, extremes, ones, &y)
            kernel.runNaive(extremes.count, extremes.map(Double.init), ones.map(Double.init), &expected)
            for index in extremes.indices {
                let isClose = abs(Double(y[index]) - expected[index]) <= 4e-7 * max(1, abs(expected[index]))
                #expect(isClose, "\(kernel) of \(extremes[index]) is \(y[index])")
            }
        }
        var y = [Float](repeating: 7, count: 7)
        nl_exponentials(instructions.isa, 7, [-.infinity, -1e4, -87.4, 0, 88.8, 1e4, .infinity], &y)
        #expect(y == [0, 0, 0, 1, .infinity, .infinity, .infinity])
    }

    @Test(arguments: InstructionSet.usable)
    func nanStaysVisible(instructions: InstructionSet) {
        for kernel in ElementwiseKernel.allCases {
            var y: [Float] = [0, 0, 0]
            kernel.run(instructions.isa, 3, [1, .nan, 1], [1, 1, 1], &y)
            #expect(!y[0].isNaN && y[1].isNaN && !y[2].isNaN, "\(kernel)")
        }
    }

    @Test(arguments: InstructionSet.usable)
    func adamWAgreesWithTheNaiveForm(instructions: InstructionSet) {
        for count in [0, 1, 15, 16, 17, 67, 256] {
            var parameter: [Float] = randomNumbers(count, seed: 1)
            var first = [Float](repeating: 0, count: count)
            var second = first
            var expected = parameter.map(Double.init)
            var (expectedFirst, expectedSecond) = (first.map(Double.init), second.map(Double.init))
            for t in 1...5 {
                let gradient: [Float] = randomNumbers(count, seed: 10 + t, scale: 3)
                nl_adamw_step(instructions.isa, count, step(t).scalars, gradient, &parameter, &first, &second)
                Double.adamW(
                    count, step(t), gradient.map(Double.init), &expected, &expectedFirst, &expectedSecond)
            }
            for index in 0..<count {
                #expect(abs(Double(parameter[index]) - expected[index]) <= 1e-6)
                #expect(abs(Double(first[index]) - expectedFirst[index]) <= 1e-6)
                #expect(abs(Double(second[index]) - expectedSecond[index]) <= 1e-6)
            }
        }
    }

    private func step<S: TensorScalar>(_ t: Int) -> AdamWStep<S> {
        var (power1, power2) = (1.0, 1.0)
        for _ in 0..<t { (power1, power2) = (power1 * 0.9, power2 * 0.95) }
        return AdamWStep(
            learningRate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, correction1: S(1 - power1),
            correction2: S(1 - power2), gradientScale: 0.5)
    }
}

/// The kernels that work number by number, with their naive forms.
enum ElementwiseKernel: CaseIterable {
    case exponentials, sigmoids, silu, siluBackward, siluSlope, siluSlopeBackward
    case add, multiplyElements, multiplyAccumulate, axpy

    private static let scale: Float = 0.37

    /// y ← kernel(x, z, y).
    func run(
        _ isa: nl_isa, _ count: Int, _ x: UnsafePointer<Float>, _ z: UnsafePointer<Float>,
        _ y: UnsafeMutablePointer<Float>
    ) {
        switch self {
        case .exponentials: nl_exponentials(isa, count, x, y)
        case .sigmoids: nl_sigmoids(isa, count, x, y)
        case .silu: nl_silu(isa, count, x, y)
        case .siluBackward: nl_silu_backward(isa, count, x, z, y)
        case .siluSlope: nl_silu_slope(isa, count, x, y)
        case .siluSlopeBackward: nl_silu_slope_backward(isa, count, x, z, y)
        case .add: nl_add(isa, count, x, z, y)
        case .multiplyElements: nl_multiply(isa, count, x, z, y)
        case .multiplyAccumulate: nl_multiply_accumulate(isa, count, x, z, y)
        case .axpy: nl_axpy(isa, count, Self.scale, x, y)
        }
    }

    func runNaive(
        _ count: Int, _ x: UnsafePointer<Double>, _ z: UnsafePointer<Double>, _ y: UnsafeMutablePointer<Double>
    ) {
        switch self {
        case .exponentials: Double.exponentials(count, x, y)
        case .sigmoids: Double.sigmoids(count, x, y)
        case .silu: Double.silu(count, x, y)
        case .siluBackward: Double.siluBackward(count, x, z, y)
        case .siluSlope: Double.siluSlope(count, x, y)
        case .siluSlopeBackward: Double.siluSlopeBackward(count, x, z, y)
        case .add: Double.add(count, x, z, y)
        case .multiplyElements: Double.multiplyElements(count, x, z, y)
        case .multiplyAccumulate: Double.multiplyAccumulate(count, x, z, y)
        case .axpy: Double.axpy(count, Double(Self.scale), x, y)
        }
    }
}

/// Runs a kernel on copies of its operands that begin `offset` numbers into their buffers; NaN everywhere if it wrote
/// beside its result.
func misaligned(
    _ offset: Int, _ inputs: [[Float]], _ output: [Float],
    _ run: ([UnsafePointer<Float>], UnsafeMutablePointer<Float>) -> Void
) -> [Float] {
    let guards = [Float](repeating: 123, count: offset + 16)
    let buffers = inputs.map { input in
        let buffer = UnsafeMutablePointer<Float>.allocate(capacity: offset + input.count + 1)
        (buffer + offset).initialize(from: input, count: input.count)
        return buffer
    }
    defer { for buffer in buffers { buffer.deallocate() } }
    var written = guards + output + guards
    written.withUnsafeMutableBufferPointer { written in
        run(buffers.map { UnsafePointer($0 + offset) }, written.baseAddress! + guards.count)
    }
    let isClean = Array(written.prefix(guards.count)) == guards && Array(written.suffix(guards.count)) == guards
    return isClean ? Array(written[guards.count..<(guards.count + output.count)]) : output.map { _ in .nan }
}
