import Foundation
import NIOCore
import NIOHTTP1

/// What an evaluation asks of a daemon, over the public interface and nothing else.
struct DaemonClient: Sendable {
    let exchange: HTTPExchange
    /// The space asked; nil is the daemon's default.
    var space: String?

    struct Model: Decodable, Sendable {
        var id: String
        var fingerprint: String
        var parameters: Int
    }

    struct Level: Decodable, Sendable {
        var name: String
        var owner: String
        var updates: Int
        var deltaNorm: Double
        var relativeDrift: Double
    }

    struct Score: Decodable, Sendable, Equatable {
        /// Nats; null where nothing comes before the token.
        var logprobs: [Double?]
        var tokenCount: Int
        var meanLogprob: Double

        /// In nats a token.
        var loss: Double { -meanLogprob }
    }

    struct Job: Decodable, Sendable {
        struct Failure: Decodable, Sendable { var message: String }
        var id: String
        var status: String
        var error: Failure?
        var targetReached: Bool?
        var isFinal: Bool { status != "queued" && status != "running" }
    }

    /// Something to be continued, greedily.
    struct Probe: Sendable {
        var prompt: String
        var maxTokens: Int
        /// Where the answer ends at the latest; the text of the stop is not part of it.
        var stop: [String] = []
        /// Whether the prompt is what a user says in a conversation.
        var isChat = false
    }

    // MARK: - Asking

    func model() async throws -> Model {
        let list = try await call(.GET, "/v1/models", as: List<Model>.self)
        guard let model = list.data.first else { throw EvaluationError("the daemon serves no model") }
        return model
    }

    /// Levels that a space owns.
    func levels() async throws -> [Level] {
        struct Answer: Decodable { var levels: [Level] }
        let path = "/v1/memory/levels" + (space.map { "?space=\($0)" } ?? "")
        return try await call(.GET, path, as: Answer.self).levels.filter { $0.owner == "space" }
    }

    /// The continuation of a prompt, or the answer to it, at temperature 0.
    func complete(_ probe: Probe, recall: RecallMode) async throws -> String {
        struct Message: Codable {
            var role = "user"
            var content: String
        }
        struct Body: Encodable {
            var prompt: String?
            var messages: [Message]?
            var temperature = 0
            var maxTokens: Int
            var stop: [String]?
            var space: String?
            var recall: String?
        }
        struct Answer: Decodable {
            struct Choice: Decodable {
                var text: String?
                var message: Message?
            }
            var choices: [Choice]
        }
        let body = Body(
            prompt: probe.isChat ? nil : probe.prompt,
            messages: probe.isChat ? [Message(content: probe.prompt)] : nil, maxTokens: probe.maxTokens,
            stop: probe.stop.isEmpty ? nil : probe.stop,
            space: space, recall: recall == .weights ? nil : recall.rawValue)
        let route = probe.isChat ? "/v1/chat/completions" : "/v1/completions"
        let choice = try await call(.POST, route, body, as: Answer.self).choices.first
        return choice?.text ?? choice?.message?.content ?? ""
    }

    func score(_ text: String) async throws -> Score {
        try await call(.POST, "/v1/score", ["text": text].merging(space.map { ["space": $0] } ?? [:]) { $1 })
    }

    /// Tokens of a continuation: at least 1.
    func tokenCount(of completion: String, after prompt: String) async throws -> Int {
        guard !completion.isEmpty else { return 1 }
        let score: Score = try await call(.POST, "/v1/score", ["prompt": prompt, "completion": completion])
        return score.tokenCount
    }

    func job(_ id: String) async throws -> Job { try await call(.GET, "/v1/jobs/\(id)") }

    // MARK: - Calling

    private struct List<Item: Decodable>: Decodable { var data: [Item] }

    /// How long a daemon that is too busy is asked again, in half seconds.
    private static let patience = 240

    /// One call without a body.
    ///
    /// - Throws: ``RefusedCall`` for any answer but 2xx, with the daemon's own words.
    func call<Value: Decodable>(
        _ method: HTTPMethod, _ path: String, as type: Value.Type = Value.self
    ) async throws -> Value {
        try await call(method, path, bytes: nil)
    }

    /// One call with a JSON body.
    func call<Value: Decodable>(
        _ method: HTTPMethod, _ path: String, _ body: some Encodable, as type: Value.Type = Value.self
    ) async throws -> Value {
        try await call(method, path, bytes: WireJSON.encode(body))
    }

    private func call<Value: Decodable>(_ method: HTTPMethod, _ path: String, bytes: ByteBuffer?) async throws -> Value
    {
        for _ in 0..<Self.patience {
            let answer = try await exchange.send(
                method, path, body: bytes.map { [$0] } ?? [], contentType: bytes == nil ? nil : "application/json")
            if answer.status == 429 {
                try await Task.sleep(for: .milliseconds(500))
                continue
            }
            guard (200..<300).contains(answer.status) else {
                throw RefusedCall(call: "\(method) \(path)", status: answer.status, body: String(buffer: answer.body))
            }
            return try Self.decode(Data(answer.body.readableBytesView))
        }
        throw EvaluationError("\(method) \(path): the daemon has been too busy for two minutes")
    }

    static func decode<Value: Decodable>(_ data: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Value.self, from: data)
    }
}

/// An answer that is not 2xx.
struct RefusedCall: Error, CustomStringConvertible {
    var call: String
    var status: Int
    var body: String

    var description: String { "\(call) was answered \(status): \(body.prefix(500))" }
}
