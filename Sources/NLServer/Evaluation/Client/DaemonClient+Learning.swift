import Foundation
import NIOCore
import NIOHTTP1

/// A document that an evaluation has the daemon learn.
struct EvaluationDocument: Encodable, Sendable, Equatable {
    var id: String
    var title: String?
    var text: String
    var space: String?
}

extension DaemonClient {
    private static let pollInterval = Duration.milliseconds(50)

    /// Streams documents in, in order, as NDJSON, and waits until every job has ended.
    ///
    /// - Parameter report: told how many jobs have ended.
    /// - Throws: ``EvaluationError`` if a document is refused.
    func learn(_ documents: [EvaluationDocument], report: (Int) -> Void) async throws -> [Job] {
        struct Line: Decodable { var job: Job? }
        let lines = try documents.map { document in
            var document = document
            document.space = space
            var line = try WireJSON.encode(document)
            line.writeString("\n")
            return line
        }
        let answer = try await exchange.send(
            .POST, "/v1/documents", body: lines, contentType: "application/x-ndjson")
        let text = String(buffer: answer.body)
        guard answer.status == 200 else { throw EvaluationError("POST /v1/documents: \(answer.status) \(text)") }
        let jobs = try text.split(separator: "\n").map { line in
            guard let job = try Self.decode(Data(line.utf8)) as Line?, let job = job.job else {
                throw EvaluationError("a document was refused: \(line)")
            }
            return job
        }
        guard jobs.count == documents.count else {
            throw EvaluationError("\(documents.count) documents were sent and \(jobs.count) answered")
        }
        var ended: [Job] = []
        for job in jobs {
            ended.append(try await end(of: job.id))
            report(ended.count)
        }
        return ended
    }

    /// Consolidates now and waits for the verdict: `adopted`, `rejected`, or how else the job ended.
    ///
    /// - Returns: nil if there is nothing to consolidate.
    func consolidate() async throws -> (verdict: String, reason: String?)? {
        struct Answer: Decodable { var job: Job }
        struct Record: Decodable { var reason: String? }
        do {
            let body = space.map { ["space": $0] } ?? [:]
            let accepted: Answer = try await call(.POST, "/v1/memory/consolidations", body)
            let job = try await end(of: accepted.job.id)
            let record: Record = try await call(.GET, "/v1/memory/consolidations/\(job.id)")
            return (job.status, record.reason ?? job.error?.message)
        } catch let refused as RefusedCall where refused.status == 409 {
            return nil
        }
    }

    private func end(of id: String) async throws -> Job {
        while true {
            let job = try await job(id)
            if job.isFinal { return job }
            try await Task.sleep(for: Self.pollInterval)
        }
    }

    /// The continuations of many prompts, in their order, some at a time.
    func complete(
        _ probes: [Probe], recall: RecallMode, parallel: Int, report: (Int) -> Void
    ) async throws -> [String] {
        try await map(probes, parallel: parallel, report: report) { try await $0.complete($1, recall: recall) }
    }

    /// `body` of each item, `parallel` at a time, results in the order of the items.
    func map<Item: Sendable, Value: Sendable>(
        _ items: [Item], parallel: Int, report: (Int) -> Void,
        _ body: @escaping @Sendable (DaemonClient, Item) async throws -> Value
    ) async throws -> [Value] {
        try await withThrowingTaskGroup(of: (Int, Value).self) { group in
            var values = [Value?](repeating: nil, count: items.count)
            var (next, done) = (0, 0)
            func begin() {
                guard next < items.count else { return }
                let (index, item) = (next, items[next])
                group.addTask { (index, try await body(self, item)) }
                next += 1
            }
            for _ in 0..<max(parallel, 1) { begin() }
            while let (index, value) = try await group.next() {
                values[index] = value
                done += 1
                report(done)
                begin()
            }
            return values.compactMap(\.self)
        }
    }
}
