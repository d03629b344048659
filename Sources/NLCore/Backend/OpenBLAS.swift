internal import COpenBLAS

/// Matrix products by OpenBLAS, on the calling thread alone.
///
/// OpenBLAS picks its kernels by the processor, or by `OPENBLAS_CORETYPE`; that is left as the user set it, and logged.
enum OpenBLAS {
    /// Version and the processor family whose kernels are in use, for the log.
    static var description: String {
        prepare()
        let version = String(cString: openblas_get_config()).split(separator: " ").prefix(2).joined(separator: " ")
        return "\(version), \(String(cString: openblas_get_corename())) kernels"
    }

    /// Every call on one thread: the parallelism is ours, and threads of OpenBLAS's own would wait on one another.
    @inline(__always)
    static func prepare() { _ = isPrepared }

    private static let isPrepared: Bool = {
        openblas_set_num_threads(1)
        return true
    }()

    static func multiply(
        _ shape: ProductShape, _ a: UnsafePointer<Float>, _ lda: Int, _ b: UnsafePointer<Float>, _ ldb: Int,
        _ c: UnsafeMutablePointer<Float>, _ ldc: Int, accumulate: Bool
    ) {
        prepare()
        cblas_sgemm(
            CblasRowMajor, shape.transposeA ? CblasTrans : CblasNoTrans, shape.transposeB ? CblasTrans : CblasNoTrans,
            Int32(shape.m), Int32(shape.n), Int32(shape.k), 1, a, Int32(lda), b, Int32(ldb), accumulate ? 1 : 0,
            c, Int32(ldc))
    }

    static func multiply(
        _ shape: ProductShape, _ a: UnsafePointer<Double>, _ lda: Int, _ b: UnsafePointer<Double>, _ ldb: Int,
        _ c: UnsafeMutablePointer<Double>, _ ldc: Int, accumulate: Bool
    ) {
        prepare()
        cblas_dgemm(
            CblasRowMajor, shape.transposeA ? CblasTrans : CblasNoTrans, shape.transposeB ? CblasTrans : CblasNoTrans,
            Int32(shape.m), Int32(shape.n), Int32(shape.k), 1, a, Int32(lda), b, Int32(ldb), accumulate ? 1 : 0,
            c, Int32(ldc))
    }
}
