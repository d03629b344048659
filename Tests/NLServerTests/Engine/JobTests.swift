import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// Jobs queue, tell how far they are, end when they are told to; the same document is one job.
@Suite(.serialized, .timeLimit(.minutes(10))) struct JobTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    @Test func theSameDocumentIsAcceptedOnce() async throws {
        try await home.run { engine async throws in
            let first = try await engine.accept(Facts.all[0], id: "a", key: "k")
            for again in [
                try await engine.accept(Facts.all[0], id: "a"), try await engine.accept(Facts.all[0]),
                try await engine.accept(Facts.all[0], id: "b"),
                try await engine.accept(Facts.all[0], id: "a", key: "k"),
            ] {
                #expect(!again.isNew)
                #expect(again.document.id == "a")
                #expect(again.job.id == first.job.id)
            }
            await #expect(throws: EngineError.self) { try await engine.accept(Facts.all[1], id: "a") }
            await #expect(throws: EngineError.self) { try await engine.accept(Facts.all[1], id: "c", key: "k") }
            try await engine.end(of: first.job)
            #expect(try await engine.accept(Facts.all[0], id: "a").isNew == false)
            #expect(try await engine.jobs(space: "default", status: nil, page: PageRequest()).items.count == 1)
            #expect(try await engine.documents(space: "default", page: PageRequest()).items.count == 1)
        }
    }

    @Test func contradictionsAreNamed() async throws {
        try await home.run { engine async throws in
            try await engine.accept(Facts.all[0], id: "a", key: "k")
            func code(_ body: () async throws -> Void) async throws -> String {
                do {
                    try await body()
                    return "none"
                } catch EngineError.conflict(let code, _) {
                    return code
                }
            }
            #expect(try await code { try await engine.accept(Facts.all[1], id: "a") } == "document_exists")
            #expect(try await code { try await engine.accept(Facts.all[1], key: "k") } == "idempotency_key_reused")
            #expect(try await code { _ = try await engine.consolidate(space: "default") } == "nothing_to_consolidate")
            await #expect(throws: EngineError.notFound(.space, id: "x")) {
                try await engine.acceptDocument(DocumentSubmission(text: "t", space: "x"))
            }
            await #expect(throws: EngineError.notFound(.document, id: "x")) { try await engine.document("x") }
            await #expect(throws: EngineError.notFound(.job, id: "x")) { try await engine.job("x") }
            await #expect(throws: EngineError.notFound(.job, id: "x")) { try await engine.follow(job: "x") }
            await #expect(throws: EngineError.unknownCursor("x")) {
                try await engine.documents(space: "default", page: PageRequest(after: "x"))
            }
        }
    }

    @Test func documentsAreBounded() async throws {
        try await home.run({ $0.maxDocumentBytes = 10 }) { engine async throws in
            await #expect(throws: EngineError.self) { try await engine.accept("more than ten bytes") }
            await #expect(throws: EngineError.self) { try await engine.accept("") }
            #expect(try await engine.documents(space: "default", page: PageRequest()).items.isEmpty)
        }
    }

    @Test func aFullQueueIsSaidAndChangesNothing() async throws {
        try await home.run({ $0.maxLearningQueue = 2 }) { engine async throws in
            let running = try await engine.accept(Facts.long(), id: "long")
            try await eventually { try await engine.job(running.job.id).status == .running }
            try await engine.accept(Facts.all[0])
            try await engine.accept(Facts.all[1])
            do {
                try await engine.accept(Facts.all[2])
                Issue.record("accepted")
            } catch EngineError.overloaded(let queue, _) {
                #expect(queue == "learning queue")
            }
            // What is there already is still answered.
            #expect(try await engine.accept(Facts.all[0]).isNew == false)
            #expect(try await engine.documents(space: "default", page: PageRequest()).items.count == 3)
            _ = try await engine.cancelJob(running.job.id)
        }
    }

    @Test func listsArePaged() async throws {
        try await home.run { engine async throws in
            for (index, fact) in Facts.all.enumerated() { try await engine.accept(fact, id: "d\(index)") }
            let first = try await engine.documents(space: "default", page: PageRequest(limit: 3))
            #expect(first.items.map(\.id) == ["d0", "d1", "d2"] && first.hasMore)
            let second = try await engine.documents(space: "default", page: PageRequest(limit: 3, after: "d2"))
            #expect(second.items.map(\.id) == ["d3"] && !second.hasMore)
            let jobs = try await engine.jobs(space: "default", status: nil, page: PageRequest(limit: 2))
            #expect(jobs.items.map(\.documentID) == ["d3", "d2"] && jobs.hasMore)
            let older = try await engine.jobs(
                space: "default", status: nil, page: PageRequest(limit: 9, after: jobs.items[1].id))
            #expect(older.items.map(\.documentID) == ["d1", "d0"] && !older.hasMore)
        }
    }

    @Test func aWaitingJobIsCancelledAtOnce() async throws {
        try await home.run { engine async throws in
            let running = try await engine.accept(Facts.long())
            try await eventually { try await engine.job(running.job.id).status == .running }
            let waiting = try await engine.accept(Facts.all[0], id: "a")
            let stream = try await engine.follow(job: waiting.job.id)
            let cancelled = try await engine.cancelJob(waiting.job.id)
            #expect(cancelled.status == .cancelled)
            var last: LearningEvent?
            for try await event in stream { last = event }
            guard case .cancelled? = last else {
                Issue.record("ended with \(String(describing: last))")
                return
            }
            #expect(try await engine.document("a").status == .cancelled)
            await #expect(throws: EngineError.self) { try await engine.cancelJob(waiting.job.id) }
            // Asked for again, it is learned after all.
            #expect(try await engine.accept(Facts.all[0], id: "a").isNew)
            _ = try await engine.cancelJob(running.job.id)
        }
    }

    @Test func aRunningJobIsCancelledAndTheLevelsAreAsBefore() async throws {
        try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            let before = try engine.bits
            let running = try await engine.accept(Facts.long(), id: "long")
            try await eventually { try await engine.job(running.job.id).learning?.pass ?? 0 >= 1 }
            let cancelled = try await engine.cancelJob(running.job.id)
            #expect(cancelled.status == .cancelled)
            #expect(try await engine.document("long").status == .cancelled)
            #expect(try engine.bits == before)
            #expect(try engine.space.generation == 1)
            // The learner goes on from there.
            #expect(try await engine.learn(Facts.all[1]).status == .learned)
        }
    }

    @Test func followersSeeTheWholeStory() async throws {
        try await home.run { engine async throws in
            let accepted = try await engine.accept(Facts.all[0])
            var events: [LearningEvent] = []
            for try await event in try await engine.follow(job: accepted.job.id) { events.append(event) }
            guard case .accepted(let first)? = events.first, case .learned(let last)? = events.last else {
                Issue.record("\(events)")
                return
            }
            #expect(first.id == last.id)
            let progress = events.compactMap { event -> Double? in
                if case .progress(let progress) = event { progress.progress } else { nil }
            }
            #expect(progress == progress.sorted())
            // Following what has ended gives its beginning and its end.
            var late: [LearningEvent] = []
            for try await event in try await engine.follow(job: accepted.job.id) { late.append(event) }
            #expect(late.count == 2)
        }
    }

    /// A follower that takes nothing neither stops the learner nor misses the end.
    @Test func aSlowFollowerMissesOnlyProgress() async throws {
        // More windows than a follower's channel holds.
        try await home.run({
            $0.learnMaxPasses = 12
            ($0.learnTargetLoss, $0.learnTargetRatio) = (1e-6, 1e-6)
        }) { engine async throws in
            let accepted = try await engine.accept(Facts.long(40))
            let stream = try await engine.follow(job: accepted.job.id)
            try await eventually { try await engine.job(accepted.job.id).status == .learned }
            var last: LearningEvent?
            for try await event in stream { last = event }
            guard case .learned? = last else {
                Issue.record("\(String(describing: last))")
                return
            }
        }
    }

    @Test func drainingTakesNothingNewAndLeavesTheJobToTheNextStart() async throws {
        let id = try await home.run { engine async throws in
            let accepted = try await engine.accept(Facts.long(150), id: "long")
            try await eventually { try await engine.job(accepted.job.id).status == .running }
            engine.beginDraining()
            #expect(!engine.health().isReady)
            await #expect(throws: EngineError.self) { try await engine.accept(Facts.all[0]) }
            return accepted.job.id
        }
        try await home.run({ $0.learnMaxPasses = 1 }) { engine async throws in
            #expect(engine.health().notices.contains { $0.contains("running when the process ended") })
            #expect(try await engine.end(of: engine.job(id)).status == .learned)
        }
    }
}
