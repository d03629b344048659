/// `POST /v1/completions`.
struct CompletionRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case model, prompt, suffix, temperature, seed, stop, n, logprobs, echo, stream, space, session, learn
        case maxTokens = "max_tokens"
        case topP = "top_p"
        case topK = "top_k"
        case minP = "min_p"
        case bestOf = "best_of"
        case presencePenalty = "presence_penalty"
        case frequencyPenalty = "frequency_penalty"
        case logitBias = "logit_bias"
        case streamOptions = "stream_options"
        case ignoreEndOfText = "ignore_eos"
    }

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
        fields = GenerationFields(
            model: try c.decodeIfPresent(String.self, forKey: .model),
            maxTokens: try c.integer(.maxTokens),
            temperature: try c.decodeIfPresent(Double.self, forKey: .temperature),
            topP: try c.decodeIfPresent(Double.self, forKey: .topP),
            topK: try c.integer(.topK),
            minP: try c.decodeIfPresent(Double.self, forKey: .minP),
            seed: try c.integer(.seed),
            stop: try c.decodeIfPresent(OneOrMany.self, forKey: .stop)?.values ?? [],
            count: try c.integer(.n),
            presencePenalty: try c.decodeIfPresent(Double.self, forKey: .presencePenalty),
            frequencyPenalty: try c.decodeIfPresent(Double.self, forKey: .frequencyPenalty),
            logitBias: try c.decodeIfPresent([String: Double].self, forKey: .logitBias),
            stream: try c.decodeIfPresent(Bool.self, forKey: .stream),
            streamOptions: try c.decodeIfPresent(GenerationFields.StreamOptions.self, forKey: .streamOptions),
            ignoresEndOfText: try c.decodeIfPresent(Bool.self, forKey: .ignoreEndOfText),
            space: try c.decodeIfPresent(String.self, forKey: .space),
            session: try c.decodeIfPresent(String.self, forKey: .session),
            learn: try c.decodeIfPresent(String.self, forKey: .learn))
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
