import HTTPTypes
import Testing

@testable import NLServer

/// Catches answers that OpenAI's clients and evaluation harnesses would read wrong.
@Suite(.timeLimit(.minutes(10))) struct CompletionRouteTests {
    @Test func aCompletionHasOpenAIsShape() async throws {
        try await LiveServer.run { server in
            let answer = try await server.send(
                .post, "/v1/completions", json: #"{"prompt":"xy","max_tokens":3,"model":"in-memory","seed":12}"#,
                headers: [.requestID: "my-request"])
            #expect(answer.status == .ok)
            let body = try answer.json()
            #expect(body["id"] == .string("cmpl-my-request"))
            #expect(body["object"] == .string("text_completion"))
            #expect(body["choices"]?[0]?["text"] == .string("abc"))
            #expect(body["choices"]?[0]?["finish_reason"] == .string("length"))
            #expect(body["choices"]?[0]?["logprobs"] == .null)
            #expect(body["usage"]?["total_tokens"] == .integer(5))
            #expect(body["nlserver"]?["seed"] == .string("12"))
            #expect(answer.headers[.requestID] == "my-request")
        }
    }

    /// What lm-evaluation-harness reads: four arrays over prompt and answer, the prompt as token ids.
    @Test func echoWithLogprobsGivesParallelArrays() async throws {
        try await LiveServer.run(.init(answer: "é")) { server in
            let body = try await server.send(
                .post, "/v1/completions",
                json: #"{"prompt":[[97,195,169,98]],"max_tokens":2,"logprobs":1,"echo":true,"temperature":0}"#
            ).json()
            let logprobs = try #require(body["choices"]?[0]?["logprobs"])
            #expect(
                logprobs["tokens"]
                    == .array(
                        ["a", "bytes:\\xc3", "bytes:\\xa9", "b", "bytes:\\xc3", "bytes:\\xa9"].map(JSONValue.string)))
            // Python indexes "aéb…" by scalars; both halves of é begin where it does or where it ends.
            #expect(logprobs["text_offset"] == .array([0, 1, 2, 2, 3, 4].map(JSONValue.integer)))
            #expect(logprobs["token_logprobs"]?[0] == .null)
            #expect(logprobs["token_logprobs"]?[1] == .number(-0.5))
            #expect(logprobs["top_logprobs"]?[0] == .null)
            #expect(logprobs["top_logprobs"]?[3] == .object(["a": .number(-0.5)]))
            #expect(logprobs["token_logprobs"]?.array?.count == 6)
        }
    }

    @Test func zeroLogprobsAreGivenWithoutAlternativesAndZeroTokensOnlyScore() async throws {
        try await LiveServer.run { server in
            let body = try await server.send(
                .post, "/v1/completions", json: #"{"prompt":"ab","max_tokens":0,"logprobs":0,"echo":true}"#
            ).json()
            #expect(body["choices"]?[0]?["text"] == .string("ab"))
            #expect(body["choices"]?[0]?["logprobs"]?["top_logprobs"] == .null)
            #expect(body["choices"]?[0]?["logprobs"]?["tokens"]?.array?.count == 2)
            #expect(body["usage"]?["completion_tokens"] == .integer(0))
        }
    }

    @Test func aStreamConcatenatesToTheWholeAnswerAndEndsWithDone() async throws {
        let contract = try Contract()
        try await LiveServer.run { server in
            let answer = try await server.send(
                .post, "/v1/completions",
                json:
                    #"{"prompt":"x","max_tokens":5,"stream":true,"echo":true,"stream_options":{"include_usage":true}}"#)
            #expect(answer.headers[.contentType] == "text/event-stream")
            let events = answer.events
            #expect(events.last?.data == "[DONE]")
            let chunks = try events.dropLast().map { try JSONValue(parsing: $0.data) }
            let schema = try #require(contract.schema(named: "Completion"))
            for chunk in chunks { #expect(contract.problems(in: chunk, schema: schema, at: "chunk").isEmpty) }
            #expect(chunks.compactMap { $0["choices"]?[0]?["text"]?.string }.joined() == "xabcde")
            #expect(chunks.compactMap { $0["choices"]?[0]?["finish_reason"]?.string } == ["length"])
            #expect(chunks.last?["choices"] == .array([]))
            #expect(chunks.last?["usage"]?["completion_tokens"] == .integer(5))
            #expect(Set(chunks.compactMap { $0["id"]?.string }).count == 1)
        }
    }

    @Test func aChatStreamBeginsWithTheRoleAndDropsTheTemplatesSpace() async throws {
        let contract = try Contract()
        try await LiveServer.run(.init(answer: " Jane.\nUser: and?")) { server in
            let request =
                #""messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Who?"}]}]"#
            let answer = try await server.send(
                .post, "/v1/chat/completions", json: "{\(request),\"stream\":true,\"logprobs\":true,\"top_logprobs\":1}"
            )
            let chunks = try answer.events.dropLast().map { try JSONValue(parsing: $0.data) }
            let schema = try #require(contract.schema(named: "ChatCompletionChunk"))
            for chunk in chunks { #expect(contract.problems(in: chunk, schema: schema, at: "chunk").isEmpty) }
            #expect(chunks.first?["choices"]?[0]?["delta"]?["role"] == .string("assistant"))
            let text = chunks.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.string }.joined()
            #expect(text.hasPrefix("Jane."))
            #expect(chunks.compactMap { $0["choices"]?[0]?["finish_reason"]?.string } == ["stop"])
            let whole = try await server.send(.post, "/v1/chat/completions", json: "{\(request)}").json()
            #expect(whole["choices"]?[0]?["message"]?["content"] == .string(text))
        }
    }

    @Test func whatFailsAfterTheFirstByteTravelsInTheStream() async throws {
        let failure = EngineError.numerics(message: "a logit was not finite")
        try await LiveServer.run(.init(failure: (afterTokens: 2, error: failure))) { server in
            let answer = try await server.send(
                .post, "/v1/completions", json: #"{"prompt":"x","max_tokens":5,"stream":true}"#)
            #expect(answer.status == .ok)
            let last = try JSONValue(parsing: try #require(answer.events.last).data)
            #expect(last["error"]?["code"] == .string("non_finite"))
            #expect(!answer.text.contains("[DONE]"))
            // The same failure before the first byte is a status.
            let whole = try await server.send(.post, "/v1/completions", json: #"{"prompt":"x","max_tokens":5}"#)
            #expect(whole.status == .internalServerError)
        }
    }

    @Test func aSessionIsReadByOneRequestAtATimeAndFollowsTheDefaultsOfLearn() async throws {
        try await LiveServer.run(.init(tokenDelay: .milliseconds(20))) { server in
            _ = try await server.send(.post, "/v1/sessions", json: #"{"id":"s"}"#)
            let request = #"{"prompt":"x","max_tokens":20,"session":"s"}"#
            async let first = server.send(.post, "/v1/completions", json: request)
            while try await !server.engine.session("s").isInUse { try await Task.sleep(for: .milliseconds(2)) }
            let second = try await server.send(.post, "/v1/completions", json: request)
            #expect(second.status == .conflict)
            #expect(try second.json()["error"]?["code"] == .string("session_in_use"))
            #expect(second.headers[.retryAfter] == "1")
            #expect(try await server.send(.delete, "/v1/sessions/s").status == .conflict)
            #expect(try await first.status == .ok)
            #expect(try await server.engine.session("s").tokenCount == 21)
        }
    }
}

/// Catches defaults and ranges that differ from what the contract says.
@Suite struct GenerationFieldsTests {
    let limits = RequestLimits(maxBodyBytes: 1 << 20, maxDocumentBytes: 1 << 20, maxTokens: 100)

    private func completion(_ fields: String) throws -> GenerationRequest {
        try WireDecoder.decode(CompletionRequest.self, from: Array("{\"prompt\":\"x\",\(fields)}".utf8))
            .generation(limits: limits, requestID: "r")
    }

    private func chat(_ fields: String) throws -> GenerationRequest {
        try WireDecoder.decode(
            ChatCompletionRequest.self,
            from: Array("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\(fields)}".utf8)
        ).generation(limits: limits, requestID: "r")
    }

    @Test func defaults() throws {
        let request = try completion(#""seed":null"#)
        #expect(request.maxTokens == 16)
        #expect(request.sampling == SamplingParameters())
        #expect(request.learn == .none)
        #expect(request.space == "default")
        #expect(request.topLogprobs == nil)
        #expect(try completion(#""session":"s""#).learn == .session)
        #expect(try completion(#""session":"s","learn":"none""#).learn == .none)
        #expect(try completion(#""stop":"a""#).stop == ["a"])
        let chat = try chat(#""logprobs":true"#)
        #expect(chat.maxTokens == 100)
        #expect(chat.topLogprobs == 0)
        #expect(chat.stop == [ChatTemplate.stop])
    }

    @Test func largeSeedsSurvive() throws {
        #expect(try completion(#""seed":9007199254740993"#).sampling.seed == 9_007_199_254_740_993)
        #expect(try completion(#""seed":-1"#).sampling.seed == UInt64.max)
    }

    @Test(arguments: [
        (#""max_tokens":-1"#, "max_tokens"), (#""max_tokens":101"#, "max_tokens"), (#""max_tokens":1.5"#, "max_tokens"),
        (#""max_tokens":"3""#, "max_tokens"), (#""temperature":-0.1"#, "temperature"),
        (#""temperature":2.1"#, "temperature"),
        (#""top_p":0"#, "top_p"), (#""top_p":1.01"#, "top_p"), (#""top_k":-1"#, "top_k"), (#""min_p":1"#, "min_p"),
        (#""logprobs":21"#, "logprobs"), (#""logprobs":true"#, "logprobs"), (#""n":2"#, "n"),
        (#""best_of":2"#, "best_of"),
        (#""stop":["a","b","c","d","e"]"#, "stop"), (#""stop":"""#, "stop"), (#""stop":[1]"#, "stop"),
        (#""suffix":"x""#, "suffix"), (#""presence_penalty":0.5"#, "presence_penalty"),
        (#""frequency_penalty":1"#, "frequency_penalty"), (#""logit_bias":{"1":2}"#, "logit_bias"),
        (#""learn":true"#, "learn"), (#""learn":"always""#, "learn"), (#""learn":"session""#, "learn"),
        (#""session":"a/b""#, "session"), (#""space":"""#, "space"), (#""stream_options":{}"#, "stream_options"),
        (#""stream":"yes""#, "stream"), (#""maxtokens":1"#, "maxtokens"),
    ])
    func refusedAndNamed(fields: String, parameter: String) {
        let error = #expect(throws: APIError.self) { try completion(fields) }
        #expect(error?.parameter == parameter)
        #expect(error?.status == .badRequest)
    }

    @Test(arguments: [
        #""tools":[{}]"#, #""response_format":{"type":"json_object"}"#, #""top_logprobs":1"#,
    ])
    func fieldsRefusedByChat(fields: String) {
        #expect(throws: APIError.self) { try chat(fields) }
    }

    @Test(arguments: [
        "[]", #""x""#, #"[{"role":"robot","content":"x"}]"#, #"[{"role":"user"}]"#, #"[{"content":"x"}]"#,
        #"[{"role":"user","content":[{"type":"image_url"}]}]"#, #"[{"role":"user","content":null}]"#,
    ])
    func messagesRefusedByChat(messages: String) {
        let error = #expect(throws: APIError.self) {
            try WireDecoder.decode(ChatCompletionRequest.self, from: Array("{\"messages\":\(messages)}".utf8))
                .generation(limits: limits, requestID: "r")
        }
        #expect(error?.parameter?.hasPrefix("messages") == true)
    }

    @Test(arguments: [
        #""user":"u""#, #""logit_bias":{}"#, #""n":1"#, #""presence_penalty":0"#, #""suffix":"""#, #""stop":null"#,
    ])
    func whatChangesNothingIsAccepted(fields: String) throws { _ = try completion(fields) }

    @Test func aConversationsRenderingBeginsWithItsBeginnings() {
        let messages = [
            ChatMessage(role: .system, content: "S"), .init(role: .user, content: "U"),
            .init(role: .assistant, content: "A"),
            .init(role: .user, content: "V"),
        ]
        let full = ChatTemplate.render(messages)
        #expect(full == "System: S\nUser: U\nAssistant: A\nUser: V\nAssistant:")
        #expect(full.hasPrefix(ChatTemplate.render(Array(messages.prefix(2))) + " A"))
        #expect(
            ChatTemplate.render(Array(messages.prefix(2))) + " A" + ChatTemplate.render([messages[3]], continuing: true)
                == full)
    }
}
