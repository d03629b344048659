import ArgumentParser
import NLCore

/// What dense products of training and learning are multiplied in, as a user says it.
enum PrecisionChoice: String, CaseIterable, ExpressibleByArgument {
    case f32, bf16, auto

    /// What it comes to on this processor.
    var products: ProductPrecision {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .auto: .fastest
        }
    }

    /// The same as it is noted with what it decides: left out where it is f32, so that what was done before there was a
    /// choice stays what it was.
    var noted: ProductPrecision? { products == .f32 ? nil : products }

    /// Why it can't be had where `products` is not usable.
    static let refusal = "this processor does not multiply bfloat16 (AVX512-BF16 or AMX); take f32 or auto"
}
