import HTTPTypes
import Testing

@testable import NLServer

/// Catches recall that is asked for wrongly and answered, or answered outside the contract.
@Suite(.timeLimit(.minutes(10))) struct RecallRouteTests {
    @Test func theAnswerSaysWhatWasRecalled() async throws {
        let contract = try Contract()
        try await LiveServer.run { server in
            _ = try await server.send(
                .post, "/v1/documents", json: #"{"id":"mill","text":"The river ran past the old mill."}"#)
            for (route, input) in [
                ("/v1/completions", #""prompt":"the river""#),
                ("/v1/chat/completions", #""messages":[{"role":"user","content":"the river"}]"#),
            ] {
                let answer = try await server.send(
                    .post, route, json: "{\(input),\"max_tokens\":2,\"recall\":\"both\",\"recall_budget\":100}")
                #expect(answer.status == .ok)
                let body = try answer.json()
                #expect(body["nlserver"]?["recall"]?[0]?["document"] == .string("mill"))
                #expect(
                    try contract.problems(
                        operation: "POST \(route)", status: 200, mediaType: "application/json", body: answer.text
                    ).isEmpty)
                let plain = try await server.send(.post, route, json: "{\(input),\"max_tokens\":2}").json()
                #expect(plain["nlserver"]?["recall"] == nil)
            }
        }
    }

    @Test(arguments: [
        (#""recall":"memory""#, "weights"), (#""recall":"both","session":"s""#, "session"),
        (#""recall_budget":10"#, "recall_budget"), (#""recall":"both","recall_budget":0"#, "from 1 to"),
        (#""recall":7"#, "string"),
    ])
    func badRecallIsRefusedInWords(_ fields: String, _ word: String) async throws {
        try await LiveServer.run { server in
            let answer = try await server.send(.post, "/v1/completions", json: "{\"prompt\":\"x\",\(fields)}")
            #expect(answer.status == .badRequest)
            #expect(answer.text.contains(word), "\(answer.text)")
        }
    }
}
