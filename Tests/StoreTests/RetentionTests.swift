import Foundation
import GRDB
import Synchronization
import Testing

@testable import Store

/// Would catch: a best loss that is not the best, figures of documents that are not learned, a measurement order that
/// starves somebody, and a database of the version before that does not open.
@Suite struct RetentionTests {
    private let database = TemporaryDatabase()

    private func learn(_ id: String, loss: Double, generation: Int64, in tx: StoreTransaction) throws {
        _ = try tx.accept(DocumentDraft(id: id, text: "text of \(id)", tokenCount: 3))
        try tx.updateDocument(
            space: "default", id: id, status: .learned, losses: DocumentLosses(base: 4, learned: loss),
            generation: generation)
        try tx.recordMeasurement(space: "default", document: id, loss: loss, generation: generation, isFirst: true)
    }

    @Test func theBestLossIsTheLowestBeforeTheNewest() throws {
        try database.withStore { store, _ throws in
            func best() throws -> Double? {
                try store.read { try $0.document(space: "default", id: "a")?.measurement.bestLoss }
            }
            try store.transaction { try learn("a", loss: 1, generation: 1, in: $0) }
            #expect(try best() == 1)
            for (loss, expected) in [(2.0, 1.0), (0.5, 1.0), (0.75, 0.5), (3.0, 0.5)] {
                let isThere = try store.transaction {
                    try $0.recordMeasurement(space: "default", document: "a", loss: loss, generation: 2)
                }
                #expect(isThere)
                #expect(try best() == expected)
                #expect(try store.read { try $0.document(space: "default", id: "a")?.losses.now } == loss)
            }
            let isThere = try store.transaction {
                try $0.recordMeasurement(space: "default", document: "none", loss: 1, generation: 2)
            }
            #expect(!isThere)
        }
    }

    @Test func theOldestMeasurementIsNextAndWhatIsNewIsNot() throws {
        let clock = Clock()
        let (store, _) = try MemoryStore.open(
            at: database.path, fingerprint: .first, hooks: FaultHooks(), clock: { clock.next() })
        defer { try? store.close() }
        for (index, id) in ["a", "b", "c"].enumerated() {
            try store.transaction { try learn(id, loss: 1, generation: Int64(index + 1), in: $0) }
        }
        _ = try store.transaction { try $0.accept(DocumentDraft(id: "d", text: "waits", tokenCount: 1)) }
        func next() throws -> [String] {
            try store.read { try $0.documentsToMeasure(space: "default", generation: 3, limit: 9).map(\.id) }
        }
        #expect(try next() == ["a", "b"])
        _ = try store.transaction {
            try $0.recordMeasurement(space: "default", document: "a", loss: 1, generation: nil)
        }
        #expect(try next() == ["b", "a"])
        _ = try store.transaction {
            try $0.recordMeasurement(space: "default", document: "b", loss: 1, generation: 3)
        }
        #expect(try next() == ["a"])
        var seen: [String] = []
        try store.read { try $0.forEachLearnedDocument(space: "default") { seen.append($0.id) } }
        #expect(seen == ["a", "b", "c"])
    }

    /// Documents of the version before keep their figures.
    @Test func aDatabaseOfTheVersionBeforeIsBroughtUpToDate() throws {
        try database.withStore { store, _ throws in
            try store.transaction { try learn("a", loss: 1, generation: 1, in: $0) }
        }
        try database.withRawConnection { db in
            try db.execute(
                sql: """
                    DROP TABLE forgotten; DROP INDEX document_by_measurement;
                    ALTER TABLE document DROP COLUMN loss_best; ALTER TABLE document DROP COLUMN measured;
                    ALTER TABLE document DROP COLUMN measured_generation;
                    """)
            try db.inTransaction {
                try Migrations.version4(db)
                return .commit
            }
        }
        try database.withStore { store, _ throws in
            let measurement = try #require(try store.read { try $0.document(space: "default", id: "a") }).measurement
            #expect(measurement.bestLoss == 1)
            #expect(measurement.generation == 1)
            #expect(measurement.at != nil)
        }
    }
}

/// One second later at every look.
private final class Clock: Sendable {
    private let seconds = Mutex(0.0)

    func next() -> Date {
        Date(
            timeIntervalSince1970: seconds.withLock {
                $0 += 1
                return $0
            })
    }
}
