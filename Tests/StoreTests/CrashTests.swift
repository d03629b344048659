import Foundation
import GRDB
import Synchronization
import Testing

@testable import Store

/// Would catch: half a generation after the process was killed, and acknowledged documents that are gone.
///
/// SIGKILL shows the death of the process. A power cut is simulated by cutting the log short, since what
/// `synchronous=FULL` has not yet synced is its tail.
@Suite(.timeLimit(.minutes(10))) struct CrashTests {
    private let database = TemporaryDatabase()

    /// More than the fixture's page cache holds, so that part of it reaches the log before COMMIT is said.
    private static let spillingByteCount = 1 << 20

    @Test(arguments: FaultPoint.allCases, [4_096, spillingByteCount])
    func killedAnywhereLeavesOneWholeGeneration(at point: FaultPoint, byteCount: Int) async throws {
        let path = database.path
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, point = point as FaultPoint, byteCount = byteCount as Int] in
            try CrashFixture.persistTwoGenerations(at: path, byteCount: byteCount, killedAt: point)
        }
        let isCommitted = [.afterCommit, .beforeCheckpoint, .afterCheckpoint].contains(point)
        try database.withStore { store, report throws in
            #expect(report.spaces.first?.damaged == [])
            let generation = try #require(try store.read { try $0.newestGeneration(space: "default") })
            let seed = try generation.verifiedSeed(byteCount: byteCount)
            #expect(seed == (isCommitted ? 2 : 1))
            try store.read { reader throws in
                #expect(try reader.documentText(space: "default", id: "first") == "text 1")
                #expect(try reader.document(space: "default", id: "first")?.status == .learned)
                #expect((try reader.document(space: "default", id: "second") != nil) == isCommitted)
                #expect(try reader.nextEventSequence(space: "default") == (isCommitted ? 3 : 2))
                #expect(try reader.session("s").record.metadata.decoded(as: [String: UInt64].self)["seed"] == seed)
            }
            // Nothing stands in the way of going on.
            _ = try store.transaction { try $0.persistGeneration(.sample(seed: 9)) }
        }
        try database.expectSound()
    }

    /// The instant is chosen by a clock, so it also falls inside SQLite's own writes.
    @Test(arguments: 1...8)
    func killedAtAnyInstantLosesNothingAcknowledged(round: Int) async throws {
        let path = database.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, round = round as Int] in
            try CrashFixture.persistUntilKilled(at: path, afterMicroseconds: UInt32(20_000 + 9_173 * round))
        }
        let acknowledged = try CrashFixture.acknowledged(at: path)
        try database.withStore { store, report throws in
            #expect(report.spaces.first?.damaged == [])
            let generation = try store.read { try $0.newestGeneration(space: "default") }
            let seed = try generation?.verifiedSeed(byteCount: CrashFixture.racingByteCount) ?? 0
            #expect(seed == acknowledged || seed == acknowledged + 1, "\(acknowledged) acknowledged, \(seed) found")
            for index in 1...max(1, acknowledged) where acknowledged > 0 {
                #expect(try store.read { try $0.documentText(space: "default", id: "d\(index)") } == "text \(index)")
            }
        }
        try database.expectSound()
    }

    /// A log cut at any byte is a log whose last transactions never happened.
    @Test func aTruncatedLogLeavesAWholeOlderState() async throws {
        let path = database.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            try CrashFixture.persistTwoGenerations(at: path, byteCount: 20_000, killedAt: .afterCommit)
        }
        let url = URL(fileURLWithPath: path)
        let files = (main: try Data(contentsOf: url), log: try Data(contentsOf: URL(fileURLWithPath: path + "-wal")))
        var random = SeededRandom(seed: 7)
        let frame = 24 + 4_096
        let cuts = stride(from: 32, through: files.log.count, by: frame).flatMap {
            [$0, $0 + Int.random(in: 1..<frame, using: &random)]
        }
        var found: Set<UInt64> = []
        for cut in cuts where cut <= files.log.count {
            let copy = TemporaryDatabase()
            try files.main.write(to: URL(fileURLWithPath: copy.path))
            try files.log.prefix(cut).write(to: URL(fileURLWithPath: copy.path + "-wal"))
            try copy.withStore { store, report throws in
                #expect(report.spaces.first?.damaged == [], "cut at \(cut)")
                let generation = try store.read { try $0.newestGeneration(space: "default") }
                let seed = try generation?.verifiedSeed(byteCount: 20_000) ?? 0
                let texts = try store.read { try $0.documents(space: "default") }.items.count
                #expect(texts == Int(seed), "cut at \(cut)")
                found.insert(seed)
            }
            try copy.expectSound()
        }
        #expect(found == [0, 1, 2], "the cuts reach every state")
    }
}

/// What the child processes of ``CrashTests`` do.
enum CrashFixture {
    static let racingByteCount = 300_000

    /// One transaction: a document accepted and learned, its event, a session, a generation.
    private static func learn(_ seed: UInt64, id: String, byteCount: Int, in store: MemoryStore) throws {
        let draft = try GenerationDraft.sample(seed: seed, event: Int64(seed), byteCount: byteCount)
        try store.transaction { tx in
            _ = try tx.accept(DocumentDraft(id: id, text: "text \(seed)", tokenCount: 2))
            try tx.appendEvent(space: "default", sequence: Int64(seed), kind: .learn, document: id, seed: seed)
            let session = try SessionDraft.sample(seed: seed)
            if seed == 1 {
                try tx.createSession(id: "s", space: "default", session)
            } else {
                try tx.saveSession("s", session)
            }
            let record = try tx.persistGeneration(draft)
            try tx.updateDocument(space: "default", id: id, status: .learned, generation: record.number)
        }
    }

    /// Learns twice; the process ends at `point` of the second time.
    static func persistTwoGenerations(at path: String, byteCount: Int, killedAt point: FaultPoint) throws {
        let isArmed = Mutex(false)
        let hooks = FaultHooks { reached in
            if reached == point, isArmed.withLock(\.self) { kill(getpid(), SIGKILL) }
        }
        let (store, _) = try MemoryStore.open(
            at: path, fingerprint: .first, hooks: hooks, clock: { Date(timeIntervalSince1970: 0) })
        try store.withDatabase { try $0.execute(sql: "PRAGMA cache_size = -256") }
        try learn(1, id: "first", byteCount: byteCount, in: store)
        isArmed.withLock { $0 = true }
        try learn(2, id: "second", byteCount: byteCount, in: store)
        try store.checkpoint()
    }

    /// Learns again and again, noting each return in a file, until a second thread ends the process.
    static func persistUntilKilled(at path: String, afterMicroseconds delay: UInt32) throws {
        let (store, _) = try MemoryStore.open(at: path, fingerprint: .first)
        let notes = open(path + ".acknowledged", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let thread = Thread {
            usleep(delay)
            kill(getpid(), SIGKILL)
        }
        thread.start()
        for seed in UInt64(1)... {
            try learn(seed, id: "d\(seed)", byteCount: racingByteCount, in: store)
            withUnsafeBytes(of: seed.littleEndian) { _ = pwrite(notes, $0.baseAddress, 8, 0) }
        }
    }

    static func acknowledged(at path: String) throws -> UInt64 {
        let data = (try? Data(contentsOf: URL(fileURLWithPath: path + ".acknowledged"))) ?? Data()
        guard data.count == 8 else { return 0 }
        return data.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    }
}
