import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// Spaces share a process, a model and a learner, and nothing else.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SpaceTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    private func scores(_ engine: HopeEngine, _ space: String, session: String? = nil) async throws -> [Double?] {
        try await engine.score(ScoreRequest(input: .text(Facts.all[0]), space: space, session: session)).logprobs
    }

    private func read(_ text: String, _ engine: HopeEngine, session: String?, space: String) async throws {
        let request = GenerationRequest(
            input: .text(text), sampling: SamplingParameters(temperature: 0, seed: 1), maxTokens: 8, space: space,
            session: session, learn: session == nil ? .none : .session, requestID: "test")
        for try await _ in try await engine.generate(request) {}
    }

    /// Tries to make one space show in another: by what it learned, by its sessions, by its ids.
    @Test func nothingOfOneSpaceIsSeenInAnother() async throws {
        try await home.run { engine async throws in
            for id in ["a", "b"] { _ = try await engine.createSpace(SpaceCreation(id: id)) }
            _ = try await engine.createSession(SessionCreation(id: "of-b", space: "b"))
            let before = try await scores(engine, "b")
            let beforeInSession = try await scores(engine, "b", session: "of-b")
            let bits = try engine.published("b").levels.bits
            let job = try await engine.learn(Facts.all[0], id: "same", in: "a")
            _ = try await engine.createSession(SessionCreation(id: "of-a", space: "a"))
            try await read(Facts.long(20), engine, session: "of-a", space: "a")

            // Learned where it was meant to be, or the rest shows nothing.
            #expect(try await scores(engine, "a") != before)
            #expect(try await scores(engine, "a", session: "of-a") != scores(engine, "a"))
            #expect(try await scores(engine, "b") == before)
            #expect(try await scores(engine, "b", session: "of-b") == beforeInSession)
            #expect(try engine.published("b").levels.bits == bits)
            #expect(try await scores(engine, "default") == before)
            // Nor by way of a session that moved.
            try await read(Facts.long(20), engine, session: "of-b", space: "b")
            #expect(try await scores(engine, "b") == before)

            await #expect(throws: EngineError.notFound(.document, id: "same")) {
                try await engine.document("same", space: "b")
            }
            let page = PageRequest()
            #expect(try await engine.documents(space: "b", page: page).items.isEmpty)
            #expect(try await engine.jobs(space: "b", status: nil, page: page).items.isEmpty)
            #expect(try await engine.jobs(space: "a", status: nil, page: page).items.map(\.id) == [job.id])
            #expect(try await engine.sessions(space: "b", page: page).items.map(\.id) == ["of-b"])
            await #expect(throws: EngineError.self) { try await scores(engine, "b", session: "of-a") }
            await #expect(throws: EngineError.self) { try await engine.levels(space: "b", session: "of-a") }
            await #expect(throws: EngineError.self) {
                try await read("x", engine, session: "of-a", space: "b")
            }
            await #expect(throws: EngineError.notFound(.space, id: "nowhere")) { try await scores(engine, "nowhere") }
        }
    }

    @Test func idsAndIdempotencyKeysAreASpacesOwn() async throws {
        try await home.run { engine async throws in
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            let first = try await engine.accept(Facts.all[0], id: "d", key: "k")
            let second = try await engine.accept(Facts.all[1], id: "d", key: "k", space: "a")
            #expect(first.isNew && second.isNew)
            #expect(try await engine.accept(Facts.all[1], id: "d", key: "k", space: "a").isNew == false)
            _ = try await engine.end(of: second.job)
            #expect(try await engine.document("d", space: "a").sha256 != engine.document("d").sha256)
        }
    }

    @Test func aForkGoesOnByItself() async throws {
        let bits = try await home.run { engine async throws in
            for fact in Facts.all.prefix(2) { try await engine.learn(fact) }
            let fork = try await engine.forkSpace("default", as: SpaceCreation(id: "fork"))
            #expect(fork.parent == .init(space: "default", generation: 2, event: 2))
            #expect((fork.generation, fork.documentCount) == (2, 2))
            #expect(try engine.published("fork").levels.bits == engine.bits)
            let before = try engine.bits
            try await engine.learn(Facts.all[2], in: "fork")
            #expect(try engine.bits == before)
            // The same event in the same place of the same log.
            try await engine.learn(Facts.all[2])
            #expect(try engine.published("fork").levels.bits == engine.bits)
            // Its consolidation rehearses its own journal.
            let job = try await engine.end(of: engine.consolidate(space: "fork"))
            #expect(job.status == .adopted)
            try await engine.learn(Facts.all[3], in: "fork")
            return try engine.published("fork").levels.bits
        }
        // Rebuilt from its own log alone, without the space it came from.
        try home.withStore { store in
            for _ in 1...9 { try store.damageNewestGeneration() }
        }
        try await home.run { engine async throws in
            try await eventually { try engine.published("fork").levels.bits == bits }
        }
    }

    @Test func aDeletedSpaceIsGoneAndItsNameBeginsAnew() async throws {
        try await home.run { engine async throws in
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            let fresh = try await scores(engine, "a")
            try await engine.learn(Facts.all[0], in: "a")
            _ = try await engine.createSession(SessionCreation(id: "s", space: "a"))
            try await read(Facts.long(20), engine, session: "s", space: "a")
            let running = try await engine.accept(Facts.long(), id: "long", space: "a")
            try await eventually { try await engine.job(running.job.id).status == .running }
            let waiting = try await engine.accept(Facts.all[1], id: "waits", space: "a")
            async let end = engine.end(of: waiting.job)
            try await Task.sleep(for: .milliseconds(50))

            try await engine.deleteSpace("a")
            #expect(try await end.status == .cancelled)
            await #expect(throws: EngineError.notFound(.space, id: "a")) { try await scores(engine, "a") }
            await #expect(throws: EngineError.notFound(.space, id: "a")) { try await engine.accept("x", space: "a") }
            await #expect(throws: EngineError.notFound(.session, id: "s")) { try await engine.session("s") }
            await #expect(throws: EngineError.notFound(.job, id: running.job.id)) {
                try await engine.job(running.job.id)
            }
            let statistics = await engine.statistics()
            #expect((statistics.sessionsStored, statistics.documentsStored, statistics.spacesStored) == (0, 0, 1))
            #expect((statistics.learningJobsQueued, statistics.learningJobsRunning) == (0, 0))

            // The learner has let go of the old one too, and of the old session's state.
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            _ = try await engine.createSession(SessionCreation(id: "s", space: "a"))
            #expect(try await scores(engine, "a") == fresh)
            #expect(try await scores(engine, "a", session: "s") == fresh)
            #expect(try await engine.learn(Facts.all[1], in: "a").generation == 1)
            try await engine.learn(Facts.all[1])
            #expect(try engine.published("a").levels.bits == engine.bits)
            #expect(engine.health().notices.allSatisfy { !$0.contains("stands still") })
        }
    }

    /// Many documents of one space keep another waiting for one of them, and change nothing of what it learns.
    @Test func spacesTakeTurns() async throws {
        let alone = try await EngineHome().run { engine async throws in
            for fact in Facts.all[0...2] { try await engine.learn(fact) }
            return try engine.bits
        }
        try await home.run { engine async throws in
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            let busy = try await engine.accept(Facts.long())
            try await eventually { try await engine.job(busy.job.id).status == .running }
            var many: [JobRecord] = []
            for fact in Facts.all[0...2] { many.append(try await engine.accept(fact).job) }
            let one = try await engine.accept(Facts.all[3], space: "a").job
            _ = try await engine.cancelJob(busy.job.id)
            for job in many { #expect(try await engine.end(of: job).status == .learned) }
            let started = try #require(try await engine.job(one.id).started)
            for job in many { #expect(try #require(try await engine.job(job.id).started) >= started) }
            #expect(try engine.bits == alone)
        }
    }

    @Test func whatMustNotBeDeletedIsNot() async throws {
        try await home.run { engine async throws in
            await #expect(throws: EngineError.self) { try await engine.deleteSpace("default") }
            await #expect(throws: EngineError.notFound(.space, id: "x")) { try await engine.deleteSpace("x") }
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            _ = try await engine.createSession(SessionCreation(id: "s", space: "a"))
            _ = try engine.running().serving.registry.checkOut("s")
            await #expect(throws: EngineError.sessionInUse(id: "s")) { try await engine.deleteSpace("a") }
            engine.checkIn("s")
            try await engine.deleteSpace("a")
        }
    }

    @Test func aQuotaSaysWhatIsUsedAndWhatToDo() async throws {
        try await home.run { engine async throws in
            _ = try await engine.createSpace(
                SpaceCreation(id: "a", quotas: SpaceQuotas(documents: 2, bytes: 120)))
            try await engine.learn(Facts.all[0], id: "one", in: "a")
            func refusal(_ text: String) async throws -> String {
                do {
                    try await engine.accept(text, space: "a")
                    Issue.record("accepted beyond the quota")
                } catch EngineError.quotaExceeded(let message) {
                    return message
                }
                return ""
            }
            let bytes = try await refusal(String(repeating: "long ", count: 30))
            #expect(bytes.contains("120 bytes") && bytes.contains("holds \(Facts.all[0].utf8.count)"))
            #expect(bytes.contains("PATCH /v1/spaces/a"))
            try await engine.learn(Facts.all[1], in: "a")
            #expect(try await refusal("x").contains("may hold 2 documents"))
            // What is there already is answered.
            #expect(try await engine.accept(Facts.all[0], id: "one", space: "a").isNew == false)
            let use = try await engine.space("a")
            #expect(use.documentCount == 2)
            #expect(use.learningSeconds > 0)
            var change = SpaceChange()
            change.documents = .some(nil)
            change.bytes = .some(nil)
            change.learningSeconds = .some(use.learningSeconds / 2)
            #expect(try await engine.updateSpace("a", change).quotas.documents == nil)
            #expect(try await refusal("y").contains("quotas.learning_seconds"))
            await #expect(throws: EngineError.self) { try await engine.consolidate(space: "a") }
            // Others are not concerned.
            #expect(try await engine.learn(Facts.all[2]).status == .learned)
        }
        let kept = try await home.run { try await $0.space("a") }
        #expect(kept.quotas.learningSeconds != nil)
    }

    @Test func thereAreNoMoreSpacesThanAllowed() async throws {
        try await home.run({ $0.maxSpaces = 2 }) { engine async throws in
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            for attempt in 1...2 {
                do {
                    if attempt == 1 {
                        _ = try await engine.createSpace(SpaceCreation(id: "b"))
                    } else {
                        _ = try await engine.forkSpace("a", as: SpaceCreation(id: "b"))
                    }
                    Issue.record("made one too many")
                } catch EngineError.conflict(let code, let message) {
                    #expect(code == "too_many_spaces")
                    #expect(message.contains("--max-spaces"))
                }
            }
            #expect(try await engine.spaces(page: PageRequest()).items.map(\.id) == ["a", "default"])
            await #expect(throws: EngineError.notFound(.space, id: "b")) { try await scores(engine, "b") }
        }
    }

    @Test func aSpacesOwnScheduleConsolidatesIt() async throws {
        try await home.run({ $0.consolidateIdle = .milliseconds(50) }) { engine async throws in
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            try await engine.learn(Facts.all[0], in: "a")
            try await eventually {
                try await !engine.consolidations(space: "a", page: PageRequest()).items.isEmpty
            }
            #expect(try await engine.consolidations(space: "default", page: PageRequest()).items.isEmpty)
        }
    }
}

extension HopeEngine {
    /// Ends a request that a test has begun.
    fileprivate func checkIn(_ session: String) { try? running().serving.registry.checkIn(session, nil) }
}
