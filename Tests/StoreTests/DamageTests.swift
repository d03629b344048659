import Foundation
import GRDB
import Testing

@testable import Store

/// Would catch: a generation used although a byte of it is not what was written, and one given up that is whole.
@Suite struct DamageTests {
    private let database = TemporaryDatabase()

    /// Three generations that share nothing; events 1 to 3.
    private func persistThree() throws {
        try database.withStore { store, _ in
            for number in Int64(1)...3 {
                try store.transaction { tx in
                    try tx.appendEvent(space: "default", sequence: number, kind: .learn, seed: 0)
                    try tx.persistGeneration(.sample(seed: UInt64(number), parent: number - 1, event: number))
                }
            }
        }
    }

    private func hash(ofGeneration seed: UInt64) throws -> Data {
        try ChunkedState.sample(seed: seed).chunks[0][0].data
    }

    /// SQL that spoils generation 3, and a word of the reason reported for it.
    @Test(arguments: [
        ("UPDATE chunk SET bytes = x'00' || substr(bytes, 2) WHERE hash = $hash", "checksum"),
        ("UPDATE chunk SET bytes = substr(bytes, 1, 4000) WHERE hash = $hash", "checksum"),
        ("DELETE FROM chunk WHERE hash = $hash", "missing"),
        ("UPDATE state SET manifest = replace(manifest, 'U8', 'I8') WHERE id = $state", "manifest"),
        ("UPDATE state SET manifest = CAST(replace(manifest, '4096', '4095') AS BLOB) WHERE id = $state", "manifest"),
        ("DELETE FROM state WHERE id = $state", "no digest"),
        ("UPDATE generation SET metadata = '{}' WHERE number = 3", "row"),
        ("UPDATE generation SET event = 2 WHERE number = 3", "row"),
        ("UPDATE generation_level SET level = 'fast' WHERE level = 'slow' AND generation_id = 3", "row"),
        ("DELETE FROM generation_level WHERE level = 'slow' AND generation_id = 3", "row"),
    ])
    func aSpoiledGenerationIsSkippedAndReported(change: String, reason: String) throws {
        try persistThree()
        let hash = try hash(ofGeneration: 3)
        try database.withRawConnection { db in
            let state = try Int64.fetchOne(
                db, sql: "SELECT state_id FROM generation_level WHERE generation_id = 3 AND level = 'medium'")
            let hex = hash.map { String(format: "%02x", $0) }.joined()
            let sql = change.replacing("$hash", with: "x'\(hex)'").replacing("$state", with: "\(state ?? 0)")
            try db.execute(sql: sql)
            #expect(db.changesCount == 1)
        }
        // Twice: the second opening knows it already.
        for _ in 1...2 {
            try database.withStore { store, report throws in
                let space = try #require(report.spaces.first)
                #expect(space.generation == 2)
                #expect(space.damaged.map(\.number) == [3])
                #expect(space.damaged.first?.reason.contains(reason) == true, "\(space.damaged)")
                #expect(space.eventsToReplay == 1)
                #expect(try store.read { try $0.newestGeneration(space: "default") }?.verifiedSeed() == 2)
                #expect(try store.read { try $0.newestGenerationRecord(space: "default") }?.number == 2)
                #expect(
                    try store.read { try $0.generations(space: "default") }.map { $0.damage != nil } == [
                        true, false, false,
                    ])
            }
        }
    }

    @Test func aByteFlippedInTheFileItselfIsFound() throws {
        try persistThree()
        let bytes = try ChunkedState.sample(seed: 3).blobs[0].bytes
        let url = URL(fileURLWithPath: database.path)
        var file = try Data(contentsOf: url)
        let place = try #require(file.range(of: bytes[1_000..<1_064]))
        file[place.lowerBound + 7] ^= 0x10
        try file.write(to: url)
        try database.withStore { store, report throws in
            #expect(report.spaces.first?.generation == 2)
            #expect(try store.read { try $0.newestGeneration(space: "default") }?.verifiedSeed() == 2)
        }
    }

    @Test func withNothingWholeTheSpaceStartsFromTheModel() throws {
        try persistThree()
        try database.withRawConnection { try $0.execute(sql: "UPDATE chunk SET bytes = zeroblob(length(bytes))") }
        try database.withStore { store, report throws in
            #expect(report.spaces.first?.generation == nil)
            #expect(report.spaces.first?.damaged.map(\.number) == [3, 2, 1])
            #expect(report.spaces.first?.eventsToReplay == 3)
            #expect(try store.read { try $0.newestGeneration(space: "default") } == nil)
        }
    }

    /// Replaying the log makes the same bytes again. They must not be "shared" with the damaged chunk.
    @Test func aDamagedChunkIsWrittenAgainWhenItsBytesComeBack() throws {
        try persistThree()
        let hash = try hash(ofGeneration: 3)
        try database.withRawConnection {
            try $0.execute(sql: "UPDATE chunk SET bytes = zeroblob(4096) WHERE hash = ?", arguments: [hash])
        }
        try database.withStore { store, _ throws in
            let draft = try GenerationDraft.sample(seed: 3, parent: 2, event: 3)
            let record = try store.transaction { try $0.persistGeneration(draft) }
            #expect(record.number == 4)
            #expect(record.bytesWritten == 4_096, "only the damaged chunk")
        }
        try database.withStore { store, report throws in
            #expect(report.spaces.first?.generation == 4)
            #expect(try store.read { try $0.newestGeneration(space: "default") }?.verifiedSeed() == 3)
        }
    }

    @Test func aDamagedJobStateIsNamedNotUsed() throws {
        let jobID = try database.withStore { store, _ in
            try store.transaction { tx in
                let job = try tx.createJob(kind: .consolidate, space: "default")
                _ = try tx.startNextJob()
                try tx.updateJob(job.id, progress: 0.5, state: .sample(seed: 1))
                return job.id
            }
        }
        try database.withRawConnection { try $0.execute(sql: "UPDATE chunk SET bytes = zeroblob(length(bytes))") }
        try database.withStore { store, report throws in
            #expect(report.resumedJobs == [jobID])
            #expect {
                try store.read { try $0.jobState(jobID) }
            } throws: { error in
                guard case .damaged(let row, _)? = error as? StoreError else { return false }
                return row == StoreRow("job", jobID)
            }
        }
    }

    @Test func aChangedTextIsNotLearned() throws {
        try database.withStore { store, _ in
            _ = try store.transaction { try $0.accept(DocumentDraft(id: "d", text: "the truth", tokenCount: 2)) }
        }
        try database.withRawConnection { try $0.execute(sql: "UPDATE document_text SET text = CAST('a lie' AS BLOB)") }
        try database.withStore { store, _ in
            let expected = StoreError.damaged(
                StoreRow("document", "default/d"), reason: "its text does not match its checksum")
            #expect(throws: expected) { try store.read { try $0.documentText(space: "default", id: "d") } }
        }
    }

    @Test func pruningKeepsTheNewestWholeOnesAndThePinned() throws {
        try database.withStore { store, _ throws in
            for seed in UInt64(1)...6 { _ = try store.transaction { try $0.persistGeneration(.sample(seed: seed)) } }
            try store.transaction { try $0.setPinned(true, space: "default", generation: 2) }
        }
        let hash = try hash(ofGeneration: 6)
        try database.withRawConnection {
            try $0.execute(sql: "DELETE FROM chunk WHERE hash = ?", arguments: [hash])
        }
        try database.withStore { store, _ throws in
            // 6 is damaged and newest: it does not count among the two that are kept, and stays to be reported.
            #expect(try store.transaction { try $0.pruneGenerations(space: "default", keep: 2) } == [3, 1])
            #expect(try store.read { try $0.generations(space: "default") }.map(\.number) == [6, 5, 4, 2])
            _ = try store.transaction { try $0.persistGeneration(.sample(seed: 7, parent: 5)) }
            #expect(try store.transaction { try $0.pruneGenerations(space: "default", keep: 2) } == [6, 4])
            #expect(try store.read { try $0.generation(space: "default", number: 2) }.verifiedSeed() == 2)
        }
        try database.expectSound()
    }

    @Test func aLevelCanBeInheritedFromTheParentOnly() throws {
        try database.withStore { store, _ throws in
            _ = try store.transaction { try $0.persistGeneration(.sample(seed: 1)) }
            func draft(parent: Int64?, inherit: String) throws -> GenerationDraft {
                GenerationDraft(
                    space: "default", parent: parent, event: nil,
                    levels: [
                        LevelDraft(name: "medium", content: .state(try .sample(seed: 50))),
                        LevelDraft(name: inherit, content: .inherited),
                    ])
            }
            let record = try store.transaction { try $0.persistGeneration(draft(parent: 1, inherit: "slow")) }
            #expect(record.bytesWritten == 4_096 + 24)
            #expect(record.byteCount == 2 * (4_096 + 24))
            _ = try store.transaction { try $0.pruneGenerations(space: "default", keep: 1) }
            let read = try #require(try store.read { try $0.newestGeneration(space: "default") })
            #expect(try read.levels[1].blobs == ChunkedState.sample(seed: 1_001).blobs)
            for (parent, level) in [(Int64?.none, "slow"), (1, "slow"), (2, "fast")] {
                #expect(throws: StoreError.self) {
                    try store.transaction { try $0.persistGeneration(draft(parent: parent, inherit: level)) }
                }
            }
            #expect(try store.read { try $0.generations(space: "default") }.map(\.number) == [2])
        }
        try database.expectSound()
    }
}
