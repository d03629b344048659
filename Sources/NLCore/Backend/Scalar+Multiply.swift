extension Double: TensorScalar {
    /// One product, by OpenBLAS.
    public static func multiply(
        _ shape: ProductShape, _ a: UnsafePointer<Double>, _ lda: Int, _ b: UnsafePointer<Double>, _ ldb: Int,
        _ c: UnsafeMutablePointer<Double>, _ ldc: Int, accumulate: Bool
    ) {
        if multiplyNothing(shape, c, ldc, accumulate: accumulate) { return }
        OpenBLAS.multiply(shape, a, lda, b, ldb, c, ldc, accumulate: accumulate)
    }
}

extension Float: TensorScalar {
    /// One product, by the ``MatrixProduct/library`` in use.
    public static func multiply(
        _ shape: ProductShape, _ a: UnsafePointer<Float>, _ lda: Int, _ b: UnsafePointer<Float>, _ ldb: Int,
        _ c: UnsafeMutablePointer<Float>, _ ldc: Int, accumulate: Bool
    ) {
        multiply(MatrixProduct.library, shape, a, lda, b, ldb, c, ldc, accumulate: accumulate)
    }

    /// The product by a given library.
    static func multiply(
        _ library: MatrixProduct.Library, _ shape: ProductShape, _ a: UnsafePointer<Float>, _ lda: Int,
        _ b: UnsafePointer<Float>, _ ldb: Int, _ c: UnsafeMutablePointer<Float>, _ ldc: Int, accumulate: Bool
    ) {
        if multiplyNothing(shape, c, ldc, accumulate: accumulate) { return }
        switch library {
        case .oneDNN where ProductTile.isLarge(shape) && OneDNN.takes(shape, lda, ldb, ldc):
            OneDNN.multiply(shape, a, b, c, accumulate: accumulate)
        case .openBLAS where !ProductTile.isTiny(shape):
            OpenBLAS.multiply(shape, a, lda, b, ldb, c, ldc, accumulate: accumulate)
        default:
            BuiltInProduct.multiply(shape, a, lda, b, ldb, c, ldc, accumulate: accumulate)
        }
    }
}

extension TensorScalar {
    /// Products without rows, columns or terms, which libraries refuse or leave undefined.
    /// Returns whether this was one.
    fileprivate static func multiplyNothing(
        _ shape: ProductShape, _ c: UnsafeMutablePointer<Self>, _ ldc: Int, accumulate: Bool
    ) -> Bool {
        if shape.m > 0, shape.n > 0, shape.k > 0 { return false }
        if !accumulate, shape.n > 0 {
            for row in 0..<shape.m { (c + row * ldc).update(repeating: 0, count: shape.n) }
        }
        return true
    }

    /// C ← op(A)·op(B) (+ C), one large product on all of the lane's threads.
    ///
    /// C is cut into tiles of a size that depends on the shape alone, so bits do not depend on the number of threads.
    static func multiplyRows(
        _ shape: ProductShape, _ a: UnsafePointer<Self>, _ lda: Int, _ b: UnsafePointer<Self>, _ ldb: Int,
        _ c: UnsafeMutablePointer<Self>, _ ldc: Int, accumulate: Bool
    ) {
        if multiplyNothing(shape, c, ldc, accumulate: accumulate) { return }
        let tile = ProductTile(shape)
        guard tile.count > 1 else {
            multiply(shape, a, lda, b, ldb, c, ldc, accumulate: accumulate)
            return
        }
        tile.forEach(of: shape, lda, ldb, ldc) { part, offsetA, offsetB, offsetC in
            multiply(part, a + offsetA, lda, b + offsetB, ldb, c + offsetC, ldc, accumulate: accumulate)
        }
    }

    /// `count` products of one shape, on all of the lane's threads: Cᵢ ← op(Aᵢ)·op(Bᵢ) (+ Cᵢ).
    ///
    /// Operand i begins `i · stride` elements after the first; a stride of 0 shares A or B. The results must not
    /// overlap.
    static func multiplyBatched(
        _ count: Int, _ shape: ProductShape, _ a: UnsafePointer<Self>, _ strideA: Int, _ lda: Int,
        _ b: UnsafePointer<Self>, _ strideB: Int, _ ldb: Int, _ c: UnsafeMutablePointer<Self>, _ strideC: Int,
        _ ldc: Int, accumulate: Bool
    ) {
        let each = Swift.max(1, ProductTile.work(shape.m, shape.n, shape.k))
        let block = Swift.max(1, ProductTile.leastWork / each)
        inParallel((count + block - 1) / block) { index in
            for i in index * block..<Swift.min((index + 1) * block, count) {
                multiply(
                    shape, a + i * strideA, lda, b + i * strideB, ldb, c + i * strideC, ldc, accumulate: accumulate)
            }
        }
    }
}

