import Foundation
import Testing

@testable import Store

/// Would catch: histories that grow without bound or lose their newest points, and rows of one space seen in another.
@Suite struct HistoryTests {
    private let database = TemporaryDatabase()

    private func entry(_ index: Int) -> LevelHistoryEntry {
        LevelHistoryEntry(
            at: Date(timeIntervalSince1970: Double(index)), generation: Int64(index), updates: index,
            tokens: 512 * index,
            deltaNorm: 0.5, relativeDrift: 0.25, surprise: index.isMultiple(of: 2) ? nil : 3.5, learningRate: 1e-3)
    }

    @Test func aLevelsHistoryComesBackByTimeAndLimit() throws {
        try database.withStore { store, _ throws in
            try store.transaction { tx in
                for index in 0..<10 { try tx.appendLevelHistory(space: "default", level: "medium", entry(index)) }
                try tx.appendLevelHistory(space: "default", level: "slow", entry(99))
            }
            try store.read { reader throws in
                #expect(try reader.levelHistory(space: "default", level: "medium") == (0..<10).map(entry))
                #expect(try reader.levelHistory(space: "default", level: "medium", limit: 3) == (7..<10).map(entry))
                let range = try reader.levelHistory(
                    space: "default", level: "medium", since: Date(timeIntervalSince1970: 2),
                    until: Date(timeIntervalSince1970: 4))
                #expect(range == (2...4).map(entry))
            }
        }
    }

    @Test func anOldHistoryThinsOutAndANewOneStaysDense() throws {
        let total = 3 * LevelHistory.capacity
        try database.withStore { store, _ throws in
            try store.transaction { tx in
                for index in 0..<total { try tx.appendLevelHistory(space: "default", level: "medium", entry(index)) }
            }
            let kept = try store.read {
                try $0.levelHistory(space: "default", level: "medium", limit: total).map(\.updates)
            }
            #expect(kept.count <= LevelHistory.capacity)
            #expect(kept.first == 0, "the beginning is kept")
            let recent = LevelHistory.capacity / 2
            #expect(Array(kept.suffix(recent)) == Array((total - recent)..<total), "the newer half is all there")
            #expect(kept == kept.sorted())
        }
    }

    @Test func consolidationsAreLoggedWithTheirVerdict() throws {
        let record = ConsolidationRecord(
            space: "default", job: "job-1", trigger: "interval", started: Date(timeIntervalSince1970: 10),
            finished: Date(timeIntervalSince1970: 12.5), verdict: .rejected, reason: "anchors rose by 3.1 %",
            tokens: 4_096, generation: nil, losses: try JSONText(encoding: ["anchors": [3.0, 3.1]]))
        var adopted = record
        adopted.verdict = .adopted
        adopted.generation = 4
        try database.withStore { store, _ throws in
            try store.transaction { tx in
                try tx.appendConsolidation(record)
                try tx.appendConsolidation(adopted)
            }
            let page = try store.read { try $0.consolidations(space: "default") }
            #expect(page.items == [adopted, record])
        }
    }

    @Test func aSpaceTakesEverythingItHasWithIt() throws {
        try database.withStore { store, _ throws in
            try store.transaction { tx in
                try tx.createSpace("team", name: "The team")
                #expect(throws: StoreError.conflict(StoreRow("space", "team"), reason: "it already exists")) {
                    try tx.createSpace("team")
                }
                for space in ["default", "team"] {
                    let accepted = try tx.accept(DocumentDraft(space: space, id: "d", text: "t", tokenCount: 1))
                    _ = try tx.startNextJob()
                    try tx.updateJob(accepted.job.id, progress: 0, state: .sample(seed: 3))
                    try tx.appendEvent(space: space, sequence: 1, kind: .learn, document: "d", seed: 1)
                    try tx.persistGeneration(.sample(seed: space == "team" ? 1 : 2, space: space))
                    try tx.createSession(id: "s-\(space)", space: space, .sample(seed: 5))
                    try tx.appendLevelHistory(space: space, level: "medium", entry(1))
                }
            }
            try store.transaction { try $0.deleteSpace("team") }
            try store.read { reader throws in
                #expect(try reader.spaces().map(\.id) == ["default"])
                #expect(try reader.document(space: "team", id: "d") == nil)
                #expect(try reader.sessionRecord("s-team") == nil)
                #expect(try reader.generations(space: "team").isEmpty)
                #expect(try reader.session("s-default").blobs == ChunkedState.sample(seed: 5).blobs)
                #expect(try reader.newestGeneration(space: "default")?.verifiedSeed() == 2)
                #expect(try reader.jobs().items.map(\.space) == ["default"])
            }
            #expect(
                throws: StoreError.conflict(StoreRow("space", "default"), reason: "the default space always exists")
            ) {
                try store.transaction { try $0.deleteSpace("default") }
            }
            #expect(throws: StoreError.notFound(StoreRow("space", "team"))) {
                try store.transaction { try $0.deleteSpace("team") }
            }
        }
        try database.expectSound()
    }
}
