/// How rotary positions are stretched beyond the context a model was trained on (`rope_scaling` in `config.json`); keys
/// are Hugging Face's.
public struct RotaryScaling: Sendable, Hashable, Codable {
    /// The variants.
    public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
        /// Positions divided by the factor.
        case linear
        /// A base that grows with the length read (NTK-aware).
        case dynamic
        /// Llama 3: long waves divided by the factor, short ones kept, those between interpolated.
        case llama3
        /// YaRN (Peng et al. 2023): the same by a ramp over dimensions, and a factor on the attention's logits.
        case yarn
    }

    /// Which variant.
    public var kind: Kind
    /// How far the context is stretched.
    public var factor: Double
    /// The context before it was stretched.
    public var originalContext: Int?
    /// Llama 3: waves longer than the original context over this are divided.
    public var lowFrequencyFactor: Double?
    /// Llama 3: waves shorter than the original context over this are kept.
    public var highFrequencyFactor: Double?
    /// YaRN: factor on cosines and sines; nil takes 0.1 ln(factor) + 1.
    public var attentionFactor: Double?
    /// YaRN: rotations in the original context above which a dimension is kept.
    public var betaFast: Double?
    /// YaRN: rotations below which it is divided.
    public var betaSlow: Double?
    /// YaRN: whether the ramp's ends are rounded to whole dimensions.
    public var truncates: Bool?

    /// A variant and its factor.
    public init(_ kind: Kind, factor: Double, originalContext: Int? = nil) {
        self.kind = kind
        self.factor = factor
        self.originalContext = originalContext
    }

    enum CodingKeys: String, CodingKey {
        case factor
        case kind = "rope_type"
        case originalContext = "original_max_position_embeddings"
        case lowFrequencyFactor = "low_freq_factor"
        case highFrequencyFactor = "high_freq_factor"
        case attentionFactor = "attention_factor"
        case betaFast = "beta_fast"
        case betaSlow = "beta_slow"
        case truncates = "truncate"
    }

    /// Checks that the numbers a variant needs are there and usable.
    func validate() throws(ConfigurationError) {
        func fail(_ message: String) -> ConfigurationError { ConfigurationError(key: "rope_scaling", message: message) }
        guard factor >= 1 && factor.isFinite else { throw fail("has the factor \(factor); 1 or more is accepted") }
        if let originalContext, originalContext < 1 {
            throw fail("has original_max_position_embeddings \(originalContext); 1 or more is accepted")
        }
        switch kind {
        case .linear: break
        case .dynamic, .yarn:
            guard originalContext != nil else { throw fail("lacks \"original_max_position_embeddings\"") }
        case .llama3:
            guard originalContext != nil, let low = lowFrequencyFactor, let high = highFrequencyFactor else {
                throw fail(
                    "lacks \"original_max_position_embeddings\", \"low_freq_factor\" or \"high_freq_factor\", which llama3 needs"
                )
            }
            guard low > 0 && high > low else {
                throw fail("has low_freq_factor \(low) and high_freq_factor \(high); 0 < low < high is accepted")
            }
        }
    }
}
