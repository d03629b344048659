import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// A document that was deleted leaves no trace: not in the files, not in the levels, whatever happened after it.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ForgettingTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    /// Learns facts under their numbers; `nil` consolidates.
    static func run(_ story: [Int?], _ engine: HopeEngine) async throws {
        for step in story {
            guard let fact = step else {
                try await engine.end(of: engine.consolidate(space: "default"))
                continue
            }
            #expect(try await engine.learn(Facts.all[fact], id: "d\(fact)").status == .learned)
        }
    }

    /// What a space is that has lived through `story`: its bits, and how it scores a text.
    private static func life(_ story: [Int?]) async throws -> (bits: String, logprobs: [Double?]) {
        try await EngineHome().run { engine async throws in
            try await run(story, engine)
            return (try engine.bits, try await score(engine))
        }
    }

    private static func score(_ engine: HopeEngine, _ text: String = Facts.all[1]) async throws -> [Double?] {
        try await engine.score(ScoreRequest(input: .text(text), space: "default")).logprobs
    }

    @discardableResult
    private func forget(
        _ id: String, _ engine: HopeEngine, keeping: Set<DocumentHolder> = []
    ) async throws -> ForgetReceipt {
        let receipt = try await engine.forgetDocument(id, space: "default", keeping: keeping)
        if let job = receipt.jobID {
            #expect(try await engine.end(of: engine.job(job)).status == .forgotten)
        }
        return try #require(try await engine.forgetReceipt(id, space: "default"))
    }

    // MARK: - The same as if it had never been there

    struct Case: Sendable {
        var story: [Int?]
        var forgotten: Int
        var without: [Int?]
        var next: Int
    }

    @Test(arguments: [
        // From the middle, consolidated since; the first, so from the base; one not yet consolidated; the last.
        Case(story: [0, 1, nil, 2], forgotten: 1, without: [0, nil, 2], next: 3),
        Case(story: [0, 1, nil, 2], forgotten: 0, without: [1, nil, 2], next: 3),
        Case(story: [0, 1, nil, 2, 3], forgotten: 2, without: [0, 1, nil, 3], next: 2),
        Case(story: [0, 1, nil, 2], forgotten: 2, without: [0, 1, nil], next: 3),
    ])
    func theSpaceIsWhatItWouldBeWithoutIt(_ tried: Case) async throws {
        let (bits, logprobs) = try await Self.life(tried.without)
        let (laterBits, _) = try await Self.life(tried.without + [tried.next])
        try await home.run { engine async throws in
            try await Self.run(tried.story, engine)
            #expect(try engine.bits != bits)
            let receipt = try await forget("d\(tried.forgotten)", engine)
            #expect(receipt.state == .forgotten)
            #expect(receipt.exact == true, "\(receipt.reason ?? "")")
            let place = try #require(tried.story.firstIndex(of: tried.forgotten))
            #expect(receipt.eventsReplayed == tried.story.count - 1 - place)
            #expect(receipt.rebuiltFrom == place)
            #expect(try receipt.generation == engine.space.generation)
            #expect(try engine.bits == bits)
            #expect(try await Self.score(engine) == logprobs)
        }
        // So it goes on, from disk.
        try await home.run { engine async throws in
            #expect(try engine.bits == bits)
            try await engine.learn(Facts.all[tried.next], id: "later")
            #expect(try engine.bits == laterBits)
        }
        // And so it is replayed, if every generation should be damaged.
        try home.withStore { store in
            for _ in 0..<8 { try store.damageNewestGeneration() }
        }
        try await home.run { engine async throws in
            try await eventually { try engine.bits == laterBits }
        }
    }

    @Test func twoAreForgottenInOneRebuild() async throws {
        let (bits, _) = try await Self.life([1, nil])
        try await home.run { engine async throws in
            try await Self.run([0, 1, nil, 2], engine)
            let busy = try await engine.accept(Facts.long())
            try await eventually { try await engine.job(busy.job.id).status == .running }
            let first = try await engine.forgetDocument("d2", space: "default", keeping: [])
            let second = try await engine.forgetDocument("d0", space: "default", keeping: [])
            _ = try await engine.cancelJob(busy.job.id)
            for receipt in [first, second] {
                let job = try await engine.end(of: engine.job(try #require(receipt.jobID)))
                #expect(job.status == .forgotten)
                #expect(job.receipt?.exact == true)
                #expect(job.receipt?.rebuiltFrom == 0)
            }
            #expect(try engine.bits == bits)
            let events = try engine.running().context.store.read { try $0.events(space: "default") }
            #expect(events.map(\.kind) == [.learn, .consolidate, .forget])
        }
    }

    /// A document that is deleted while another is learned is not in what comes out, and fails nothing.
    @Test func anotherOneIsBeingLearnedMeanwhile() async throws {
        let text = Facts.all[2] + " " + Facts.all[3]
        let bits = try await EngineHome().run { engine async throws in
            try await Self.run([1], engine)
            try await engine.learn(text)
            return try engine.bits
        }
        try await home.run { engine async throws in
            try await Self.run([0, 1], engine)
            let other = try await engine.accept(text)
            try await eventually { try await engine.job(other.job.id).status == .running }
            let receipt = try await engine.forgetDocument("d0", space: "default", keeping: [])
            #expect(try await engine.end(of: other.job).status == .learned)
            #expect(try await engine.end(of: engine.job(try #require(receipt.jobID))).status == .forgotten)
            #expect(try engine.bits == bits)
        }
    }

    // MARK: - What is left of it

    @Test func nothingOfTheTextIsInTheFiles() async throws {
        let secret = "The password of the lighthouse keeper is Xanthippe Quillfeather."
        let files = [home.database, home.database + "-wal"]
        func holds() -> Bool {
            files.contains { path in
                guard let data = FileManager.default.contents(atPath: path) else { return false }
                return ["Xanthippe", "a secret title", "a secret note"].contains {
                    data.range(of: Data($0.utf8)) != nil
                }
            }
        }
        try await home.run { engine async throws in
            let accepted = try await engine.acceptDocument(
                DocumentSubmission(
                    text: secret, id: "secret", title: "a secret title", space: "default",
                    metadata: .object(["note": .string("a secret note")]), idempotencyKey: "key"))
            try await engine.end(of: accepted.job)
            #expect(holds(), "else this test shows nothing")
            try await forget("secret", engine)
            #expect(!holds())
            #expect(await engine.statistics().documentsStored == 0)
            // A request that is repeated does not bring it back.
            await #expect(throws: EngineError.self) { try await engine.accept(secret, id: "secret", key: "key") }
            let waiting = try await engine.accept(Facts.long(20))
            _ = try await engine.accept(secret, id: "never learned")
            #expect(try await forget("never learned", engine).exact == true)
            #expect(!holds())
            _ = try? await engine.cancelJob(waiting.job.id)
        }
        #expect(!holds())
    }

    @Test func generationsThatHeldItAreGone() async throws {
        try await home.run { engine async throws in
            try await Self.run([0, 1, 2], engine)
            try await forget("d1", engine)
            let store = try engine.running().context.store
            let numbers = try store.read { try $0.generations(space: "default").map(\.number) }
            #expect(numbers == [4, 1])
            let history = try await engine.history(level: "medium", space: "default", page: PageRequest())
            #expect(history.items.map(\.generation) == [4, 1])
            let items = try await engine.documents(space: "default", page: PageRequest()).items
            #expect(items.map(\.id) == ["d0", "d2"])
            #expect(items.map(\.generations) == [[1], [4]])
            let retention = try await engine.retention(space: "default", page: PageRequest())
            #expect(retention.documents.items.map(\.generation) == [1, 4])
            #expect(retention.documents.items.allSatisfy { $0.losses.now == $0.losses.learned })
        }
    }

    @Test func sessionsThatReadItGoUnlessTheyAreKept() async throws {
        func story(_ engine: HopeEngine) async throws {
            try await Self.run([0], engine)
            _ = try await engine.createSession(SessionCreation(id: "before", space: "default"))
            try await Self.run([1], engine)
            _ = try await engine.createSession(SessionCreation(id: "after", space: "default"))
        }
        try await home.run { engine async throws in
            try await story(engine)
            let receipt = try await forget("d1", engine)
            #expect(receipt.removed == .init(sessions: ["after"]))
            #expect(receipt.kept == .init())
            let left = try await engine.sessions(space: "default", page: PageRequest()).items.map(\.id)
            #expect(left == ["before"])
            #expect(await engine.statistics().sessionsStored == 1)
        }
        try await EngineHome().run { engine async throws in
            try await story(engine)
            let receipt = try await forget("d1", engine, keeping: [.sessions])
            #expect(receipt.kept == .init(sessions: ["after"]))
            #expect(receipt.removed == .init())
            #expect(try await engine.session("after").id == "after")
        }
    }

    /// The session's request ends with an error, and the session is what it was before.
    @Test func aRequestThatReadsItWhileItIsForgottenIsNotKept() async throws {
        try await home.run { engine async throws in
            try await Self.run([0], engine)
            _ = try await engine.createSession(SessionCreation(id: "s", space: "default"))
            try await Self.run([1], engine)
            let stream = try await engine.generate(
                GenerationRequest(
                    input: .text("The lord"), sampling: SamplingParameters(), maxTokens: 400,
                    ignoresEndOfText: true, space: "default", session: "s", learn: .none, requestID: "r"))
            var isForgotten = false
            await #expect(throws: EngineError.self) {
                for try await _ in stream where !isForgotten {
                    isForgotten = true
                    try await forget("d1", engine)
                }
            }
            #expect(isForgotten)
            let session = try await engine.session("s")
            #expect(session.tokenCount == 0)
            #expect(!session.isInUse)
            let again = try await engine.generate(
                GenerationRequest(
                    input: .text("The lord"), sampling: SamplingParameters(), maxTokens: 2, space: "default",
                    session: "s", learn: .none, requestID: "r"))
            for try await _ in again {}
            #expect(try await engine.session("s").generation == 3)
        }
    }

    // MARK: - When and how often

    @Test func oneThatWaitsOrIsBeingLearnedIsJustRemoved() async throws {
        try await home.run { engine async throws in
            try await Self.run([0], engine)
            let bits = try engine.bits
            let running = try await engine.accept(Facts.long(), id: "running")
            let waiting = try await engine.accept(Facts.all[1], id: "waiting")
            try await eventually { try await engine.job(running.job.id).status == .running }
            for (id, job) in [("waiting", waiting.job), ("running", running.job)] {
                let receipt = try await engine.forgetDocument(id, space: "default", keeping: [])
                #expect(receipt.state == .forgotten && receipt.exact == true && receipt.jobID == nil)
                #expect(try await engine.job(job.id).status == .cancelled)
                await #expect(throws: EngineError.notFound(.document, id: id)) { try await engine.document(id) }
            }
            #expect(try engine.bits == bits)
            #expect(await engine.statistics().learningJobsQueued == 0)
        }
    }

    @Test func askedTwiceItIsForgottenOnce() async throws {
        try await home.run { engine async throws in
            try await Self.run([0, 1], engine)
            async let first = engine.forgetDocument("d0", space: "default", keeping: [])
            async let second = engine.forgetDocument("d0", space: "default", keeping: [])
            let jobs = try await [first.jobID, second.jobID]
            #expect(jobs[0] != nil && jobs[0] == jobs[1])
            let job = try await engine.end(of: engine.job(try #require(jobs[0])))
            let third = try await engine.forgetDocument("d0", space: "default", keeping: [])
            #expect(third == job.receipt)
            #expect(third.state == .forgotten)
            let all = try await engine.jobs(space: "default", status: nil, page: PageRequest()).items
            #expect(all.count { $0.kind == .forget } == 1)
            await #expect(throws: EngineError.notFound(.document, id: "none")) {
                try await engine.forgetDocument("none", space: "default", keeping: [])
            }
            await #expect(throws: EngineError.notFound(.space, id: "none")) {
                try await engine.forgetDocument("d1", space: "none", keeping: [])
            }
            // The id is free again.
            #expect(try await engine.learn(Facts.all[2], id: "d0").status == .learned)
            #expect(try await engine.document("d0").status == .learned)
        }
    }

    @Test func itCannotBeCancelledAndNotBeAskedForReadOnly() async throws {
        try await home.run { engine async throws in
            try await Self.run([0], engine)
            let busy = try await engine.accept(Facts.long())
            try await eventually { try await engine.job(busy.job.id).status == .running }
            let receipt = try await engine.forgetDocument("d0", space: "default", keeping: [])
            let job = try #require(receipt.jobID)
            await #expect(throws: EngineError.forgettingIsFinal(job)) { try await engine.cancelJob(job) }
            _ = try await engine.cancelJob(busy.job.id)
            try await engine.end(of: engine.job(job))
        }
        try await home.run({ $0.isReadOnly = true }) { engine async throws in
            await #expect(throws: EngineError.readOnly(action: "forget a document")) {
                try await engine.forgetDocument("d0", space: "default", keeping: [])
            }
        }
    }

    /// The receipt says so, and what was learned from the damaged text is gone with it.
    @Test func withADamagedTextItIsNotExact() async throws {
        try await home.run { engine async throws in
            try await Self.run([0, 1, 2], engine)
            try engine.running().context.store.damageText(of: "d1")
            let receipt = try await forget("d0", engine)
            #expect(receipt.state == .forgotten)
            #expect(receipt.exact == false)
            #expect(receipt.reason?.contains("event 2") == true)
        }
    }

    @Test func progressIsFollowedLive() async throws {
        try await home.run { engine async throws in
            try await Self.run([0, 1, nil, 2], engine)
            let receipt = try await engine.forgetDocument("d0", space: "default", keeping: [])
            var seen: [ReplayProgress] = []
            for try await event in try await engine.follow(job: try #require(receipt.jobID)) {
                if case .replaying(let progress) = event { seen.append(progress) }
            }
            #expect(!seen.isEmpty)
            #expect(seen.allSatisfy { $0.events == 3 && $0.replayed < 3 })
            #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.progress <= $1.progress })
        }
    }

    // MARK: - Trouble on the way

    @Test func killedWhileRebuildingEndsWithTheSameBits() async throws {
        let (bits, _) = try await Self.life([1, nil, 2])
        let path = home.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let engine = try EngineHome(path).engine()
            try await engine.start()
            try await ForgettingTests.run([0, 1, nil, 2], engine)
            let receipt = try await engine.forgetDocument("d0", space: "default", keeping: [])
            for try await event in try await engine.follow(job: try #require(receipt.jobID)) {
                if case .replaying(let progress) = event, progress.replayed >= 1 { kill(getpid(), SIGKILL) }
            }
        }
        try await home.run { engine async throws in
            let receipt = try #require(try await engine.forgetReceipt("d0", space: "default"))
            #expect(try await engine.end(of: engine.job(try #require(receipt.jobID))).receipt?.exact == true)
            #expect(try engine.bits == bits)
        }
    }

    @Test func aFullDiskDelaysIt() async throws {
        let (bits, _) = try await Self.life([1])
        try await home.run { engine async throws in
            try await Self.run([0, 1], engine)
            let store = try engine.running().context.store
            let busy = try await engine.accept(Facts.long())
            try await eventually { try await engine.job(busy.job.id).status == .running }
            let receipt = try await engine.forgetDocument("d0", space: "default", keeping: [])
            try store.limitPages(extra: 0)
            _ = try await engine.cancelJob(busy.job.id)
            try await eventually { engine.health().notices.contains { $0.contains("no space left") } }
            #expect(try await engine.forgetReceipt("d0", space: "default")?.state == .rebuilding)
            #expect(try engine.space.generation == 2)
            try store.limitPages(extra: nil)
            try await engine.end(of: engine.job(try #require(receipt.jobID)))
            #expect(try engine.bits == bits)
        }
    }
}
