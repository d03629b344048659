import Testing

@testable import NLCore

/// Would catch a wrong transpose, stride or sign of `accumulate`, and bits that depend on rows beside or on threads.
@Suite(.timeLimit(.minutes(10)))
struct MatrixProductTests {
    @Test(arguments: MatrixProduct.Library.allCases.filter(\.isUsable), Layout.all)
    func agreesWithTheNaiveForm(library: MatrixProduct.Library, layout: Layout) {
        for (m, n, k) in shapes {
            let operands = Operands<Float>(layout.shape(m, n, k), seed: m + 10 * n + 100 * k)
            let expected = operands.naive(accumulate: layout.accumulates)
            let result = operands.result {
                Float.multiply(library, $0, $1, $2, $3, $4, $5, $6, accumulate: layout.accumulates)
            }
            // Each of the k + 1 additions rounds once, at a size below sqrt(k) for factors in ±1.
            let allowed = Float.ulpOfOne * Float(k + 1).squareRoot() * Float(k + 1).squareRoot()
            for (index, value) in result.enumerated() {
                #expect(abs(value - expected[index]) <= allowed, "\(library) \(layout) \(m)x\(n)x\(k) at \(index)")
            }
        }
    }

    @Test(arguments: Layout.all)
    func builtInSumsInOrder(layout: Layout) {
        for (m, n, k) in shapes + longShapes {
            let operands = Operands<Float>(layout.shape(m, n, k), seed: m + 10 * n + 100 * k)
            let expected = operands.chained(accumulate: layout.accumulates, longest: BuiltInProduct.longestChain)
            for instructions in InstructionSet.usable {
                let result = operands.result {
                    BuiltInProduct.multiply(
                        on: instructions, $0, $1, $2, $3, $4, $5, $6, accumulate: layout.accumulates)
                }
                if instructions.isFused {
                    let isSame = result == expected
                    #expect(isSame, "\(instructions) \(layout) \(m)x\(n)x\(k)")
                } else {
                    let worst = zip(result, expected).map { abs($0 - $1) }.max() ?? 0
                    #expect(worst <= Float.ulpOfOne * Float(k + 1), "\(instructions) \(layout) \(m)x\(n)x\(k)")
                }
            }
        }
    }

    @Test(.enabled(if: OneDNN.isUsable), arguments: Layout.all)
    func oneDNNSumsInOrder(layout: Layout) {
        for (m, n, k) in shapes + longShapes + [(32, 64, 512), (100, 300, 300), (257, 128, 130), (600, 64, 32)] {
            let shape = layout.shape(m, n, k)
            let operands = Operands<Float>(shape, seed: m + 10 * n + 100 * k, isDense: true)
            guard OneDNN.takes(shape, operands.lda, operands.ldb, operands.ldc) else { continue }
            let expected = operands.chained(accumulate: layout.accumulates, longest: BuiltInProduct.longestChain)
            let result = operands.result { shape, a, _, b, _, c, _ in
                OneDNN.multiply(shape, a, b, c, accumulate: layout.accumulates)
            }
            let isSame = result == expected
            #expect(isSame, "\(layout) \(m)x\(n)x\(k)")
        }
    }

    @Test(
        .enabled(if: MatrixProduct.isRowInvariant),
        arguments: [MatrixProduct.Library.builtIn, .oneDNN].filter(\.isUsable), Layout.all)
    func rowsDoNotDependOnTheRowsBesideThem(library: MatrixProduct.Library, layout: Layout) {
        let (n, most) = (320, 600)
        for (k, isDense) in [(300, true), (300, false), (704, true)] {
            let operands = Operands<Float>(layout.shape(most, n, k), seed: 7, isDense: isDense)
            let all = operands.result {
                Float.multiplyRows($0, $1, $2, $3, $4, $5, $6, accumulate: layout.accumulates)
            }
            for m in Array(1...20) + [23, 31, 32, 33, 48, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513] {
                let some = operands.result(rows: m) {
                    Float.multiply(library, $0, $1, $2, $3, $4, $5, $6, accumulate: layout.accumulates)
                }
                let isSame = some[...] == all[..<(m * n)]
                #expect(isSame, "\(layout) \(m) rows of \(k) terms, \(isDense ? "dense" : "strided")")
            }
        }
    }

