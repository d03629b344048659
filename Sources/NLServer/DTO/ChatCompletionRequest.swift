import HTTPTypes

/// `POST /v1/chat/completions`.
struct ChatCompletionRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case messages, logprobs, tools
        case maxCompletionTokens = "max_completion_tokens"
        case topLogprobs = "top_logprobs"
        case responseFormat = "response_format"
    }

    static let acceptedFields = GenerationFields.names + CodingKeys.allCases.map(\.rawValue)
    static let ignoredFields = [
        "user", "metadata", "store", "service_tier", "tool_choice", "parallel_tool_calls", "safety_identifier",
        "prompt_cache_key", "reasoning_effort", "verbosity",
    ]

    struct Message: Decodable, Sendable {
        var role: String
        var content: WireContent
    }
    struct ResponseFormat: Decodable, Sendable {
        var type: String
    }

    var messages: [Message]
    var logprobs: Bool?
    var topLogprobs: Int?
    var tools: [JSONValue]?
    var responseFormat: ResponseFormat?
    /// Which of the two names was used, for messages.
    var maxTokensField: String
    var fields: GenerationFields

    init(from decoder: any Decoder) throws {
        let c = try decoder.container(keyedBy: CodingKeys.self)
        messages = try c.decode([Message].self, forKey: .messages)
        logprobs = try c.decodeIfPresent(Bool.self, forKey: .logprobs)
        topLogprobs = try c.integer(.topLogprobs)
        tools = try c.decodeIfPresent([JSONValue].self, forKey: .tools)
        responseFormat = try c.decodeIfPresent(ResponseFormat.self, forKey: .responseFormat)
        fields = try GenerationFields(from: decoder)
        maxTokensField = "max_tokens"
        if let newer = try c.integer(.maxCompletionTokens) {
            fields.maxTokens = newer
            maxTokensField = "max_completion_tokens"
        }
    }

    /// - Throws: ``APIError`` 400.
    func generation(limits: RequestLimits, requestID: String) throws -> GenerationRequest {
        guard !messages.isEmpty else { throw APIError.invalid("messages", "'messages' must not be empty.") }
        let conversation = try messages.enumerated().map { index, message in
            guard let role = ChatMessage.Role(rawValue: message.role) else {
                throw APIError(
                    status: .badRequest, code: "invalid_value",
                    message: "'messages[\(index)].role' is '\(message.role)'.",
                    parameter: "messages[\(index)].role", accepted: ChatMessage.Role.allCases.map(\.rawValue))
            }
            return ChatMessage(role: role, content: message.content.text)
        }
        try Check.range(topLogprobs, "top_logprobs", 0...GenerationFields.maxAlternatives)
        if topLogprobs != nil, logprobs != true {
            throw APIError.invalid("top_logprobs", "'top_logprobs' needs 'logprobs': true.")
        }
        if let tools, !tools.isEmpty { throw APIError.invalid("tools", "'tools' is not supported.") }
        if let responseFormat, responseFormat.type != "text" {
            throw APIError.invalid(
                "response_format", "'response_format' is not supported; only type 'text' is accepted.")
        }
        var request = try fields.request(
            input: .messages(conversation), defaultMaxTokens: limits.maxTokens, maxTokensField: maxTokensField,
            limits: limits, requestID: requestID)
        request.topLogprobs = logprobs == true ? topLogprobs ?? 0 : nil
        request.stop.append(ChatTemplate.stop)
        return request
    }
}
