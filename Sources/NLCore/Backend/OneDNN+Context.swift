internal import CDNNL
internal import Glibc

extension OneDNN {
    /// One compiled product with its memory objects.
    struct Product {
        var primitive: dnnl_primitive_t
        var a: dnnl_memory_t
        var b: dnnl_memory_t
        var c: dnnl_memory_t
        var arguments: UnsafeMutablePointer<dnnl_exec_arg_t>

        func destroy() {
            arguments.deallocate()
            dnnl_primitive_destroy(primitive)
            for memory in [a, b, c] { dnnl_memory_destroy(memory) }
        }
    }

    /// Everything oneDNN needs on one thread.
    final class Context {
        private let engine: dnnl_engine_t
        private let stream: dnnl_stream_t
        private var products: [Key: Product] = [:]
        /// The last one used: rows of equal products follow one another.
        private var last: (key: Key, product: Product)?

        /// More shapes than a model and its batches have; beyond it the thread starts afresh.
        private static let capacity = 1024

        init?() {
            useOneOpenMPThread()
            var engine: dnnl_engine_t?
            var stream: dnnl_stream_t?
            guard dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success, let engine else { return nil }
            guard
                dnnl_stream_create(&stream, engine, dnnl_stream_default_flags.rawValue) == dnnl_success, let stream
            else {
                dnnl_engine_destroy(engine)
                return nil
            }
            self.engine = engine
            self.stream = stream
        }

        deinit {
            for product in products.values { product.destroy() }
            dnnl_stream_destroy(stream)
            dnnl_engine_destroy(engine)
        }

        /// Made at the thread's first product; nil where oneDNN can make none, which is tried again at the next.
        static var ofThisThread: Context? {
            if let known = pthread_getspecific(threadKey) {
                return Unmanaged<Context>.fromOpaque(known).takeUnretainedValue()
            }
            guard let context = Context() else { return nil }
            pthread_setspecific(threadKey, Unmanaged.passRetained(context).toOpaque())
            return context
        }

        private static let threadKey: pthread_key_t = {
            var key = pthread_key_t()
            let status = pthread_key_create(&key) { context in
                if let context { Unmanaged<Context>.fromOpaque(context).release() }
            }
            precondition(status == 0, "pthread_key_create: error \(status)")
            return key
        }()

        /// Returns false, with C as it was, where oneDNN cannot prepare the product.
        func run(
            _ key: Key, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeMutablePointer<Float>
        ) -> Bool {
            guard let product = find(key) else { return false }
            dnnl_memory_set_data_handle(product.a, UnsafeMutableRawPointer(mutating: a))
            dnnl_memory_set_data_handle(product.b, UnsafeMutableRawPointer(mutating: b))
            dnnl_memory_set_data_handle(product.c, c)
            let status = dnnl_primitive_execute(product.primitive, stream, 3, product.arguments)
            precondition(status == dnnl_success, "oneDNN: \(key) failed with status \(status.rawValue)")
            return true
        }

        private func find(_ key: Key) -> Product? {
            if let last, last.key == key { return last.product }
            let product: Product
            if let known = products[key] {
                product = known
            } else {
                if products.count == Self.capacity {
                    for product in products.values { product.destroy() }
                    products.removeAll(keepingCapacity: true)
                }
                guard let made = makeProduct(key) else { return nil }
                products[key] = made
                product = made
            }
            last = (key, product)
            return product
        }

