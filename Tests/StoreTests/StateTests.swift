import Foundation
import GRDB
import Testing

@testable import Store

/// Would catch: bytes that come back different, shapes that do not fit, chunks written twice or let go too early.
@Suite struct StateTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func digestsAreThoseOfTheStandard(text: String, hex: String) {
        #expect(SHA256Digest(of: text).hex == hex)
        #expect(SHA256Digest(hex: hex)?.data == SHA256Digest(of: Data(text.utf8)).data)
        #expect(SHA256Digest(bytes: SHA256Digest(of: text).data) == SHA256Digest(of: text))
    }

    @Test func aStreamedDigestEqualsTheWhole() {
        var random = SeededRandom(seed: 1)
        let data = random.bytes(100_000)
        var hasher = SHA256Hasher()
        var rest = data[...]
        while !rest.isEmpty {
            let count = min(rest.count, Int.random(in: 1...5_000, using: &random))
            rest.prefix(count).withUnsafeBytes { hasher.update($0) }
            rest = rest.dropFirst(count)
        }
        #expect(hasher.finalize() == SHA256Digest(of: data))
    }

    @Test func malformedDigestsAreRefused() {
        #expect(SHA256Digest(hex: String(repeating: "g", count: 64)) == nil)
        #expect(SHA256Digest(hex: "ab") == nil)
        #expect(SHA256Digest(bytes: Data(count: 31)) == nil)
    }

    /// Sizes around the chunk size, and none at all.
    @Test(arguments: [0, 1, 4_095, 1 << 20, (1 << 20) + 1, (3 << 20) - 1])
    func blobsOfAnySizeComeBackAsTheyWere(byteCount: Int) throws {
        let database = TemporaryDatabase()
        var random = SeededRandom(seed: UInt64(byteCount))
        // A slice, so that an index that does not start at 0 is tried as well.
        let bytes = random.bytes(byteCount + 3).dropFirst(3)
        let blobs = [
            StateBlob(name: "level/\u{e9}\u{0}", type: .u8, shape: [byteCount], bytes: bytes),
            StateBlob(name: "scalar", type: .f64, shape: [], bytes: random.bytes(8)),
            StateBlob(name: "empty", type: .bf16, shape: [4, 0, 2], bytes: Data()),
        ]
        let state = try ChunkedState(blobs)
        #expect(state.chunks[0].count == (byteCount + (1 << 20) - 1) >> 20)
        try database.withStore { store, _ throws in
            try store.transaction {
                _ = try $0.createSession(
                    id: "s", space: "default", SessionDraft(generation: nil, state: state, transcript: []))
            }
        }
        try database.withStore { store, _ throws in
            #expect(try store.read { try $0.session("s") }.blobs == blobs)
        }
    }

    @Test func elementsAreReadInPlace() throws {
        let values: [Float] = [1.5, -.infinity, .leastNonzeroMagnitude, 0]
        let blob = values.withUnsafeBufferPointer {
            StateBlob(name: "x", type: .f32, shape: [2, 2], copying: $0)
        }
        #expect(blob.withElements(as: Float.self) { Array($0) } == values)
    }

    @Test func shapesThatDoNotFitAreRefused() {
        let wrong: [([Int], ElementType, Int)] = [
            ([2, 3], .f32, 23), ([2, 3], .f16, 24), ([-1], .u8, 0), ([.max, .max], .u8, 0), ([3], .u8, 4),
        ]
        for (shape, type, byteCount) in wrong {
            #expect(throws: StoreError.self, "\(shape)") {
                try ChunkedState([StateBlob(name: "x", type: type, shape: shape, bytes: Data(count: byteCount))])
            }
        }
        let twice = StateBlob(name: "x", type: .u8, shape: [1], bytes: Data(count: 1))
        #expect(throws: StoreError.invalid(StoreRow("blob", "x"), reason: "the name is used twice")) {
            try ChunkedState([twice, twice])
        }
    }

    @Test func anUnknownManifestIsRefused() throws {
        let hash = String(repeating: "0", count: 64)
        let unreadable = [
            "{}", #"{"blobs":[],"version":2}"#,
            #"{"blobs":[{"chunks":["\#(hash)"],"name":"x","shape":[1],"type":"Q4"}],"version":1}"#,
            #"{"blobs":[{"chunks":[],"name":"x","shape":[1],"type":"U8"}],"version":1}"#,
            #"{"blobs":[{"chunks":["xyz"],"name":"x","shape":[1],"type":"U8"}],"version":1}"#,
        ]
        for manifest in unreadable {
            #expect(throws: StoreError.self, "\(manifest)") {
                try StateManifest.descriptions(in: Data(manifest.utf8), row: StoreRow("state"))
            }
        }
    }

    @Test func aGenerationWithOneChangedChunkWritesOneChunk() throws {
        let database = TemporaryDatabase()
        var random = SeededRandom(seed: 4)
        var bytes = random.bytes(8 << 20)
        func draft(parent: Int64?) throws -> GenerationDraft {
            let state = try ChunkedState([StateBlob(name: "w", type: .u8, shape: [bytes.count], bytes: bytes)])
            return GenerationDraft(
                space: "default", parent: parent, event: nil, levels: [LevelDraft(name: "slow", content: .state(state))]
            )
        }
        try database.withStore { store, _ throws in
            let first = try draft(parent: nil)
            #expect(try store.transaction { try $0.persistGeneration(first) }.bytesWritten == 8 << 20)
            bytes[5 << 20] ^= 1
            let second = try draft(parent: 1)
            #expect(try store.transaction { try $0.persistGeneration(second) }.bytesWritten == 1 << 20)
            #expect(try store.statistics().chunkCount == 9)
            #expect(try store.transaction { try $0.pruneGenerations(space: "default", keep: 1) } == [1])
            #expect(try store.statistics().chunkCount == 8)
            let read = try store.read { try $0.newestGeneration(space: "default") }
            #expect(read?.levels.first?.blobs.first?.bytes == bytes)
        }
        try database.expectSound()
    }

    /// The first state is given up in the same transaction that writes the second: its pages are used again.
    @Test func savingASessionAgainAndAgainDoesNotGrowTheFile() throws {
        let database = TemporaryDatabase()
        try database.withStore { store, _ throws in
            try store.transaction {
                _ = try $0.createSession(id: "s", space: "default", .sample(seed: 0, byteCount: 1 << 20))
            }
            let before = try store.statistics().databaseBytes
            for seed in UInt64(1)...20 {
                try store.transaction { _ = try $0.saveSession("s", .sample(seed: seed, byteCount: 1 << 20)) }
            }
            let after = try store.statistics()
            #expect(after.databaseBytes <= before + 64 * 4_096)
            #expect(after.chunkCount == 2)
        }
        try database.expectSound()
    }

    @Test func deletedBytesAreNotLeftInTheFile() throws {
        let database = TemporaryDatabase()
        let secret = Data((0..<64).map { "the vault opens with 4711 \($0); " }.joined().utf8)
        let state = try ChunkedState([StateBlob(name: "w", type: .u8, shape: [secret.count], bytes: secret)])
        try database.withStore { store, _ throws in
            try store.transaction {
                _ = try $0.createSession(
                    id: "s", space: "default", SessionDraft(generation: nil, state: state, transcript: []))
            }
            try store.checkpoint()
            #expect(
                try Data(contentsOf: URL(fileURLWithPath: database.path)).range(of: Data("vault opens".utf8)) != nil)
            try store.transaction { try $0.deleteSession("s") }
            try store.checkpoint()
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: database.path)).range(of: Data("vault opens".utf8)) == nil)
    }
}
