/// How the next token is drawn from the logits.
///
/// In this order: divide by the temperature, keep the `topK` likeliest, keep the fewest likeliest whose probabilities
/// (among those kept so far) reach `topP`, keep those at least `minP` times as likely as the likeliest, draw.
public struct SamplingParameters: Sendable, Hashable, Codable {
    /// Divides the logits; 0 takes the likeliest token.
    public let temperature: Double
    /// How many tokens stay; 0 keeps all.
    public let topK: Int
    /// The share of probability that stays; 1 keeps all.
    public let topP: Double
    /// The least probability that stays, in units of the largest; 0 keeps all.
    public let minP: Double

    /// Parameters that have been checked.
    ///
    /// - Throws: ``SamplingParametersError`` with the parameter, its value and what is accepted.
    public init(
        temperature: Double = 1, topK: Int = 0, topP: Double = 1, minP: Double = 0
    ) throws(SamplingParametersError) {
        // A comparison with NaN is false, so NaN is refused with the rest.
        guard temperature >= 0, temperature <= 100 else { throw .temperature(temperature) }
        guard topK >= 0 else { throw .topK(topK) }
        guard topP > 0, topP <= 1 else { throw .topP(topP) }
        guard minP >= 0, minP <= 1 else { throw .minP(minP) }
        self.init(unchecked: temperature, topK, topP, minP)
    }

    /// Always the likeliest token.
    public static let greedy = SamplingParameters(unchecked: 0, 0, 1, 0)

    private init(unchecked temperature: Double, _ topK: Int, _ topP: Double, _ minP: Double) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
    }

    enum CodingKeys: String, CodingKey {
        case temperature
        case topK = "top_k"
        case topP = "top_p"
        case minP = "min_p"
    }

    /// Reads and checks parameters; those that are missing take their defaults.
    public init(from decoder: any Decoder) throws {
        let c = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            temperature: try c.decodeIfPresent(Double.self, forKey: .temperature) ?? 1,
            topK: try c.decodeIfPresent(Int.self, forKey: .topK) ?? 0,
            topP: try c.decodeIfPresent(Double.self, forKey: .topP) ?? 1,
            minP: try c.decodeIfPresent(Double.self, forKey: .minP) ?? 0)
    }
}

/// A sampling parameter that is out of range.
public enum SamplingParametersError: Error, Sendable, CustomStringConvertible {
    case temperature(Double)
    case topK(Int)
    case topP(Double)
    case minP(Double)

    /// What was given and what is accepted.
    public var description: String {
        switch self {
        case .temperature(let value): "temperature is \(value); 0 to 100 is accepted, 0 takes the likeliest token"
        case .topK(let value): "top_k is \(value); 0 (keep all) or more is accepted"
        case .topP(let value): "top_p is \(value); above 0 and up to 1 (keep all) is accepted"
        case .minP(let value): "min_p is \(value); 0 (keep all) to 1 is accepted"
        }
    }
}
