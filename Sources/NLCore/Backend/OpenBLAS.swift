internal import COpenBLAS

extension Double: TensorScalar {
    public static func multiply(
        _ shape: ProductShape, _ a: UnsafePointer<Double>, _ lda: Int, _ b: UnsafePointer<Double>, _ ldb: Int,
        _ c: UnsafeMutablePointer<Double>, _ ldc: Int, accumulate: Bool
    ) {
        cblas_dgemm(
            CblasRowMajor, shape.transposeA ? CblasTrans : CblasNoTrans, shape.transposeB ? CblasTrans : CblasNoTrans,
            Int32(shape.m), Int32(shape.n), Int32(shape.k), 1, a, Int32(lda), b, Int32(ldb), accumulate ? 1 : 0,
            c, Int32(ldc))
    }
}

extension Float: TensorScalar {
    public static func multiply(
        _ shape: ProductShape, _ a: UnsafePointer<Float>, _ lda: Int, _ b: UnsafePointer<Float>, _ ldb: Int,
        _ c: UnsafeMutablePointer<Float>, _ ldc: Int, accumulate: Bool
    ) {
        cblas_sgemm(
            CblasRowMajor, shape.transposeA ? CblasTrans : CblasNoTrans, shape.transposeB ? CblasTrans : CblasNoTrans,
            Int32(shape.m), Int32(shape.n), Int32(shape.k), 1, a, Int32(lda), b, Int32(ldb), accumulate ? 1 : 0,
            c, Int32(ldc))
    }
}
