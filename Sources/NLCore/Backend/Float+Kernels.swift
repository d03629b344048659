internal import CKernels

/// The kernels of `Float`: vectorised, in the best instruction set that the processor has.
///
/// Each is documented at ``TensorScalar`` and equals its naive form up to rounding.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Float {
    public static func exponentials(_ count: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>) {
        nl_exponentials(nl_best_isa(), count, x, y)
    }

    public static func sigmoids(_ count: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>) {
        nl_sigmoids(nl_best_isa(), count, x, y)
    }

    public static func silu(_ count: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>) {
        nl_silu(nl_best_isa(), count, x, y)
    }

    public static func siluBackward(
        _ count: Int, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>
    ) {
        nl_silu_backward(nl_best_isa(), count, x, dy, dx)
    }

    public static func siluSlope(_ count: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>) {
        nl_silu_slope(nl_best_isa(), count, x, y)
    }

    public static func siluSlopeBackward(
        _ count: Int, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>
    ) {
        nl_silu_slope_backward(nl_best_isa(), count, x, dy, dx)
    }

    public static func add(
        _ count: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
    ) {
        nl_add(nl_best_isa(), count, a, b, y)
    }

    public static func multiplyElements(
        _ count: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
    ) {
        nl_multiply(nl_best_isa(), count, a, b, y)
    }

    public static func multiplyAccumulate(
        _ count: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
    ) {
        nl_multiply_accumulate(nl_best_isa(), count, a, b, y)
    }

    public static func axpy(
        _ count: Int, _ scale: Float, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
    ) {
        nl_axpy(nl_best_isa(), count, scale, x, y)
    }

    public static func addSigned(
        _ count: Int, _ value: Float, _ bits: UnsafePointer<UInt64>, _ y: UnsafeMutablePointer<Float>
    ) {
        nl_add_signed(nl_best_isa(), count, value, bits, y)
    }

    public static func dot(_ count: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>) -> Float {
        nl_dot(nl_best_isa(), count, a, b)
    }

    public static func unitRows(
        _ rows: Int, _ width: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
        _ scales: UnsafeMutablePointer<Float>
    ) {
        nl_unit_rows(nl_best_isa(), rows, width, normalizationEpsilon(Float.self), x, y, scales)
    }

    public static func unitRowsBackward(
        _ rows: Int, _ width: Int, _ y: UnsafePointer<Float>, _ scales: UnsafePointer<Float>,
        _ dy: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>
    ) {
        nl_unit_rows_backward(nl_best_isa(), rows, width, y, scales, dy, dx)
    }

    public static func rmsRows(
        _ rows: Int, _ width: Int, epsilon: Float, _ x: UnsafePointer<Float>, _ gain: UnsafePointer<Float>,
        _ y: UnsafeMutablePointer<Float>, _ scales: UnsafeMutablePointer<Float>
    ) {
        nl_rms_rows(nl_best_isa(), rows, width, epsilon, x, gain, y, scales)
    }

    public static func rmsRowsBackward(
        _ rows: Int, _ width: Int, _ x: UnsafePointer<Float>, _ gain: UnsafePointer<Float>,
        _ scales: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>,
        _ dgain: UnsafeMutablePointer<Float>
    ) {
        nl_rms_rows_backward(nl_best_isa(), rows, width, x, gain, scales, dy, dx, dgain)
    }

    public static func crossEntropyRows(
        _ rows: Int, _ width: Int, _ x: UnsafeMutablePointer<Float>, _ targets: UnsafePointer<Int32>,
        _ weights: UnsafePointer<Float>, _ losses: UnsafeMutablePointer<Float>
    ) {
        nl_cross_entropy_rows(nl_best_isa(), rows, width, x, targets, weights, losses)
    }

    public static func adamW(
        _ count: Int, _ step: AdamWStep<Float>, _ gradient: UnsafePointer<Float>,
        _ parameter: UnsafeMutablePointer<Float>, _ first: UnsafeMutablePointer<Float>,
        _ second: UnsafeMutablePointer<Float>
    ) {
        nl_adamw_step(nl_best_isa(), count, step.scalars, gradient, parameter, first, second)
    }
}

extension AdamWStep<Float> {
    var scalars: nl_adamw {
        nl_adamw(
            learning_rate: learningRate, beta1: beta1, beta2: beta2, epsilon: epsilon, weight_decay: weightDecay,
            correction1: correction1, correction2: correction2, gradient_scale: gradientScale)
    }
}
