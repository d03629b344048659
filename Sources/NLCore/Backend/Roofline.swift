/// What this machine can do at most, measured by the engine's own means on all threads of the lane: how far a workload
/// is from it says what is left to gain.
public enum Roofline {
    /// Operations a second (a multiply-add is two) of products that fit the caches: the best of several sizes, and of
    /// the libraries that are there.
    ///
    /// - Precondition: the precision is usable here.
    public static func productRate(_ precision: ProductPrecision) -> Double {
        precondition(precision.isUsable, "this processor does not multiply \(precision.rawValue)")
        return [256, 512, 1024].reduce(0) { max($0, productRate(precision, side: $1)) }
    }

    private static func productRate(_ precision: ProductPrecision, side: Int) -> Double {
        let shape = ProductShape(m: side, n: side, k: side, transposeB: true)
        let parts = ComputeBudget.threads
        let factors = (0..<2 * parts).map { _ in
            ProductOperand(Tensor<Float>(repeating: 0.5, shape: [side, side]), precision)
        }
        let sums = (0..<parts).map { _ in Tensor<Float>.zeros([side, side]) }
        let each = max(1, (1 << 29) / (side * side * side))
        // Inside a section a product is not cut, so each thread has its own.
        let seconds = best(of: 5) {
            inParallel(parts) { part in
                for _ in 0..<each {
                    ProductOperand.multiply(
                        shape, factors[2 * part], side, factors[2 * part + 1], side, sums[part].pointer,
                        accumulate: false)
                }
            }
        }
        return 2 * Double(side * side * side * each * parts) / seconds
    }

    /// Bytes a second at which weights of that size are read by one token after another: the product of a row with
    /// panels that lie one behind the other.
    public static func readingRate(bytes: Int) -> Double {
        let (terms, width) = (512, 128)
        let panel = terms * width
        let count = max(1, bytes / (panel * MemoryLayout<Float>.stride))
        let weights = Tensor<Float>(repeating: 0.5, shape: [count, panel])
        let row = Tensor<Float>(repeating: 0.5, shape: [terms])
        let sums = Tensor<Float>.zeros([count, width])
        let rounds = max(1, (1 << 30) / (count * panel * MemoryLayout<Float>.stride))
        let seconds = best(of: 5) {
            for _ in 0..<rounds {
                inParallel(count) { index in
                    BuiltInProduct.multiply(
                        ProductShape(m: 1, n: width, k: terms), row.pointer, terms, weights.pointer + index * panel,
                        width, sums.pointer + index * width, width, accumulate: false)
                }
            }
        }
        return Double(count * panel * MemoryLayout<Float>.stride * rounds) / seconds
    }

    private static func best(of repetitions: Int, _ body: () -> Void) -> Double {
        body()
        return (0..<repetitions).reduce(Double.infinity) { best, _ in
            let start = ContinuousClock.now
            body()
            return min(best, start.duration(to: .now) / .seconds(1))
        }
    }
}