        func makeProduct(_ key: Key) -> Product? {
            let shape = key.shape
            let type = key.isRounded ? dnnl_bf16 : dnnl_f32
            var a = describe(shape.m, shape.k, key.lda, isTransposed: shape.transposeA, type)
            var b = describe(shape.k, shape.n, key.ldb, isTransposed: shape.transposeB, type)
            var c = describe(shape.m, shape.n, key.ldc, isTransposed: false, dnnl_f32)
            var operation = dnnl_matmul_desc_t()
            guard dnnl_matmul_desc_init(&operation, &a, &b, nil, &c) == dnnl_success else { return nil }

            var attributes: dnnl_primitive_attr_t?
            var postOperations: dnnl_post_ops_t?
            dnnl_primitive_attr_create(&attributes)
            dnnl_post_ops_create(&postOperations)
            defer {
                dnnl_post_ops_destroy(postOperations)
                dnnl_primitive_attr_destroy(attributes)
            }
            if key.accumulate {
                dnnl_post_ops_append_sum(postOperations, 1)
                dnnl_primitive_attr_set_post_ops(attributes, postOperations)
            }
            guard let description = describe(&operation, attributes, prefersBlocks: key.isRounded && shape.isNT) else {
                return nil
            }
            defer { dnnl_primitive_desc_destroy(description) }
            var primitive: dnnl_primitive_t?
            guard dnnl_primitive_create(&primitive, description) == dnnl_success, let primitive else { return nil }

            let memories = [a, b, c].compactMap { description in
                var memory: dnnl_memory_t?
                var description = description
                return dnnl_memory_create(&memory, &description, engine, nil) == dnnl_success ? memory : nil
            }
            guard memories.count == 3 else {
                for memory in memories { dnnl_memory_destroy(memory) }
                dnnl_primitive_destroy(primitive)
                return nil
            }
            let arguments = UnsafeMutablePointer<dnnl_exec_arg_t>.allocate(capacity: 3)
            arguments[0] = dnnl_exec_arg_t(arg: DNNL_ARG_SRC, memory: memories[0])
            arguments[1] = dnnl_exec_arg_t(arg: DNNL_ARG_WEIGHTS, memory: memories[1])
            arguments[2] = dnnl_exec_arg_t(arg: DNNL_ARG_DST, memory: memories[2])
            return Product(
                primitive: primitive, a: memories[0], b: memories[1], c: memories[2], arguments: arguments)
        }

        /// The implementation that is used: oneDNN's first, or the one that takes A as it lies, which is 5 to 12 % faster
        /// with bfloat16s where B lies transposed, and slower where it doesn't.
        private func describe(
            _ operation: inout dnnl_matmul_desc_t, _ attributes: dnnl_primitive_attr_t?, prefersBlocks: Bool
        ) -> dnnl_primitive_desc_t? {
            var iterator: dnnl_primitive_desc_iterator_t?
            guard
                dnnl_primitive_desc_iterator_create(&iterator, &operation, attributes, engine, nil) == dnnl_success
            else { return nil }
            defer { dnnl_primitive_desc_iterator_destroy(iterator) }
            let first = dnnl_primitive_desc_iterator_fetch(iterator)
            while prefersBlocks {
                let found = dnnl_primitive_desc_iterator_fetch(iterator)
                var name: UnsafePointer<CChar>?
                dnnl_primitive_desc_query(found, dnnl_query_impl_info_str, 0, &name)
                if let name, String(cString: name).hasPrefix("brg") {
                    dnnl_primitive_desc_destroy(first)
                    return found
                }
                dnnl_primitive_desc_destroy(found)
                if dnnl_primitive_desc_iterator_next(iterator) != dnnl_success { break }
            }
            return first
        }

        private func describe(
            _ rows: Int, _ columns: Int, _ stride: Int, isTransposed: Bool, _ type: dnnl_data_type_t
        ) -> dnnl_memory_desc_t {
            var description = dnnl_memory_desc_t()
            let status = dnnl_memory_desc_init_by_strides(
                &description, 2, [Int64(rows), Int64(columns)], type,
                isTransposed ? [1, Int64(stride)] : [Int64(stride), 1])
            precondition(status == dnnl_success, "oneDNN refuses a \(rows) x \(columns) matrix")
            return description
        }
    }
}

/// oneDNN asks the OpenMP runtime for threads, whose number is a setting of the calling thread. The workers of
/// `WorkerPool` are the only parallelism here.
private func useOneOpenMPThread() {
    typealias SetThreads = @convention(c) (Int32) -> Void
    // libgomp comes with libdnnl, and has no header that both compilers' C modules agree on.
    guard let symbol = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "omp_set_num_threads") else { return }
    unsafeBitCast(symbol, to: SetThreads.self)(1)
}
