import Foundation
import GRDB
import Testing

@testable import Store

/// Would catch: settings that silently fall back, files others can read, a second daemon on one database, a
/// database used with the wrong model or by too old a program.
@Suite struct OpeningTests {
    @Test func aNewDatabaseHasTheDefaultSpaceAndNothingElse() throws {
        let database = TemporaryDatabase()
        try database.withStore { store, report throws in
            #expect(report.isNewDatabase)
            #expect(report.spaces == [.init(space: "default", generation: nil, damaged: [], eventsToReplay: 0)])
            #expect(try store.read { try $0.spaces() }.map(\.id) == ["default"])
            #expect(try store.read { try $0.newestGeneration(space: "default") } == nil)
        }
        try database.withStore { _, report in #expect(!report.isNewDatabase) }
        try database.expectSound()
    }

    @Test func onlyTheOwnerCanReadTheFiles() throws {
        let database = TemporaryDatabase()
        try database.withStore { _, _ throws in
            for suffix in ["", "-wal", ".lock"] {
                let attributes = try FileManager.default.attributesOfItem(atPath: database.path + suffix)
                #expect(attributes[.posixPermissions] as? Int == 0o600, "\(suffix)")
            }
            #expect(!FileManager.default.fileExists(atPath: database.path + "-shm"))
        }
    }

    @Test func missingDirectoriesAreMadeForTheOwnerOnly() throws {
        let database = TemporaryDatabase()
        let directory = database.directory + "/state/nlserver"
        let (store, _) = try MemoryStore.open(at: directory + "/memory.sqlite", fingerprint: .first)
        try store.close()
        let attributes = try FileManager.default.attributesOfItem(atPath: directory)
        #expect(attributes[.posixPermissions] as? Int == 0o700)
    }

    @Test func everySettingIsReadBack() throws {
        let database = TemporaryDatabase()
        try database.withStore { _, _ in }
        let queue = try Connection.open(path: database.path)
        try queue.writeWithoutTransaction { db in
            try Connection.verifySettings(db)
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            #expect(throws: StoreError.settingRefused(pragma: "synchronous", expected: "2", found: "1")) {
                try Connection.verifySettings(db)
            }
        }
    }

