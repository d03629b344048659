import Foundation
import GRDB
import Testing

@testable import Store

extension ModelFingerprint {
    static let first = ModelFingerprint(architecture: "a1", tokenizer: "t1", weights: "w1")
    static let second = ModelFingerprint(architecture: "a1", tokenizer: "t1", weights: "w2")
}

/// SplitMix64: the same cases on every machine.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> Data {
        var data = Data(capacity: count)
        while data.count + 8 <= count { withUnsafeBytes(of: next()) { data.append(contentsOf: $0) } }
        while data.count < count { data.append(UInt8.random(in: .min ... .max, using: &self)) }
        return data
    }
}

/// A directory of its own with a database path in it, gone when the value is.
final class TemporaryDatabase: Sendable {
    let directory: String
    var path: String { directory + "/memory.sqlite" }

    init() {
        directory = NSTemporaryDirectory() + "store-tests-" + UUID().uuidString
        try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func open(
        fingerprint: ModelFingerprint = .first, ifOtherModel policy: OtherModelPolicy = .refuse
    ) throws -> (store: MemoryStore, report: RecoveryReport) {
        try MemoryStore.open(at: path, fingerprint: fingerprint, ifOtherModel: policy)
    }

    /// Opens, runs, closes.
    @discardableResult
    func withStore<Value>(_ body: (MemoryStore, RecoveryReport) throws -> Value) throws -> Value {
        let (store, report) = try open()
        defer { try? store.close() }
        return try body(store, report)
    }

    /// Another program's connection, with no rules of ours; the store must be closed.
    func withRawConnection<Value>(_ body: (Database) throws -> Value) throws -> Value {
        var configuration = GRDB.Configuration()
        configuration.foreignKeysEnabled = false
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? queue.close() }
        return try queue.writeWithoutTransaction(body)
    }

    /// SQLite's own verdict, and ours: nothing is kept that nothing owns, nothing is missing that something needs.
    func expectSound(sourceLocation: SourceLocation = #_sourceLocation) throws {
        try withRawConnection { db in
            try StoreTests.expectSound(db, sourceLocation: sourceLocation)
        }
    }
}

/// See ``TemporaryDatabase/expectSound(sourceLocation:)``.
func expectSound(_ db: Database, sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(try String.fetchAll(db, sql: "PRAGMA integrity_check") == ["ok"], sourceLocation: sourceLocation)
    #expect(try Row.fetchAll(db, sql: "PRAGMA foreign_key_check").isEmpty, sourceLocation: sourceLocation)
    let orphanedChunks = try Int.fetchOne(
        db, sql: "SELECT count(*) FROM chunk WHERE hash NOT IN (SELECT hash FROM state_chunk)")
    #expect(orphanedChunks == 0, "chunks that no state needs", sourceLocation: sourceLocation)
    let unsettled = try Int.fetchOne(db, sql: "SELECT count(*) FROM passage_deleted")
    #expect(unsettled == 0, "deleted passages that are still in the index", sourceLocation: sourceLocation)
    let orphanedStates = try Int.fetchOne(
        db,
        sql: """
            SELECT count(*) FROM state WHERE id NOT IN (SELECT state_id FROM generation_level
                UNION SELECT state_id FROM session UNION SELECT state_id FROM job WHERE state_id IS NOT NULL)
            """)
    #expect(orphanedStates == 0, "states that nothing owns", sourceLocation: sourceLocation)
}

extension ChunkedState {
    /// Two tensors, `w` of `byteCount` seeded bytes and a small `b`.
    static func sample(seed: UInt64, byteCount: Int = 4_096) throws -> ChunkedState {
        var random = SeededRandom(seed: seed)
        return try ChunkedState([
            StateBlob(name: "w", type: .u8, shape: [byteCount], bytes: random.bytes(byteCount)),
            StateBlob(name: "b", type: .f32, shape: [2, 3], bytes: random.bytes(24)),
        ])
    }
}

extension GenerationDraft {
    /// A medium and a slow level made from `seed`.
    static func sample(
        seed: UInt64, space: String = "default", parent: Int64? = nil, event: Int64? = nil, byteCount: Int = 4_096
    ) throws -> GenerationDraft {
        GenerationDraft(
            space: space, parent: parent, event: event,
            levels: [
                LevelDraft(name: "medium", content: .state(try .sample(seed: seed, byteCount: byteCount))),
                LevelDraft(name: "slow", content: .state(try .sample(seed: seed &+ 1_000, byteCount: byteCount))),
            ],
            metadata: try JSONText(encoding: ["seed": seed]))
    }
}

extension SessionDraft {
    static func sample(seed: UInt64, byteCount: Int = 4_096, generation: Int64? = nil) throws -> SessionDraft {
        SessionDraft(
            generation: generation, state: try .sample(seed: seed, byteCount: byteCount),
            transcript: [1, 2, UInt32(truncatingIfNeeded: seed)], metadata: try JSONText(encoding: ["seed": seed]))
    }
}

extension Generation {
    /// The seed it was made from, after checking that its tensors are those of that seed.
    func verifiedSeed(byteCount: Int = 4_096, sourceLocation: SourceLocation = #_sourceLocation) throws -> UInt64 {
        let seed = try #require(try record.metadata.decoded(as: [String: UInt64].self)["seed"])
        #expect(levels.map(\.name) == ["medium", "slow"], sourceLocation: sourceLocation)
        let expected = [
            try ChunkedState.sample(seed: seed, byteCount: byteCount).blobs,
            try ChunkedState.sample(seed: seed &+ 1_000, byteCount: byteCount).blobs,
        ]
        #expect(levels.map(\.blobs) == expected, sourceLocation: sourceLocation)
        return seed
    }
}
