import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// Learning is a pure function of the log: thread counts, crashes, cancelled jobs in between and damaged generations
/// change nothing in the bits that come out.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ReplayTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    /// Learns two facts, consolidates, learns a third; the bits after each.
    static func story(
        _ home: EngineHome, threads: Int = 0, precision: PrecisionChoice = .f32
    ) async throws -> [String] {
        try await home.run({ ($0.threads, $0.learnPrecision) = (threads, precision) }) { engine async throws in
            var bits: [String] = []
            for fact in Facts.all.prefix(2) {
                try await engine.learn(fact)
                bits.append(try engine.bits)
            }
            try await engine.end(of: engine.consolidate(space: "default"))
            bits.append(try engine.bits)
            try await engine.learn(Facts.all[2])
            bits.append(try engine.bits)
            return bits
        }
    }

    @Test func theSameLogGivesTheSameBits() async throws {
        let first = try await Self.story(home)
        #expect(Set(first).count == 4)
        // Other cancelled work in between, and restarts, are no events.
        let other = try EngineHome()
        for (index, fact) in Facts.all.prefix(2).enumerated() {
            try await other.run { engine async throws in
                let stray = try await engine.accept("\(index): " + Facts.long())
                try await eventually { try await engine.job(stray.job.id).status != .queued }
                _ = try await engine.cancelJob(stray.job.id)
                try await engine.learn(fact)
                #expect(try engine.bits == first[index])
            }
        }
        try await other.run { engine async throws in
            try await engine.end(of: engine.consolidate(space: "default"))
            try await engine.learn(Facts.all[2])
            #expect(try engine.bits == first[3])
        }
    }

    @Test func theNumberOfThreadsPlaysNoPart() async throws {
        // The number of threads is one for a process, so each runs in its own.
        for threads in [1, 3] {
            let path = home.path + "/threads-\(threads)"
            try TestModel.write(to: URL(fileURLWithPath: path + "/model"))
            let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
                [path = path as String, threads = threads as Int] in
                let bits = try await ReplayTests.story(EngineHome(path), threads: threads)
                try Data(bits.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: path + "/bits"))
            }
            #expect(result != nil)
        }
        func bits(_ threads: Int) throws -> String {
            try String(contentsOfFile: home.path + "/threads-\(threads)/bits", encoding: .utf8)
        }
        #expect(try bits(1) == bits(3))
        #expect(try bits(1).split(separator: "\n").count == 4)
    }

    /// Killed in the middle of a job, the daemon has lost nothing: the document is there, the levels are those of the
    /// last generation, and the job ends with the bits it would have had.
    @Test func killedWhileLearningEndsWithTheSameBits() async throws {
        let text = Facts.all.joined(separator: " ")
        let undisturbed = try await EngineHome().run { engine async throws in
            try await engine.learn(Facts.all[0])
            let before = try engine.bits
            try await engine.learn(text, id: "long")
            return (before: before, after: try engine.bits)
        }
        let path = home.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, text = text as String] in
            let engine = try EngineHome(path).engine()
            try await engine.start()
            try await engine.learn(Facts.all[0])
            let accepted = try await engine.accept(text, id: "long")
            var windows = 0
            for try await event in try await engine.follow(job: accepted.job.id) {
                if case .progress(let progress) = event, progress.pass >= 2 { windows += 1 }
                if windows == 1 { kill(getpid(), SIGKILL) }
            }
        }
        try await home.run { engine async throws in
            #expect(engine.health().notices.contains { $0.contains("started again") })
            let job = try #require(
                try await engine.jobs(space: "default", status: nil, page: PageRequest(limit: 1)).items.first)
            #expect(job.documentID == "long")
            if job.status == .running || job.status == .queued { #expect(try engine.bits == undisturbed.before) }
            #expect(try await engine.end(of: job).status == .learned)
            #expect(try engine.bits == undisturbed.after)
        }
        // And once more from disk.
        let reread = try await home.run { try $0.bits }
        #expect(reread == undisturbed.after)
    }

    @Test func aDamagedGenerationIsRebuiltFromTheLog() async throws {
        let bits = try await Self.story(home)
        try home.withStore { store in
            try store.damageNewestGeneration()
        }
        try await home.run { engine async throws in
            #expect(engine.health().notices.contains { $0.contains("generation 4") && $0.contains("was damaged") })
            try await eventually { try engine.space.generation > 4 }
            #expect(try engine.bits == bits[3])
            try await eventually { !engine.health().notices.contains { $0.contains("being rebuilt") } }
            #expect(try await engine.learn(Facts.all[3]).status == .learned)
        }
    }

    /// The setting of today is that of what is learned next, not of what was.
    @Test func whatWasLearnedInBFloat16IsReplayedInIt() async throws {
        let exact = try await Self.story(EngineHome())
        let bits = try await Self.story(home, precision: .bf16)
        #expect(zip(exact, bits).allSatisfy { $0 != $1 })
        try home.withStore { store in
            for _ in 1...4 { try store.damageNewestGeneration() }
        }
        try await home.run { engine async throws in
            try await eventually { try engine.space.generation >= 8 }
            #expect(try engine.bits == bits[3])
        }
    }

    /// With every generation gone, all of the log is done again, the consolidation included.
    @Test func theWholeLogIsReplayedFromTheBase() async throws {
        let bits = try await Self.story(home)
        try home.withStore { store in
            for _ in 1...4 { try store.damageNewestGeneration() }
        }
        try await home.run { engine async throws in
            try await eventually { try engine.space.generation >= 8 }
            #expect(try engine.bits == bits[3])
        }
        let reread = try await home.run { try $0.bits }
        #expect(reread == bits[3])
    }
}
