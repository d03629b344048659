import NLCore
import TestSupport
import Testing

@testable import NLCore

/// Packed weights on every instruction set of this processor: against three loops in double precision, to the bit
/// against the products of `Float` where nothing may be lost, and to the bit whatever rows are beside a row.
@Suite struct PackedMatrixTests {
    private static let shapes = [
        (1, 1, 1), (1, 15, 7), (2, 16, 64), (3, 17, 513), (1, 130, 512), (5, 33, 1025), (6, 128, 30), (7, 300, 96),
        (13, 257, 40), (40, 50, 1101), (129, 63, 31), (1, 200, 1537),
    ]

    private func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in Float(random.nextNormal()) }
    }

    private func bfloat16s(_ count: Int, seed: UInt64) -> [Float] {
        numbers(count, seed: seed).map { float(bfloat16Bits: bfloat16Bits($0)) }
    }

    /// C in the naive order: a chain of at most 512 fused multiply-adds from zero, then added to what is there.
    private func naive(
        _ rows: Int, _ outputs: Int, _ inputs: Int, _ x: [Float], _ weights: [Float], _ before: [Float]?
    ) -> [Float] {
        var result = before ?? [Float](repeating: 0, count: rows * outputs)
        for row in 0..<rows {
            for output in 0..<outputs {
                var total = before?[row * outputs + output]
                for first in stride(from: 0, to: inputs, by: BuiltInProduct.longestChain) {
                    var sum: Float = 0
                    for input in first..<min(first + BuiltInProduct.longestChain, inputs) {
                        sum.addProduct(x[row * inputs + input], weights[output * inputs + input])
                    }
                    total = total.map { $0 + sum } ?? sum
                }
                result[row * outputs + output] = total ?? 0
            }
        }
        return result
    }

    /// The product in parts of whole panels, as ``PanelMatrix`` cuts it.
    private func multiply(_ matrix: PackedMatrix, _ rows: Int, _ x: [Float], _ before: [Float]?) -> [Float] {
        var result = before ?? [Float](repeating: .nan, count: rows * matrix.outputs)
        result.withUnsafeMutableBufferPointer { y in
            for first in stride(from: 0, to: matrix.outputs, by: 128) {
                let count = min(128, matrix.outputs - first)
                if matrix.form == .bf16Both {
                    // In two bands, as long prompts are cut.
                    let rounded = matrix.round(rows, x)
                    for band in [0..<rows / 2, rows / 2..<rows] where !band.isEmpty {
                        matrix.multiply(
                            rounded: rounded, from: band.lowerBound, band.count, outputs: count, from: first,
                            into: y.baseAddress! + band.lowerBound * matrix.outputs + first, accumulate: before != nil)
                    }
                    continue
                }
                matrix.multiply(
                    rows, outputs: count, from: first, x, into: y.baseAddress! + first, accumulate: before != nil)
            }
        }
        return result
    }

    @Test(arguments: InstructionSet.usable)
    func bfloat16sHaveTheBitsOfFloats(instructions: InstructionSet) {
        for (rows, outputs, inputs) in Self.shapes {
            let weights = bfloat16s(outputs * inputs, seed: UInt64(outputs))
            let x = numbers(rows * inputs, seed: UInt64(rows))
            let before = numbers(rows * outputs, seed: 99)
            let matrix = PackedMatrix(
                [Tensor(weights, shape: [outputs, inputs])], .bf16, on: instructions)
            for kept in [nil, before] {
                let found = multiply(matrix, rows, x, kept)
                let expected = naive(rows, outputs, inputs, x, weights, kept)
                let name = "\(rows)×\(inputs) by \(outputs) on \(instructions)"
                if instructions.isFused {
                    let same = zip(found, expected).allSatisfy { $0.bitPattern == $1.bitPattern }
                    #expect(same, "\(name): the bits of naive chains")
                } else {
                    expectClose(found.map(Double.init), expected.map(Double.init), .float, name)
                }
                var product = kept ?? [Float](repeating: 0, count: rows * outputs)
                BuiltInProduct.multiply(
                    on: instructions, ProductShape(m: rows, n: outputs, k: inputs, transposeB: true), x, inputs,
                    weights, inputs, &product, outputs, accumulate: kept != nil)
                let same = zip(found, product).allSatisfy { $0.bitPattern == $1.bitPattern }
                #expect(same, "\(name): the bits of the product of floats")
            }
        }
    }

    /// Rounding the inputs is all that `bf16-both` adds: its bits are those of the exact product of rounded inputs.
    @Test(arguments: InstructionSet.usable)
    func roundedInputsHaveTheBitsOfTheProductOfFloats(instructions: InstructionSet) {
        for (rows, outputs, inputs) in Self.shapes + [(8, 128, 576), (12, 96, 513), (4, 64, 31)] {
            let weights = bfloat16s(outputs * inputs, seed: UInt64(outputs))
            let x = numbers(rows * inputs, seed: UInt64(rows))
            let before = numbers(rows * outputs, seed: 99)
            let matrix = PackedMatrix(
                [Tensor(weights, shape: [outputs, inputs])], .bf16Both, on: instructions)
            let rounded = x.map { float(bfloat16Bits: bfloat16Bits($0)) }
            for kept in [nil, before] {
                var product = kept ?? [Float](repeating: 0, count: rows * outputs)
                BuiltInProduct.multiply(
                    on: instructions, ProductShape(m: rows, n: outputs, k: inputs, transposeB: true), rounded, inputs,
                    weights, inputs, &product, outputs, accumulate: kept != nil)
                let found = multiply(matrix, rows, x, kept)
                let same = zip(found, product).allSatisfy { $0.bitPattern == $1.bitPattern }
                #expect(same, "\(rows)×\(inputs) by \(outputs) on \(instructions)")
                let exact = PackedMatrix([Tensor(weights, shape: [outputs, inputs])], .bf16, on: instructions)
                if inputs > 100 { #expect(found != multiply(exact, rows, x, kept)) }
            }
        }
    }

    @Test(arguments: InstructionSet.usable)
    func whatIsNoNumberStaysNone(instructions: InstructionSet) {
        let matrix = PackedMatrix(
            [Tensor([Float](repeating: 1, count: 40 * 9), shape: [40, 9])], .bf16Both, on: instructions)
        for bad in [Float.nan, .infinity, Float(bitPattern: 0x7fff_ffff)] {
            var x = numbers(9, seed: 1)
            x[8] = bad
            #expect(multiply(matrix, 1, x, nil).allSatisfy { !$0.isFinite }, "\(bad)")
        }
    }

    @Test(arguments: InstructionSet.usable)
    func int8MultipliesWholeNumbersAndScales(instructions: InstructionSet) {
        for (rows, outputs, inputs) in Self.shapes {
            let weights = numbers(outputs * inputs, seed: UInt64(outputs))
            let x = numbers(rows * inputs, seed: UInt64(rows))
            let before = numbers(rows * outputs, seed: 99)
            let matrix = PackedMatrix([Tensor(weights, shape: [outputs, inputs])], .int8, on: instructions)
            var held = [Float](repeating: .nan, count: outputs * inputs)
            for output in 0..<outputs {
                held.withUnsafeMutableBufferPointer { matrix.copyRow(output, to: $0.baseAddress! + output * inputs) }
                let row = weights[output * inputs..<(output + 1) * inputs]
                let step = (row.map(abs).max() ?? 0) / 127
                for (weight, kept) in zip(row, held[output * inputs..<(output + 1) * inputs]) {
                    #expect(abs(weight - kept) <= step * 0.5001, "no weight is further than half a step away")
                }
            }
            for kept in [nil, before] {
                let name = "\(rows)×\(inputs) by \(outputs) on \(instructions)"
                expectClose(
                    multiply(matrix, rows, x, kept).map(Double.init),
                    naive(rows, outputs, inputs, x, held, kept).map(Double.init), .float, name)
            }
        }
    }

    @Test(arguments: InstructionSet.usable, [WeightPrecision.Form.bf16, .bf16Both, .int8])
    func aRowsBitsDoNotDependOnTheRowsBesideIt(instructions: InstructionSet, form: WeightPrecision.Form) {
        let (outputs, inputs) = (145, 777)
        let matrix = PackedMatrix(
            [Tensor(numbers(outputs * inputs, seed: 5), shape: [outputs, inputs])], form, on: instructions)
        let x = numbers(23 * inputs, seed: 6)
        let alone = (0..<23).map { multiply(matrix, 1, Array(x[$0 * inputs..<($0 + 1) * inputs]), nil) }
        for rows in 2...23 {
            let together = multiply(matrix, rows, Array(x[..<(rows * inputs)]), nil)
            let same = zip(together, alone[..<rows].joined()).allSatisfy { $0.bitPattern == $1.bitPattern }
            #expect(same, "\(rows) rows")
        }
    }

    @Test(arguments: InstructionSet.usable)
    func partsAndZeroRowsAndTinyOnes(instructions: InstructionSet) {
        var weights = numbers(40 * 19, seed: 8)
        for index in 19..<38 { weights[index] = 0 }
        for index in 38..<57 { weights[index] = .leastNonzeroMagnitude }
        let whole = PackedMatrix([Tensor(weights, shape: [40, 19])], .int8, on: instructions)
        let parts = PackedMatrix(
            [
                Tensor(Array(weights[..<(7 * 19)]), shape: [7, 19]),
                Tensor(Array(weights[(7 * 19)...]), shape: [33, 19]),
            ],
            .int8, on: instructions)
        let x = numbers(3 * 19, seed: 9)
        let found = multiply(whole, 3, x, nil)
        #expect(found == multiply(parts, 3, x, nil))
        #expect((0..<3).allSatisfy { found[$0 * 40 + 1] == 0 && found[$0 * 40 + 2] == 0 })
        #expect(whole.byteCount == parts.byteCount)
    }

    /// A file's bfloat16s may begin at an odd address; they are laid out as those of a tensor in memory are.
    @Test func weightsAreReadFromAFileAtAnyAddress() throws {
        let weights = bfloat16s(33 * 45, seed: 12)
        for padding in 0..<4 {
            let (file, url) = try BFloat16File.write(weights, shape: [33, 45], padding: padding)
            defer { BFloat16File.remove(url) }
            let deferred = try file.deferred("w", shape: [33, 45])
            #expect(deferred.isFinite && deferred.isBFloat16)
            let x = numbers(2 * 45, seed: 13)
            for form in [WeightPrecision.Form.bf16, .bf16Both, .int8] {
                let expected = multiply(PackedMatrix([Tensor(weights, shape: [33, 45])], form), 2, x, nil)
                #expect(multiply(PackedMatrix([deferred], form), 2, x, nil) == expected, "padding \(padding), \(form)")
            }
            #expect(deferred.elements == weights)
        }
    }

    @Test func numbersThatAreNoneAreFoundInTheFile() throws {
        for bad in [Float.nan, .infinity, -.infinity] {
            var weights = bfloat16s(20_000, seed: 3)
            weights[19_998] = bad
            let (file, url) = try BFloat16File.write(weights, shape: [100, 200], padding: 1)
            defer { BFloat16File.remove(url) }
            #expect(try !file.deferred("w", shape: [100, 200]).isFinite)
        }
    }
}
