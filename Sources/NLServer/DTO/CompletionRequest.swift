/// `POST /v1/completions`.
struct CompletionRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case prompt, suffix, logprobs, echo
        case bestOf = "best_of"
    }

    static let acceptedFields = GenerationFields.names + CodingKeys.allCases.map(\.rawValue)
    static let ignoredFields = ["user", "metadata", "store", "service_tier"]

    var prompt: WirePrompt
    var suffix: String?
    var bestOf: Int?
    var logprobs: Int?
    var echo: Bool
    var fields: GenerationFields

    init(from decoder: any Decoder) throws {
        let c = try decoder.container(keyedBy: CodingKeys.self)
        prompt = try c.decode(WirePrompt.self, forKey: .prompt)
        suffix = try c.decodeIfPresent(String.self, forKey: .suffix)
        bestOf = try c.integer(.bestOf)
        logprobs = try c.integer(.logprobs)
        echo = try c.decodeIfPresent(Bool.self, forKey: .echo) ?? false
        fields = try GenerationFields(from: decoder)
    }

    /// OpenAI's default for this route.
    static let defaultMaxTokens = 16

    /// - Throws: ``APIError`` 400.
    func generation(limits: RequestLimits, requestID: String) throws -> GenerationRequest {
        let input: GenerationRequest.Input
        switch prompt {
        case .text(let text):
            try Check.notEmpty(text, "prompt")
            input = .text(text)
        case .tokens(let tokens):
            guard !tokens.isEmpty else { throw APIError.invalid("prompt", "'prompt' must not be empty.") }
            guard tokens.allSatisfy({ $0 >= 0 }) else {
                throw APIError.invalid("prompt", "Token ids are not negative.")
            }
            input = .tokens(tokens)
        }
        try Check.range(logprobs, "logprobs", 0...GenerationFields.maxAlternatives)
        if let suffix, !suffix.isEmpty { throw APIError.invalid("suffix", "'suffix' is not supported.") }
        if let bestOf, bestOf != 1 {
            throw APIError.invalid("best_of", "'best_of' is not supported; only 1 is accepted.")
        }
        var request = try fields.request(
            input: input, defaultMaxTokens: Self.defaultMaxTokens, maxTokensField: "max_tokens", limits: limits,
            requestID: requestID)
        request.topLogprobs = logprobs
        request.echo = echo
        return request
    }
}