    @Test(arguments: [(1, 4096, 256), (16, 1024, 512), (300, 300, 300), (1000, 200, 130), (64, 2000, 64)])
    func bitsDoNotDependOnTheNumberOfThreads(m: Int, n: Int, k: Int) {
        #expect(ProductTile(ProductShape(m: m, n: n, k: k)).count > 1)
        for layout in Layout.all {
            let operands = Operands<Float>(layout.shape(m, n, k), seed: 3)
            let results = [1, 2, 3, 5].map { threads in
                let pool = WorkerPool(threads: threads, name: "test", nice: 0)
                defer { pool.stop() }
                return pool.asCurrent {
                    operands.result {
                        Float.multiplyRows($0, $1, $2, $3, $4, $5, $6, accumulate: layout.accumulates)
                    }
                }
            }
            let isSame = results.allSatisfy { $0 == results[0] }
            #expect(isSame, "\(layout)")
            let expected = operands.naive(accumulate: layout.accumulates)
            let worst = zip(results[0], expected).map { abs($0 - $1) }.max() ?? 0
            #expect(worst <= Float.ulpOfOne * Float(k + 1), "\(layout)")
        }
    }

    @Test(arguments: Layout.all)
    func doubleAgreesWithTheNaiveForm(layout: Layout) {
        for (m, n, k) in shapes + [(300, 200, 100)] {
            let operands = Operands<Double>(layout.shape(m, n, k), seed: m + n + k)
            let expected = operands.naive(accumulate: layout.accumulates)
            let result = operands.result {
                Double.multiplyRows($0, $1, $2, $3, $4, $5, $6, accumulate: layout.accumulates)
            }
            let worst = zip(result, expected).map { abs($0 - $1) }.max() ?? 0
            #expect(worst <= Double.ulpOfOne * Double(k + 1), "\(layout) \(m)x\(n)x\(k)")
        }
    }

    @Test(arguments: [1, 2, 7, 100], [(16, 64, 64), (1, 8, 16), (64, 64, 64)])
    func batchesAreTheirProducts(count: Int, size: (Int, Int, Int)) {
        let (m, n, k) = size
        for layout in Layout.all {
            let shape = layout.shape(m, n, k)
            let a = randomNumbers(count * m * k, seed: 1) as [Float]
            let b = randomNumbers(count * n * k, seed: 2) as [Float]
            var c = randomNumbers(count * m * n, seed: 3) as [Float]
            var expected = c
            let (lda, ldb) = (shape.transposeA ? m : k, shape.transposeB ? k : n)
            for i in 0..<count {
                let add = layout.accumulates
                expected.withUnsafeMutableBufferPointer { expected in
                    Float.multiply(
                        shape, Array(a[(i * m * k)...]), lda, Array(b[(i * n * k)...]), ldb,
                        expected.baseAddress! + i * m * n, n, accumulate: add)
                }
            }
            Float.multiplyBatched(
                count, shape, a, m * k, lda, b, n * k, ldb, &c, m * n, n, accumulate: layout.accumulates)
            #expect(c == expected)
        }
    }

    @Test func batchMayShareAnOperand() {
        let a = randomNumbers(3 * 4, seed: 1) as [Float]
        let b = randomNumbers(4 * 5, seed: 2) as [Float]
        var c = [Float](repeating: 0, count: 2 * 3 * 5)
        Float.multiplyBatched(2, ProductShape(m: 3, n: 5, k: 4), a, 0, 4, b, 0, 5, &c, 15, 5, accumulate: false)
        #expect(c[..<15] == c[15...])
        #expect(c.contains { $0 != 0 })
    }

    @Test func emptyProductsAreZeroOrNothing() {
        var c: [Float] = [1, 2, 3, 4]
        Float.multiply(ProductShape(m: 2, n: 1, k: 0), [0], 1, [0], 1, &c, 2, accumulate: true)
        #expect(c == [1, 2, 3, 4])
        Float.multiplyRows(ProductShape(m: 2, n: 1, k: 0), [0], 1, [0], 1, &c, 2, accumulate: false)
        #expect(c == [0, 2, 0, 4])
        Float.multiplyRows(ProductShape(m: 0, n: 2, k: 2), [0], 1, [0], 1, &c, 2, accumulate: false)
        Float.multiply(ProductShape(m: 2, n: 0, k: 2), [0], 1, [0], 1, &c, 2, accumulate: false)
        #expect(c == [0, 2, 0, 4])
    }

    @Test func theLibraryIsChosenOnce() throws {
        let library = MatrixProduct.library
        try MatrixProduct.select(.auto)
        #expect(MatrixProduct.library == library)
        let same = try #require(MatrixProduct.Selection(rawValue: library.rawValue))
        let other: MatrixProduct.Selection = library == .openBLAS ? .builtin : .openblas
        try MatrixProduct.select(same)
        #expect(throws: MatrixProductError.self) { try MatrixProduct.select(other) }
        #expect(MatrixProduct.description.contains(OpenBLAS.description))
    }

    private let shapes: [(Int, Int, Int)] = [
        (1, 1, 1), (1, 64, 64), (2, 3, 5), (3, 64, 16), (5, 33, 17), (7, 130, 65), (8, 128, 128), (13, 16, 64),
        (16, 16, 64), (16, 64, 16), (16, 64, 64), (17, 257, 31), (64, 64, 64), (65, 63, 66), (70, 19, 129),
    ]

