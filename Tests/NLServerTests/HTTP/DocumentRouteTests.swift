import HTTPTypes
import Testing

@testable import NLServer

/// Catches documents that are lost, doubled, or answered out of turn.
@Suite(.timeLimit(.minutes(10))) struct DocumentRouteTests {
    @Test func aDocumentIsAcceptedOnceHoweverOftenItIsSent() async throws {
        try await LiveServer.run { server in
            let first = try await server.send(.post, "/v1/documents", json: #"{"text":"one","id":"d"}"#)
            #expect(first.status == .accepted)
            #expect(try first.json()["existing"] == .bool(false))
            #expect(first.headers[.location] == "/v1/jobs/\(try first.json()["job"]?["id"]?.string ?? "")")
            let plain = try await server.send(.post, "/v1/documents", body: "one", type: "text/plain; charset=utf-8")
            #expect(try plain.json()["existing"] == .bool(true))
            #expect(try plain.json()["document"]?["id"] == .string("d"))
            for _ in 0..<2 {
                let keyed = try await server.send(
                    .post, "/v1/documents", json: #"{"text":"two"}"#, headers: [.idempotencyKey: "k"])
                #expect(keyed.status == .accepted)
            }
            let other = try await server.send(
                .post, "/v1/documents", json: #"{"text":"three"}"#, headers: [.idempotencyKey: "k"])
            #expect(other.status == .conflict)
            #expect(try await server.engine.documents(space: "default", page: PageRequest()).items.count == 2)
        }
    }

    @Test func learningIsFollowedLiveFromAcceptedToLearned() async throws {
        let contract = try Contract()
        let schemas = ["accepted": "Acceptance", "progress": "Progress", "learned": "JobAnswer"]
        try await LiveServer.run { server in
            let events = try await server.send(
                .post, "/v1/documents", json: #"{"text":"one"}"#, headers: [.accept: "text/event-stream"]
            ).events
            #expect(events.map(\.name) == ["accepted", "progress", "progress", "progress", "progress", "learned"])
            for event in events {
                let schema = try #require(contract.schema(named: schemas[event.name] ?? ""))
                let problems = contract.problems(in: try JSONValue(parsing: event.data), schema: schema, at: event.name)
                #expect(problems.isEmpty)
            }
            let job = try #require(try JSONValue(parsing: events[0].data)["job"]?["id"]?.string)
            let again = try await server.send(.get, "/v1/jobs/\(job)", headers: [.accept: "text/event-stream"]).events
            #expect(again.map(\.name) == ["accepted", "learned"])
        }
    }

    @Test func forgettingIsFollowedToItsReceipt() async throws {
        let contract = try Contract()
        let schemas = ["accepted": "JobAnswer", "progress": "ReplayProgress", "forgotten": "JobAnswer"]
        try await LiveServer.run { server in
            _ = try await server.send(
                .post, "/v1/documents", json: #"{"text":"one","id":"d"}"#, headers: [.accept: "text/event-stream"])
            let answer = try await server.send(.delete, "/v1/documents/d")
            #expect(answer.status == .accepted)
            #expect(try answer.json()["document"]?["status"] == .string("rebuilding"))
            #expect(try answer.json()["receipt"]?["exact"] == .null)
            let job = try #require(answer.headers[.location])
            let events = try await server.send(.get, job, headers: [.accept: "text/event-stream"]).events
            #expect(events.first?.name == "accepted" && events.last?.name == "forgotten")
            for event in events {
                let schema = try #require(contract.schema(named: schemas[event.name] ?? ""))
                let problems = contract.problems(in: try JSONValue(parsing: event.data), schema: schema, at: event.name)
                #expect(problems.isEmpty)
            }
            let again = try await server.send(.delete, "/v1/documents/d")
            #expect(again.status == .ok)
            #expect(try again.json()["receipt"]?["exact"] == .bool(true))
            let gone = try await server.send(.get, "/v1/documents/d")
            #expect(gone.status == .gone)
            #expect(try gone.json()["receipt"] == again.json()["receipt"])
            let cancelled = try await server.send(.delete, job)
            #expect(cancelled.status == .conflict)
        }
    }

    @Test func everyLineOfAStreamIsAnsweredWithItsNumber() async throws {
        try await LiveServer.run(configure: { $0.engine.maxDocumentBytes = 1024 }) { server in
            let long = String(repeating: "x", count: DocumentLines.maxLineBytes(maxDocumentBytes: 1024) + 10)
            let body = [
                #"{"text":"one"}"#, "", "{oops", #"{"text":"\#(String(repeating: "y", count: 1025))"}"#,
                #"{"text":"\#(long)"}"#, #"{"text":"one"}"#, #"{"text":"two","id":"last"}"#,
            ].joined(separator: "\n")
            let answer = try await server.send(.post, "/v1/documents", body: body, type: "application/x-ndjson")
            #expect(answer.status == .ok)
            let lines = try answer.text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
            #expect(lines.map { $0["line"]?.int } == [1, 3, 4, 5, 6, 7])
            #expect(lines.map { $0["status"]?.int } == [nil, 400, 413, 413, nil, nil])
            #expect(lines[4]["existing"] == .bool(true))
            #expect(lines[5]["document"]?["id"] == .string("last"))
        }
    }

    /// The sender's next line waits for the answer to the one before: nothing is read ahead and nothing held back.
    @Test func aLineIsAnsweredBeforeTheNextIsSent() async throws {
        try await LiveServer.run { server in
            let connection = try RawConnection(port: server.port)
            try await connection.send(
                "POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for number in 1...20 {
                let line = "{\"text\":\"text \(number)\"}\n"
                try await connection.send("\(String(line.utf8.count, radix: 16))\r\n\(line)\r\n")
                let answer = try await connection.receive(until: "\"line\":\(number)}")
                #expect(answer.contains("\"line\":\(number)}"))
            }
            try await connection.send("0\r\n\r\n")
            #expect(try await connection.receive(until: "0\r\n\r\n").hasSuffix("0\r\n\r\n"))
            #expect(try await server.engine.documents(space: "default", page: PageRequest()).items.count == 20)
        }
    }

    @Test func whatWasAnsweredStaysWhenTheSenderBreaksOff() async throws {
        try await LiveServer.run { server in
            let connection = try RawConnection(port: server.port)
            let line = "{\"text\":\"kept\"}\n"
            try await connection.send(
                "POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 100000\r\n\r\n\(line){\"text\":\"half"
            )
            _ = try await connection.receive(until: "\"line\":1}")
            connection.reset()
            try await Task.sleep(for: .milliseconds(50))
            let documents = try await server.engine.documents(space: "default", page: PageRequest()).items
            #expect(documents.count == 1)
            #expect(try await server.send(.get, "/health/live").status == .ok)
        }
    }

    @Test func listsArePaged() async throws {
        try await LiveServer.run { server in
            for i in 1...5 {
                _ = try await server.send(.post, "/v1/documents", json: "{\"text\":\"\(i)\",\"id\":\"d\(i)\"}")
            }
            var ids: [String] = []
            var path = "/v1/documents?limit=2"
            for _ in 1...3 {
                let page = try await server.send(.get, path).json()
                ids += page["data"]?.array?.compactMap { $0["id"]?.string } ?? []
                guard let next = page["next"]?.string else { break }
                path = "/v1/documents?limit=2&after=\(next)"
            }
            #expect(ids == ["d1", "d2", "d3", "d4", "d5"])
        }
    }
}
