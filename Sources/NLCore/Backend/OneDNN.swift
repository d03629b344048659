internal import CDNNL

/// Matrix products by oneDNN, on the calling thread alone.
///
/// Each thread owns its stream, its primitives and their memory objects: oneDNN's scratchpad belongs to the thread
/// that made the primitive, and nothing has to be locked. In the steady state a product finds its primitive by
/// shape, points three memory objects at the caller's numbers and runs; nothing is allocated.
enum OneDNN {
    /// Whether oneDNN can do here what this project relies on: AVX-512 kernels (those for AVX2 are slow and their bits
    /// depend on the number of rows), memory mappings that are both writable and executable for its code generator,
    /// and sums in the order of their terms. That order is nowhere promised, so it is tried out.
    static let isUsable: Bool = {
        // Values of dnnl_cpu_isa_t are sets of bits: every one with AVX-512 contains that of AVX512_CORE.
        let avx512 = dnnl_cpu_isa_avx512_core.rawValue
        guard dnnl_get_effective_cpu_isa().rawValue & avx512 == avx512, let context = Context() else { return false }
        return ProductShape.probes.allSatisfy { shape in
            context.makeProduct(Key(dense: shape, accumulate: true)).map { product in
                defer { product.destroy() }
                return sumsInOrder(shape)
            } ?? false
        }
    }()

    private static func sumsInOrder(_ shape: ProductShape) -> Bool {
        func numbers(_ count: Int, _ step: Int) -> [Float] {
            (0..<count).map { Float(($0 &* step) % 1021 - 510) / 511 }
        }
        let a = numbers(shape.m * shape.k, 389)
        let b = numbers(shape.k * shape.n, 631)
        var c = numbers(shape.m * shape.n, 97)
        var expected = c
        multiply(shape, a, b, &c, accumulate: true)
        BuiltInProduct.multiply(
            shape, a, shape.transposeA ? shape.m : shape.k, b, shape.transposeB ? shape.k : shape.n, &expected,
            shape.n, accumulate: true)
        return c == expected
    }

    /// Version and instruction set, for the log.
    static var description: String {
        guard let version = dnnl_version()?.pointee, let isa = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa()) else {
            return "oneDNN"
        }
        let name = String(cString: isa).replacing("cpu_isa_", with: "")
        return "oneDNN \(version.major).\(version.minor).\(version.patch), \(name)"
    }

    /// Whether oneDNN's fast kernel takes this product as it stands: matrices without gaps, sums of one chain. It
    /// answers others with another kernel, whose bits depend on the number of rows.
    static func takes(_ shape: ProductShape, _ lda: Int, _ ldb: Int, _ ldc: Int) -> Bool {
        let isWhole = shape.k <= BuiltInProduct.longestChain || (shape.transposeA && !shape.transposeB)
        return isWhole && lda == (shape.transposeA ? shape.m : shape.k)
            && ldb == (shape.transposeB ? shape.k : shape.n) && ldc == shape.n
    }

    /// C ← op(A)·op(B) (+ C) of matrices that it ``takes(_:_:_:_:)``; bit for bit ``BuiltInProduct``, which does what
    /// oneDNN cannot: a thread or a shape it has no memory left to prepare for.
    static func multiply(
        _ shape: ProductShape, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>,
        accumulate: Bool
    ) {
        let context = Context.ofThisThread
        var part = shape
        for start in stride(from: 0, to: shape.k, by: BuiltInProduct.longestChain) {
            part.k = min(BuiltInProduct.longestChain, shape.k - start)
            let (left, right) = (a + start * shape.m, b + start * shape.n)
            let adds = accumulate || start > 0
            if let context, context.run(Key(dense: part, accumulate: adds), left, right, c) { continue }
            BuiltInProduct.multiply(
                part, left, part.transposeA ? part.m : part.k, right, part.transposeB ? part.k : part.n, c, part.n,
                accumulate: adds)
        }
    }

    /// Whether the processor multiplies bfloat16s itself: without that, oneDNN takes them apart one by one.
    static let multipliesBFloat16: Bool = {
        let bfloat16 = dnnl_cpu_isa_avx512_core_bf16.rawValue
        guard dnnl_get_effective_cpu_isa().rawValue & bfloat16 == bfloat16, let context = Context() else {
            return false
        }
        let product = context.makeProduct(
            Key(shape: ProductShape(m: 33, n: 96, k: 64), lda: 64, ldb: 96, ldc: 96, accumulate: true, isRounded: true))
        product?.destroy()
        return product != nil
    }()

    /// C ← op(A)·op(B) (+ C) with A and B in bfloat16, sums in `Float`.
    ///
    /// - Returns: false, with C as it was, where not ``multipliesBFloat16``, or there is no memory left to prepare for it.
    static func multiplyRounded(
        _ shape: ProductShape, _ a: UnsafePointer<UInt16>, _ lda: Int, _ b: UnsafePointer<UInt16>, _ ldb: Int,
        _ c: UnsafeMutablePointer<Float>, _ ldc: Int, accumulate: Bool
    ) -> Bool {
        guard multipliesBFloat16 else { return false }
        let key = Key(shape: shape, lda: lda, ldb: ldb, ldc: ldc, accumulate: accumulate, isRounded: true)
        return Context.ofThisThread?.run(key, a, b, c) ?? false
    }

    /// What oneDNN compiles a product for.
    struct Key: Hashable {
        var shape: ProductShape
        var lda: Int
        var ldb: Int
        var ldc: Int
        var accumulate: Bool
        /// A and B are in bfloat16.
        var isRounded = false

        init(shape: ProductShape, lda: Int, ldb: Int, ldc: Int, accumulate: Bool, isRounded: Bool) {
            (self.shape, self.lda, self.ldb, self.ldc) = (shape, lda, ldb, ldc)
            (self.accumulate, self.isRounded) = (accumulate, isRounded)
        }

        /// Matrices of `Float` without gaps.
        init(dense shape: ProductShape, accumulate: Bool) {
            self.init(
                shape: shape, lda: shape.transposeA ? shape.m : shape.k, ldb: shape.transposeB ? shape.k : shape.n,
                ldc: shape.n, accumulate: accumulate, isRounded: false)
        }
    }
}

extension ProductShape {
    /// x Wᵀ, as the forward pass has it.
    var isNT: Bool { !transposeA && transposeB }

    /// Small ones that oneDNN answers with its large kernel.
    fileprivate static let probes = [
        ProductShape(m: 33, n: 96, k: 512),
        ProductShape(m: 33, n: 96, k: 512, transposeB: true),
        ProductShape(m: 96, n: 64, k: 512, transposeA: true),
        ProductShape(m: 1, n: 64, k: 64, transposeB: true),
    ]
}