    private let longShapes: [(Int, Int, Int)] = [
        (1, 256, 384), (9, 40, 385), (33, 96, 511), (200, 48, 512), (3, 300, 512), (4, 64, 513), (20, 48, 1024),
        (50, 70, 1500), (128, 64, 2048),
    ]
}

/// Which operands are transposed, and whether the product is added to what is there.
struct Layout: Sendable, CustomStringConvertible {
    var transposeA: Bool
    var transposeB: Bool
    var accumulates: Bool

    static let all: [Layout] = [false, true].flatMap { a in
        [false, true].flatMap { b in
            [false, true].map { Layout(transposeA: a, transposeB: b, accumulates: $0) }
        }
    }

    func shape(_ m: Int, _ n: Int, _ k: Int) -> ProductShape {
        ProductShape(m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB)
    }

    var description: String {
        "\(transposeA ? "T" : "N")\(transposeB ? "T" : "N")\(accumulates ? "+" : "")"
    }
}

/// The operands of one product, each inside a wider matrix, so that a leading dimension ignored shows.
struct Operands<S: TensorScalar> {
    let shape: ProductShape
    let a: [S]
    let b: [S]
    let c: [S]
    let lda: Int
    let ldb: Int
    let ldc: Int

    init(_ shape: ProductShape, seed: Int, isDense: Bool = false) {
        self.shape = shape
        lda = (shape.transposeA ? shape.m : shape.k) + (isDense ? 0 : 3)
        ldb = (shape.transposeB ? shape.k : shape.n) + (isDense ? 0 : 1)
        ldc = shape.n + (isDense ? 0 : 5)
        a = randomNumbers((shape.transposeA ? shape.k : shape.m) * lda, seed: seed)
        b = randomNumbers((shape.transposeB ? shape.n : shape.k) * ldb, seed: seed + 1)
        c = randomNumbers(shape.m * ldc, seed: seed + 2)
    }

    typealias Multiply = (
        ProductShape, UnsafePointer<S>, Int, UnsafePointer<S>, Int, UnsafeMutablePointer<S>, Int
    ) -> Void

    /// The first `rows` rows of what `multiply` makes of C; what it writes beside C is NaN in the result.
    func result(rows: Int? = nil, _ multiply: Multiply) -> [S] {
        var shape = shape
        shape.m = rows ?? shape.m
        var written = c
        multiply(shape, a, lda, b, ldb, &written, ldc)
        return (0..<shape.m).flatMap { row in
            let isClean =
                written[(row * ldc + shape.n)..<((row + 1) * ldc)] == c[(row * ldc + shape.n)..<((row + 1) * ldc)]
            return isClean ? Array(written[(row * ldc)..<(row * ldc + shape.n)]) : [S](repeating: .nan, count: shape.n)
        }
    }

    /// The definition, in `Double`.
    func naive(accumulate: Bool) -> [S] {
        elements { row, column in
            let start = accumulate ? Double(c[row * ldc + column]) : 0
            return S((0..<shape.k).reduce(start) { $0 + Double(left(row, $1)) * Double(right($1, column)) })
        }
    }

    /// Chains of fused multiply-adds of at most `longest` terms, added up.
    func chained(accumulate: Bool, longest: Int) -> [S] {
        elements { row, column in
            var total: S? = accumulate ? c[row * ldc + column] : nil
            for start in stride(from: 0, to: shape.k, by: longest) {
                var chain: S = 0
                for p in start..<min(start + longest, shape.k) {
                    chain.addProduct(left(row, p), right(p, column))
                }
                total = total.map { $0 + chain } ?? chain
            }
            return total ?? 0
        }
    }

    private func elements(_ value: (Int, Int) -> S) -> [S] {
        (0..<shape.m).flatMap { row in (0..<shape.n).map { value(row, $0) } }
    }

    private func left(_ row: Int, _ p: Int) -> S { shape.transposeA ? a[p * lda + row] : a[row * lda + p] }
    private func right(_ p: Int, _ column: Int) -> S { shape.transposeB ? b[column * ldb + p] : b[p * ldb + column] }
}

/// `count` numbers in ±`scale`, the same for a seed on every run.
func randomNumbers<S: TensorScalar>(_ count: Int, seed: Int, scale: S = 1) -> [S] {
    var state = UInt64(bitPattern: Int64(seed)) &+ 0x9E37_79B9_7F4A_7C15
    return (0..<count).map { _ in
        // SplitMix64.
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return scale * S(Double((z ^ (z >> 31)) >> 11) / Double(1 << 52) - 1)
    }
}
