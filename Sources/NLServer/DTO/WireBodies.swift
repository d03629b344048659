import Foundation
import HTTPTypes

/// `POST /v1/documents` with `application/json`, and each line of an NDJSON stream.
struct DocumentRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable { case text, id, title, space, metadata }
    var text: String
    var id: String?
    var title: String?
    var space: String?
    var metadata: JSONValue?

    static let maxTitleBytes = 1024

    /// - Throws: ``APIError`` 400 or 413.
    func submission(maxBytes: Int, idempotencyKey: String?) throws -> DocumentSubmission {
        try Check.notEmpty(text, "text")
        guard text.utf8.count <= maxBytes else {
            throw APIError(
                status: .contentTooLarge, code: "too_large",
                message: "'text' has \(text.utf8.count) bytes; a document may have at most \(maxBytes).",
                parameter: "text")
        }
        try Check.identifier(id, "id")
        try Check.identifier(space, "space")
        if let title, title.utf8.count > Self.maxTitleBytes {
            throw APIError.invalid("title", "'title' may have at most \(Self.maxTitleBytes) bytes.")
        }
        switch metadata {
        case nil, .null, .object: break
        case .some(let other): throw APIError.invalid("metadata", "'metadata' must be an object, got \(other.kind).")
        }
        return DocumentSubmission(
            text: text, id: id, title: title, space: space ?? Space.default,
            metadata: metadata == .null ? nil : metadata,
            idempotencyKey: idempotencyKey)
    }
}

/// `POST /v1/score`.
struct ScoreBody: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable { case text, prompt, completion, space, session, model }
    var text: String?
    var prompt: String?
    var completion: String?
    var space: String?
    var session: String?
    var model: String?

    init(from decoder: any Decoder) throws {
        let c = try decoder.container(keyedBy: CodingKeys.self)
        // Which of these are there decides what is scored, so a null is a mistake and not an absence.
        func text(_ key: CodingKeys) throws -> String? {
            c.contains(key) ? try c.decode(String.self, forKey: key) : nil
        }
        self.text = try text(.text)
        prompt = try text(.prompt)
        completion = try text(.completion)
        space = try c.decodeIfPresent(String.self, forKey: .space)
        session = try c.decodeIfPresent(String.self, forKey: .session)
        model = try c.decodeIfPresent(String.self, forKey: .model)
    }

    /// - Throws: ``APIError`` 400.
    func request(maxBytes: Int) throws -> ScoreRequest {
        try Check.identifier(space, "space")
        try Check.identifier(session, "session")
        let input: ScoreRequest.Input
        switch (text, prompt, completion) {
        case (let text?, nil, nil):
            try Check.notEmpty(text, "text")
            input = .text(text)
        case (nil, let prompt?, let completion?):
            try Check.notEmpty(prompt, "prompt")
            try Check.notEmpty(completion, "completion")
            input = .completion(completion, after: prompt)
        default:
            throw APIError(
                status: .badRequest, code: "invalid_body", message: "Send either 'text', or 'prompt' and 'completion'.",
                parameter: "text")
        }
        for (name, value) in [("text", text), ("prompt", prompt), ("completion", completion)] {
            if let value, value.utf8.count > maxBytes {
                throw APIError(
                    status: .contentTooLarge, code: "too_large",
                    message: "'\(name)' may have at most \(maxBytes) bytes.",
                    parameter: name)
            }
        }
        return ScoreRequest(input: input, space: space ?? Space.default, session: session)
    }
}

struct WireScore: Encodable, Sendable {
    var tokens: [Int]
    var logprobs: [Double?]
    var tokenCount: Int
    var meanLogprob: Double
    var bitsPerByte: Double
    var generation: Int

    init(_ result: ScoreResult) {
        tokens = result.tokens
        logprobs = result.logprobs
        tokenCount = result.tokenCount
        meanLogprob = result.meanLogprob
        bitsPerByte = result.bitsPerByte
        generation = result.generation
    }
}

/// `POST /v1/sessions`.
struct SessionRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable { case id, space }
    var id: String?
    var space: String?
}

/// `POST /v1/sessions/{id}/fork`.
struct ForkRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable { case id }
    var id: String?
}

/// `POST /v1/memory/consolidations`.
struct ConsolidationRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable { case space }
    var space: String?
}

/// `GET /v1/models`.
struct WireModel: Encodable, Sendable {
    var id: String
    let object = "model"
    /// Unix seconds.
    var created: Int
    let ownedBy = "nlserver"
    var fingerprint: String
    var parameters: Int
    var vocabularySize: Int
    var levels: [String]
    var weights: Weights

    struct Weights: Encodable, Sendable {
        var precision: String
        /// Scalars by what they are held in.
        var held: [String: Int]
        var bytes: Int
    }

    init(_ model: ModelDescription) {
        id = model.id
        created = Int(model.created.timeIntervalSince1970)
        fingerprint = model.fingerprint
        parameters = model.parameterCount
        vocabularySize = model.vocabularySize
        levels = model.levelNames
        weights = Weights(
            precision: model.weights.precision, held: model.weights.scalars, bytes: model.weights.byteCount)
    }
}

struct WireModels: Encodable, Sendable {
    let object = "list"
    var data: [WireModel]
}

/// What the three probes answer.
struct WireHealth: Encodable, Sendable {
    var status: String
    var phase: String
    var reasons: [String]
    var notices: [String]
}