/// How a product is cut for threads, from its shape alone.
///
/// A kernel lays out B anew in every call, so tiles are as large as the number of threads one hopes for allows:
/// 256 rows at most, and smaller only until there are eight of them. Rows are cut first: that leaves the matrices
/// dense, as oneDNN wants them.
struct ProductTile {
    let rows: Int
    let columns: Int
    /// Tiles side by side.
    let across: Int
    let count: Int

    /// Multiply-adds of a part worth handing to another thread: about 8 µs.
    static let leastWork = 1 << 20
    private static let shortestSide = 128
    private static let enough = 8
    /// A column of a product with few rows costs as much as one with this many: it is bound by reading B.
    private static let rowsOfOneRead = 8

    init(_ shape: ProductShape) {
        let (m, n, k) = (shape.m, shape.n, shape.k)
        var rows = min(m, 256)
        var columns = n
        func count() -> Int { ((m + rows - 1) / rows) * ((n + columns - 1) / columns) }
        // Halves in whole groups of 64, the width that every kernel likes.
        func half(_ side: Int) -> Int { (side / 2 + 63) / 64 * 64 }
        while count() < Self.enough, Self.work(rows, columns, k) >= 2 * Self.leastWork {
            if rows >= 2 * Self.shortestSide {
                rows = half(rows)
            } else if columns >= 2 * Self.shortestSide {
                columns = half(columns)
            } else {
                break
            }
        }
        self.init(rows: rows, columns: columns, of: shape)
    }

    /// How a product of bfloat16s is cut: its kernel lays B out faster than it multiplies 128 rows by it, and takes A as
    /// it lies where B is transposed, so that as many rows as there are stay together, and columns are cut.
    init(rounded shape: ProductShape) {
        guard shape.isNT else {
            self.init(shape)
            return
        }
        let (m, n, k) = (shape.m, shape.n, shape.k)
        let bands = (m + 255) / 256
        let rows = (m + bands - 1) / bands
        let most = max(Self.work(m, n, k) / bands / Self.leastWork, 1)
        // The kernel takes 64 or 48 columns at a time.
        let even = [8, 6, 12, 14, 4].first { parts in
            parts <= most && n % parts == 0 && n / parts >= 48 && (n / parts % 64 == 0 || n / parts % 48 == 0)
        }
        let columns = even.map { n / $0 } ?? max((n / min(Self.enough, most) + 15) / 16 * 16, 64)
        self.init(rows: rows, columns: min(columns, n), of: shape)
    }

    private init(rows: Int, columns: Int, of shape: ProductShape) {
        (self.rows, self.columns) = (rows, columns)
        across = (shape.n + columns - 1) / columns
        count = (shape.m + rows - 1) / rows * across
    }

    /// Hands the tiles of C to the lane's threads, each with where its part of A, B and C begins.
    func forEach(
        of shape: ProductShape, _ lda: Int, _ ldb: Int, _ ldc: Int,
        _ body: (_ part: ProductShape, _ a: Int, _ b: Int, _ c: Int) -> Void
    ) {
        inParallel(count) { index in
            let row = index / across * rows
            let column = index % across * columns
            var part = shape
            part.m = min(rows, shape.m - row)
            part.n = min(columns, shape.n - column)
            body(
                part, shape.transposeA ? row : row * lda, shape.transposeB ? column * ldb : column,
                row * ldc + column)
        }
    }

    static func work(_ m: Int, _ n: Int, _ k: Int) -> Int { max(m, rowsOfOneRead) * n * k }

    /// From here on a call of oneDNN costs little beside the arithmetic.
    static func isLarge(_ shape: ProductShape) -> Bool {
        shape.m >= 32 && shape.n >= 64 && shape.k >= 32 && shape.m * shape.n * shape.k >= 1 << 20
    }

    /// Up to here a call of OpenBLAS costs as much as the arithmetic.
    static func isTiny(_ shape: ProductShape) -> Bool { max(shape.m, shape.n, shape.k) <= 64 }
}