    @Test func aSecondOpenerIsRefusedAndToldByWhom() throws {
        let database = TemporaryDatabase()
        let link = database.directory + "/other-name.sqlite"
        try database.withStore { store, _ throws in
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: database.path)
            for path in [database.path, link] {
                #expect(throws: StoreError.alreadyOpen(path: store.path, pid: getpid())) {
                    try MemoryStore.open(at: path, fingerprint: .first)
                }
            }
        }
        try database.withStore { _, _ in }
    }

    @Test func anotherProgramsConnectionIsKeptOut() throws {
        let database = TemporaryDatabase()
        try database.withStore { _, _ throws in
            #expect(throws: DatabaseError.self) {
                try database.withRawConnection { try Int.fetchOne($0, sql: "SELECT count(*) FROM space") }
            }
        }
        try database.withRawConnection { db in
            try db.beginTransaction(.immediate)
            defer { try? db.rollback() }
            #expect {
                try database.open()
            } throws: { error in
                guard case .busy? = error as? StoreError else { return false }
                return true
            }
        }
        try database.withStore { _, _ in }
    }

    @Test func anotherModelIsRefusedByName() throws {
        let database = TemporaryDatabase()
        try database.withStore { _, _ in }
        let expected = StoreError.otherModel(database: .first, offered: .second)
        #expect(throws: expected) { try database.open(fingerprint: .second) }
        #expect(expected.description.contains("--relearn"))
        try database.withStore { _, report in #expect(report.adoptedFrom == nil) }
    }

    @Test func adoptingAnotherModelKeepsTheJournalAndSetsItsStatesAside() throws {
        let database = TemporaryDatabase()
        let jobID = try database.withStore { store, _ throws in
            try store.transaction { tx throws in
                let accepted = try tx.accept(DocumentDraft(id: "d", text: "a fact", tokenCount: 2))
                try tx.appendEvent(space: "default", sequence: 1, kind: .learn, document: "d", seed: 1)
                try tx.persistGeneration(.sample(seed: 1, event: 1))
                try tx.createSession(id: "s", space: "default", .sample(seed: 2))
                _ = try tx.startNextJob()
                try tx.updateJob(accepted.job.id, progress: 0.5, state: .sample(seed: 3))
                return accepted.job.id
            }
        }
        let (store, report) = try database.open(fingerprint: .second, ifOtherModel: .adopt)
        #expect(report.adoptedFrom == .first)
        #expect(report.droppedSessions.map(\.id) == ["s"])
        #expect(report.resumedJobs == [jobID])
        #expect(report.relearningJobs.count == 1)
        #expect(report.spaces == [.init(space: "default", generation: nil, damaged: [], eventsToReplay: 1)])
        try store.read { reader throws in
            #expect(try reader.jobState(jobID) == nil)
            #expect(try reader.documentText(space: "default", id: "d") == "a fact")
            #expect(try reader.generations(space: "default").isEmpty)
            #expect(try reader.generation(space: "default", number: 1).record.fingerprint == .first)
        }
        try store.transaction { tx throws in
            #expect(try tx.persistGeneration(.sample(seed: 9)).number == 2)
            #expect(try tx.pruneGenerations(space: "default", keep: 1) == [], "the old model's are kept")
            // What waits comes after the log.
            let first = try #require(try tx.startNextJob())
            #expect((first.id, first.kind) == (report.relearningJobs.first, .relearn))
            #expect(try tx.relearningJob(space: "default") == first)
            try tx.finishJob(first.id, as: .learned)
            #expect(try tx.relearningJob(space: "default") == nil)
            #expect(try tx.startNextJob()?.id == jobID)
        }
        try store.close()
        #expect(throws: StoreError.otherModel(database: .second, offered: .first)) { try database.open() }
        try database.expectSound()
    }

    @Test func whatAnotherModelLearnedIsUnlearned() throws {
        let database = TemporaryDatabase()
        try database.withStore { store, _ throws in
            try store.transaction { tx throws in
                let job = try tx.accept(DocumentDraft(id: "d", text: "a fact", tokenCount: 2)).job
                _ = try tx.startNextJob()
                try tx.appendEvent(space: "default", sequence: 1, kind: .learn, document: "d", seed: 1)
                try tx.updateDocument(space: "default", id: "d", status: .learned, losses: DocumentLosses(now: 1))
                try tx.finishJob(job.id, as: .learned)
                try tx.createSpace("empty")
            }
        }
        let (store, report) = try database.open(fingerprint: .second, ifOtherModel: .adopt)
        let document = try #require(try store.read { try $0.document(space: "default", id: "d") })
        #expect((document.status, document.losses.now) == (.unlearned, nil))
        #expect(report.relearningJobs.count == 1, "nothing was learned in the other space")
        _ = try store.transaction { try $0.startNextJob() }
        try store.close()
        // A third model takes over while the second learns: the same job begins again.
        let (again, second) = try database.open(fingerprint: .first, ifOtherModel: .adopt)
        #expect(second.relearningJobs == report.relearningJobs)
        try again.close()
        try database.expectSound()
    }

    @Test func aNewerSchemaIsRefused() throws {
        let database = TemporaryDatabase()
        try database.withStore { _, _ in }
        let newer = Migrations.latestVersion + 1
        try database.withRawConnection { try $0.execute(sql: "PRAGMA user_version = \(newer)") }
        #expect(throws: StoreError.newerSchema(found: newer, supported: Migrations.latestVersion)) {
            try database.open()
        }
    }

    @Test func otherPeoplesFilesAreLeftAlone() throws {
        let database = TemporaryDatabase()
        let notes = Data("milk, eggs\n".utf8)
        try notes.write(to: URL(fileURLWithPath: database.path))
        #expect(throws: StoreError.self) { try database.open() }
        #expect(try Data(contentsOf: URL(fileURLWithPath: database.path)) == notes)

        let other = TemporaryDatabase()
        try other.withRawConnection { try $0.execute(sql: "CREATE TABLE song (title TEXT)") }
        let before = try Data(contentsOf: URL(fileURLWithPath: other.path))
        #expect {
            try other.open()
        } throws: { error in
            guard case .notAMemoryDatabase? = error as? StoreError else { return false }
            return true
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: other.path)) == before)
    }

    @Test func aDamagedFileIsNamed() throws {
        let database = TemporaryDatabase()
        try database.withStore { store, _ throws in
            _ = try store.transaction { try $0.persistGeneration(.sample(seed: 1, byteCount: 200_000)) }
        }
        // Page 3 on: schema and header stay readable, b-trees do not.
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: database.path))
        try file.seek(toOffset: 2 * 4_096)
        try file.write(contentsOf: Data(repeating: 0xA5, count: 8 * 4_096))
        try file.close()
        #expect {
            try database.open()
        } throws: { error in
            guard case .damaged(let row, _)? = error as? StoreError else { return false }
            return row.table == "file"
        }
    }

    @Test func aClosedStoreSaysSo() throws {
        let database = TemporaryDatabase()
        let (store, _) = try database.open()
        try store.close()
        try store.close()
        #expect(throws: StoreError.closed) { try store.read { try $0.spaces() } }
        #expect(throws: StoreError.closed) { try store.transaction { try $0.createSpace("x") } }
        let log = try? FileManager.default.attributesOfItem(atPath: database.path + "-wal")[.size] as? Int
        #expect((log ?? 0) == 0)
    }

    @Test func aReadOnlyDirectoryIsAReadableError() async throws {
        let database = TemporaryDatabase()
        let path = database.path
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: database.directory)
        await #expect(processExitsWith: .exitCode(7)) { [path = path as String] in
            // Root may write anywhere: become nobody.
            if geteuid() == 0 { precondition(setgid(65_534) == 0 && setuid(65_534) == 0) }
            do {
                _ = try MemoryStore.open(at: path, fingerprint: .first)
            } catch StoreError.readOnly(let row) {
                exit(row.key == path ? 7 : 8)
            }
            exit(9)
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: database.directory)
    }
}
