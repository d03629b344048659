import HTTPTypes
import Hummingbird
import NIOCore

/// Tells a job's life as server-sent events: `accepted`, `progress`…, and one of `learned`, `adopted`, `rejected`,
/// `forgotten`, `restored`, `failed`, `cancelled`.
///
/// The client may leave at any time; the job goes on.
struct JobFollower: Sendable {
    let services: ServerServices

    /// - Parameter accepted: what the first event says, where there is more to say than the job.
    func response(to request: Request, jobID: String, accepted: WireAcceptance? = nil) async throws -> Response {
        let events = try await services.engine.follow(job: jobID)
        return ServerSentEvents.response(to: request) { try await write(events, accepted: accepted, to: &$0) }
    }

    private func write(
        _ events: EventStream<LearningEvent>, accepted: WireAcceptance?, to client: inout ClientWriter
    ) async throws {
        do {
            try await services.shutdown.draining.covering(events) { events in
                for try await event in events {
                    try await client.write(frame(event, accepted: accepted))
                }
            }
        } catch let error where !ClientWriter.isDeparture(error) {
            try await client.write(ServerSentEvents.frame(event: "error", ProblemBody(APIError(any: error))))
        }
    }

    private func frame(_ event: LearningEvent, accepted: WireAcceptance?) throws -> ByteBuffer {
        switch event {
        case .accepted(let job):
            if let accepted { return try ServerSentEvents.frame(event: "accepted", accepted) }
            return try ServerSentEvents.frame(event: "accepted", WireJobAnswer(job: WireJob(job)))
        case .progress(let progress):
            return try ServerSentEvents.frame(event: "progress", WireProgress(progress))
        case .replaying(let progress):
            return try ServerSentEvents.frame(event: "progress", WireReplayProgress(progress))
        case .learned(let job), .forgotten(let job), .restored(let job), .failed(let job), .cancelled(let job):
            return try ServerSentEvents.frame(event: job.status.rawValue, WireJobAnswer(job: WireJob(job)))
        case .consolidated(let job, let consolidation):
            return try ServerSentEvents.frame(
                event: job.status.rawValue,
                WireConsolidationOutcome(job: WireJob(job), consolidation: WireConsolidation(consolidation)))
        }
    }
}
