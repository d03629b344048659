import HTTPTypes
import Synchronization
import Testing

@testable import NLServer

/// Catches work that goes on for a client who is gone, memory that grows for one who does not read, and the crash
/// that reading a body the wrong way causes.
@Suite(.timeLimit(.minutes(10)), .serialized) struct DisconnectTests {
    private static let long = #"{"prompt":"x","max_tokens":4000,"stream":true}"#
    private static let longWhole = #"{"prompt":"x","max_tokens":4000}"#

    enum Leaving: String, CaseIterable { case close, reset, halfClose }

    /// Waits until the engine has noticed that one more consumer is gone.
    private func waitForAbandonment(of count: Int, by engine: InMemoryEngine) async throws {
        while engine.abandonedGenerations.load(ordering: .relaxed) < count {
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test(arguments: Leaving.allCases, [long, longWhole])
    func aClientThatLeavesStopsItsGeneration(leaving: Leaving, request: String) async throws {
        try await LiveServer.run(.init(tokenDelay: .milliseconds(5))) { server in
            let connection = try RawConnection(port: server.port)
            try await connection.post("/v1/completions", json: request)
            while server.engine.decodedTokens.load(ordering: .relaxed) < 5 {
                try await Task.sleep(for: .milliseconds(5))
            }
            switch leaving {
            case .close: connection.close()
            case .reset: connection.reset()
            case .halfClose: connection.halfClose()
            }
            try await waitForAbandonment(of: 1, by: server.engine)
            #expect(server.engine.decodedTokens.load(ordering: .relaxed) < 1000)
            #expect(try await server.send(.get, "/health/live").status == .ok)
        }
    }

    /// With `body.collect` instead of `collectBody` before the helper, the first of these ends the process.
    @Test func cleanClosesAndPipelinedRequestsDoNotEndTheProcess() async throws {
        try await LiveServer.run(.init(tokenDelay: .milliseconds(1))) { server in
            for round in 0..<30 {
                let connection = try RawConnection(port: server.port)
                let request = round % 2 == 0 ? Self.long : Self.longWhole
                try await connection.post("/v1/completions", json: request)
                if round % 3 == 0 { try await connection.send("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n") }
                if round % 5 != 0 { try await Task.sleep(for: .milliseconds(3)) }
                connection.close()
            }
            for _ in 0..<10 {
                let connection = try RawConnection(port: server.port)
                try await connection.send(
                    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"prompt\":"
                )
                connection.close()
            }
            #expect(try await server.send(.get, "/health/live").status == .ok)
        }
    }

    @Test func aClientThatDoesNotReadStopsItsOwnDecoding() async throws {
        try await LiveServer.run(configure: { $0.maxTokensLimit = 1_000_000 }) { server in
            let connection = try RawConnection(port: server.port, receiveBufferBytes: 4096)
            try await connection.post("/v1/completions", json: #"{"prompt":"x","max_tokens":1000000,"stream":true}"#)
            // Decoding without delay, it would have written everything long before this count stands still.
            var last = -1
            var now = 0
            while now != last || now == 0 {
                last = now
                try await Task.sleep(for: .milliseconds(400))
                now = server.engine.decodedTokens.load(ordering: .relaxed)
            }
            #expect(now < 200_000, "decoded \(now) tokens for a client that took none")
            // Others are served meanwhile.
            #expect(try await server.send(.post, "/v1/completions", json: #"{"prompt":"x"}"#).status == .ok)
            connection.reset()
            try await waitForAbandonment(of: 1, by: server.engine)
        }
    }

    @Test func leavingAJobsEventsLeavesTheJobAlone() async throws {
        try await LiveServer.run(.init(learningStepDelay: .milliseconds(50))) { server in
            let connection = try RawConnection(port: server.port)
            try await connection.post(
                "/v1/documents", json: #"{"text":"x"}"#, extraHeaders: "Accept: text/event-stream\r\n")
            _ = try await connection.receive(until: "event: progress")
            connection.close()
            while try await server.engine.document("doc_1").status != .learned {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }
}

/// Catches a shutdown that cuts without a word, or waits without end.
@Suite(.timeLimit(.minutes(10))) struct ShutdownTests {
    @Test func theEndOfTheGracePeriodIsToldInTheStream() async throws {
        try await LiveServer.run(.init(tokenDelay: .milliseconds(5))) { server in
            let connection = try RawConnection(port: server.port)
            try await connection.post("/v1/completions", json: #"{"prompt":"x","max_tokens":4000,"stream":true}"#)
            _ = try await connection.receive(until: "data: ")
            server.engine.beginDraining()
            server.shutdown.draining.fire()
            // A generation goes on while draining…
            let before = server.engine.decodedTokens.load(ordering: .relaxed)
            while server.engine.decodedTokens.load(ordering: .relaxed) < before + 5 {
                try await Task.sleep(for: .milliseconds(5))
            }
            // …new ones are refused…
            let refused = try await server.send(.post, "/v1/completions", json: #"{"prompt":"x"}"#)
            #expect(refused.status == .serviceUnavailable)
            #expect(try await server.send(.get, "/health/ready").status == .serviceUnavailable)
            // …and at the deadline it is cut, with an error in the stream and a proper end of the message.
            server.shutdown.deadline.fire()
            let rest = try await connection.receive(until: "0\r\n\r\n")
            #expect(rest.contains("\"error\""))
            #expect(rest.contains("grace period"))
            #expect(!rest.contains("[DONE]"))
            #expect(rest.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test func uploadsAndFollowersEndWhenDrainingBegins() async throws {
        try await LiveServer.run(.init(learningStepDelay: .seconds(30))) { server in
            let upload = try RawConnection(port: server.port)
            try await upload.send(
                "POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{\"text\":\"one\"}\n\r\n"
            )
            _ = try await upload.receive(until: "\"line\":1}")
            let follower = try RawConnection(port: server.port)
            try await follower.post(
                "/v1/documents", json: #"{"text":"two"}"#, extraHeaders: "Accept: text/event-stream\r\n")
            _ = try await follower.receive(until: "event: accepted")
            server.shutdown.draining.fire()
            let problem = try await upload.receive(until: "0\r\n\r\n")
            #expect(problem.contains("\"line\":2"))
            #expect(problem.contains("\"status\":503"))
            #expect(try await follower.receive(until: "0\r\n\r\n").contains("event: error"))
        }
    }
}
