import HTTPTypes

/// What completions and chat completions have in common, and the checks on it.
struct GenerationFields: Decodable, Sendable {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case model, temperature, seed, stop, n, stream, space, session, learn, recall
        case recallBudget = "recall_budget"
        case maxTokens = "max_tokens"
        case topP = "top_p"
        case topK = "top_k"
        case minP = "min_p"
        case presencePenalty = "presence_penalty"
        case frequencyPenalty = "frequency_penalty"
        case logitBias = "logit_bias"
        case streamOptions = "stream_options"
        case ignoresEndOfText = "ignore_eos"
    }

    static let names = CodingKeys.allCases.map(\.rawValue)

    var model: String?
    var maxTokens: Int?
    var temperature: Double?
    var topP: Double?
    var topK: Int?
    var minP: Double?
    var seed: Int?
    var stop: [String]
    var n: Int?
    var presencePenalty: Double?
    var frequencyPenalty: Double?
    var logitBias: [String: Double]?
    var stream: Bool?
    var streamOptions: StreamOptions?
    var ignoresEndOfText: Bool?
    var space: String?
    var session: String?
    var learn: String?
    var recall: String?
    var recallBudget: Int?

    init(from decoder: any Decoder) throws {
        let c = try decoder.container(keyedBy: CodingKeys.self)
        model = try c.decodeIfPresent(String.self, forKey: .model)
        maxTokens = try c.integer(.maxTokens)
        temperature = try c.decodeIfPresent(Double.self, forKey: .temperature)
        topP = try c.decodeIfPresent(Double.self, forKey: .topP)
        topK = try c.integer(.topK)
        minP = try c.decodeIfPresent(Double.self, forKey: .minP)
        seed = try c.integer(.seed)
        stop = try c.decodeIfPresent(OneOrMany.self, forKey: .stop)?.values ?? []
        n = try c.integer(.n)
        presencePenalty = try c.decodeIfPresent(Double.self, forKey: .presencePenalty)
        frequencyPenalty = try c.decodeIfPresent(Double.self, forKey: .frequencyPenalty)
        logitBias = try c.decodeIfPresent([String: Double].self, forKey: .logitBias)
        stream = try c.decodeIfPresent(Bool.self, forKey: .stream)
        streamOptions = try c.decodeIfPresent(StreamOptions.self, forKey: .streamOptions)
        ignoresEndOfText = try c.decodeIfPresent(Bool.self, forKey: .ignoresEndOfText)
        space = try c.decodeIfPresent(String.self, forKey: .space)
        session = try c.decodeIfPresent(String.self, forKey: .session)
        learn = try c.decodeIfPresent(String.self, forKey: .learn)
        recall = try c.decodeIfPresent(String.self, forKey: .recall)
        recallBudget = try c.integer(.recallBudget)
    }

    struct StreamOptions: Decodable, Sendable {
        enum CodingKeys: String, CodingKey { case includeUsage = "include_usage" }
        var includeUsage: Bool?
    }

    static let maxStops = 4
    static let maxAlternatives = 20

    var isStreamed: Bool { stream ?? false }
    var includesUsage: Bool { streamOptions?.includeUsage ?? false }

    /// - Throws: ``APIError`` 400 naming the field and what is accepted.
    func request(
        input: GenerationRequest.Input, defaultMaxTokens: Int, maxTokensField: String, limits: RequestLimits,
        requestID: String
    ) throws -> GenerationRequest {
        try check(maxTokensField: maxTokensField, limits: limits)
        return GenerationRequest(
            input: input,
            sampling: SamplingParameters(
                temperature: temperature ?? 1, topP: topP ?? 1, topK: topK ?? 0, minP: minP ?? 0,
                seed: seed.map { UInt64(bitPattern: Int64($0)) }),
            maxTokens: maxTokens ?? min(defaultMaxTokens, limits.maxTokens), stop: stop,
            ignoresEndOfText: ignoresEndOfText ?? false, space: space ?? Space.default, session: session,
            learn: try learnMode(), requestID: requestID, recall: try recallMode(limits), recallBudget: recallBudget)
    }

    private func check(maxTokensField: String, limits: RequestLimits) throws {
        try Check.range(maxTokens, maxTokensField, 0...limits.maxTokens)
        try Check.range(temperature, "temperature", 0...2)
        if let topP, !(topP > 0 && topP <= 1) {
            throw APIError.invalid("top_p", "'top_p' must be above 0 and at most 1, got \(topP).")
        }
        try Check.range(topK, "top_k", 0...Int(Int32.max))
        if let minP, !(minP >= 0 && minP < 1) {
            throw APIError.invalid("min_p", "'min_p' must be from 0 to below 1, got \(minP).")
        }
        guard stop.count <= Self.maxStops else {
            throw APIError.invalid("stop", "'stop' takes up to \(Self.maxStops) strings, got \(stop.count).")
        }
        for stop in stop { try Check.notEmpty(stop, "stop") }
        if streamOptions != nil, !isStreamed {
            throw APIError.invalid("stream_options", "'stream_options' is only for 'stream': true.")
        }
        try Check.identifier(session, "session")
        try Check.identifier(space, "space")
        try checkUnsupported()
    }

    /// Fields that would change the answer and that nothing here does: refused unless at the value that changes nothing.
    private func checkUnsupported() throws {
        func refuse(_ name: String, _ accepted: String) -> APIError {
            APIError(
                status: .badRequest, code: "unsupported_value", message: "'\(name)' is not supported; \(accepted).",
                parameter: name)
        }
        if let n, n != 1 { throw refuse("n", "only 1 is accepted") }
        if let presencePenalty, presencePenalty != 0 { throw refuse("presence_penalty", "only 0 is accepted") }
        if let frequencyPenalty, frequencyPenalty != 0 { throw refuse("frequency_penalty", "only 0 is accepted") }
        if let logitBias, !logitBias.isEmpty { throw refuse("logit_bias", "only an empty object is accepted") }
    }

    private func recallMode(_ limits: RequestLimits) throws -> RecallMode {
        guard let mode = RecallMode(rawValue: recall ?? RecallMode.weights.rawValue) else {
            throw APIError(
                status: .badRequest, code: "invalid_value", message: "'recall' is '\(recall ?? "")'.",
                parameter: "recall",
                accepted: RecallMode.allCases.map(\.rawValue))
        }
        if mode != .weights, session != nil {
            throw APIError.invalid(
                "recall",
                "'recall': \"\(mode.rawValue)\" does not go with a 'session', which would keep the passages; leave one out."
            )
        }
        if mode == .weights, recallBudget != nil {
            throw APIError.invalid("recall_budget", "'recall_budget' is only for 'recall': \"journal\" or \"both\".")
        }
        try Check.range(recallBudget, "recall_budget", 1...limits.maxTokens)
        return mode
    }

    private func learnMode() throws -> LearnMode {
        guard let learn else { return session == nil ? .none : .session }
        guard let mode = LearnMode(rawValue: learn) else {
            throw APIError(
                status: .badRequest, code: "invalid_value", message: "'learn' is '\(learn)'.", parameter: "learn",
                accepted: LearnMode.allCases.map(\.rawValue))
        }
        if mode == .session, session == nil {
            throw APIError.invalid(
                "learn", "'learn': \"session\" needs a 'session' to learn in; POST /v1/sessions makes one.")
        }
        return mode
    }
}

/// Bounds on requests that come from the configuration.
struct RequestLimits: Sendable {
    var maxBodyBytes: Int
    var maxDocumentBytes: Int
    var maxTokens: Int
    var maxImportBytes = 256 << 20
}
