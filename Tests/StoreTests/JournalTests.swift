import Foundation
import GRDB
import Synchronization
import Testing

@testable import Store

/// Would catch: documents accepted twice or overwritten, a log with gaps, a sample that depends on anything but the
/// log, jobs that run out of order or end twice.
@Suite struct JournalTests {
    private let database = TemporaryDatabase()

    @Test func anAcceptedDocumentComesBackWithItsJob() throws {
        let text = "L\u{ea} \u{1F600}\u{0}end\r\n"
        let draft = DocumentDraft(
            id: "a/b", title: "t", metadata: try JSONText(encoding: ["k": "v"]), text: text, tokenCount: 7)
        let accepted = try database.withStore { store, _ in try store.transaction { try $0.accept(draft) } }
        #expect(accepted.outcome == .accepted)
        #expect(accepted.document.status == .queued)
        #expect(accepted.document.sha256 == SHA256Digest(of: text))
        #expect(accepted.document.byteCount == text.utf8.count)
        #expect(accepted.job.status == .queued)
        #expect(accepted.job.document == "a/b")
        try database.withStore { store, _ throws in
            try store.read { reader throws in
                #expect(try reader.document(space: "default", id: "a/b") == accepted.document)
                #expect(try reader.documentText(space: "default", id: "a/b") == text)
                #expect(try reader.job(accepted.job.id) == accepted.job)
            }
        }
    }

    @Test func theSameTextIsOneDocument() throws {
        try database.withStore { store, _ throws in
            func accept(_ id: String?, _ text: String, space: String = "default") throws -> Acceptance {
                try store.transaction { try $0.accept(DocumentDraft(space: space, id: id, text: text, tokenCount: 1)) }
            }
            try store.transaction { _ = try $0.createSpace("other") }
            let first = try accept("x", "one")
            #expect(try accept("x", "one") == Acceptance(document: first.document, job: first.job, outcome: .duplicate))
            #expect(try accept(nil, "one").document.id == "x")
            #expect(
                throws: StoreError.conflict(StoreRow("document", "default/x"), reason: "it exists with another text")
            ) {
                try accept("x", "two")
            }
            #expect(try accept("y", "one").outcome == .accepted, "a client's own id is its own document")
            #expect(try accept(nil, "one", space: "other").outcome == .accepted)
            let anonymous = try accept(nil, "three")
            #expect(try accept(nil, "three").document.id == anonymous.document.id)
            #expect(try store.read { try $0.jobCounts() } == [.queued: 4])
        }
    }

    @Test func aFailedOrCancelledDocumentMayBeSentAgain() throws {
        try database.withStore { store, _ throws in
            let draft = DocumentDraft(id: "x", text: "one", tokenCount: 1)
            let first = try store.transaction { try $0.accept(draft) }
            try store.transaction { _ = try $0.cancelQueuedJob(first.job.id) }
            #expect(try store.read { try $0.document(space: "default", id: "x") }?.status == .cancelled)
            let again = try store.transaction { try $0.accept(draft) }
            #expect(again.outcome == .requeued)
            #expect(again.document.status == .queued)
            #expect(again.job.id != first.job.id)
            #expect(try store.transaction { try $0.accept(draft) }.job == again.job)
        }
    }

    @Test func whatCannotBeStoredIsRefusedAndChangesNothing() throws {
        try database.withStore { store, _ throws in
            let drafts = [
                DocumentDraft(id: "", text: "x", tokenCount: 1), DocumentDraft(id: "a\u{0}b", text: "x", tokenCount: 1),
                DocumentDraft(id: String(repeating: "i", count: 257), text: "x", tokenCount: 1),
                DocumentDraft(title: "\u{0}", text: "x", tokenCount: 1),
            ]
            for draft in drafts {
                #expect(throws: StoreError.self, "\(draft.id ?? "-")") {
                    try store.transaction { try $0.accept(draft) }
                }
            }
            #expect(throws: StoreError.notFound(StoreRow("space", "nowhere"))) {
                try store.transaction { try $0.accept(DocumentDraft(space: "nowhere", text: "x", tokenCount: 1)) }
            }
            #expect(try store.read { try $0.documentCounts(space: "default") }.isEmpty)
            #expect(try store.read { try $0.jobCounts() }.isEmpty)
        }
    }

    @Test func anIdempotencyKeyGivesTheSameAnswerUntilItExpires() throws {
        let time = Mutex(Date(timeIntervalSince1970: 1_000_000))
        let (store, _) = try MemoryStore.open(
            at: database.path, fingerprint: .first, hooks: FaultHooks(), clock: { time.withLock { $0 } })
        defer { try? store.close() }
        let claim = IdempotencyClaim(key: "k", request: SHA256Digest(of: "body"), lifetime: 60)
        func accept(_ text: String, _ claim: IdempotencyClaim) throws -> Acceptance {
            try store.transaction { try $0.accept(DocumentDraft(text: text, tokenCount: 1), idempotency: claim) }
        }
        let first = try accept("one", claim)
        #expect(try accept("one", claim).document.id == first.document.id)
        #expect(try accept("two", claim).document.id == first.document.id, "the key decides, not the body")
        let other = IdempotencyClaim(key: "k", request: SHA256Digest(of: "other body"), lifetime: 60)
        #expect(
            throws: StoreError.conflict(
                StoreRow("idempotency_key", "k"), reason: "the key was used for another request")
        ) {
            try accept("two", other)
        }
        time.withLock { $0 += 61 }
        #expect(try accept("two", other).outcome == .accepted)
        #expect(try accept("two", other).outcome == .duplicate)
    }

    @Test func listsArePagedInOrderOfAcceptance() throws {
        try database.withStore { store, _ throws in
            try store.transaction { tx in
                for index in 0..<25 {
                    _ = try tx.accept(DocumentDraft(id: "d\(index)", text: "text \(index)", tokenCount: 1))
                }
                for index in stride(from: 0, to: 25, by: 5) {
                    try tx.updateDocument(space: "default", id: "d\(index)", status: .learned)
                }
            }
            for order in [PageRequest.Order.oldestFirst, .newestFirst] {
                var ids: [String] = []
                var request: PageRequest? = PageRequest(limit: 10, order: order)
                for _ in 1...3 {
                    guard let current = request else { break }
                    let page = try store.read { try $0.documents(space: "default", current) }
                    #expect(page.items.count <= 10)
                    ids += page.items.map(\.id)
                    request = page.next.map { PageRequest(after: $0, limit: 10, order: order) }
                }
                #expect(request == nil, "three pages hold all")
                let all = (0..<25).map { "d\($0)" }
                #expect(ids == (order == .oldestFirst ? all : all.reversed()))
            }
            let learned = try store.read {
                try $0.documents(space: "default", status: .learned, PageRequest(order: .oldestFirst))
            }
            #expect(learned.items.map(\.id) == ["d0", "d5", "d10", "d15", "d20"])
            #expect(learned.next == nil)
        }
    }

    @Test func learningIsRecordedWithoutLosingWhatWasKnown() throws {
        try database.withStore { store, _ throws in
            try store.transaction { tx in
                _ = try tx.accept(DocumentDraft(id: "d", text: "t", tokenCount: 1))
                try tx.updateDocument(space: "default", id: "d", losses: .init(base: 4), generation: 3)
                try tx.updateDocument(
                    space: "default", id: "d", status: .learned, losses: .init(learned: 0.1, now: 0.1),
                    isTargetReached: true, generation: 5)
                try tx.updateDocument(space: "default", id: "d", losses: .init(now: 0.2), generation: 9)
            }
            let document = try #require(try store.read { try $0.document(space: "default", id: "d") })
            #expect(document.losses == DocumentLosses(base: 4, learned: 0.1, now: 0.2))
            #expect(document.status == .learned)
            #expect(document.isTargetReached == true)
            #expect(document.learned != nil)
            #expect(document.firstGeneration == 3)
            #expect(document.lastGeneration == 9)
            #expect(throws: StoreError.notFound(StoreRow("document", "default/none"))) {
                try store.transaction { try $0.updateDocument(space: "default", id: "none", status: .learned) }
            }
        }
    }

    @Test func theLogHasNoGapsAndKeepsEveryBitOfTheSeed() throws {
        try database.withStore { store, _ throws in
            #expect(try store.read { try $0.nextEventSequence(space: "default") } == 1)
            try store.transaction { tx in
                try tx.appendEvent(
                    space: "default", sequence: 1, kind: .learn, document: "d",
                    payload: JSONText(encoding: ["passes": 3]),
                    seed: .max)
                try tx.appendEvent(space: "default", sequence: 2, kind: .consolidate, seed: 1 << 63)
            }
            #expect(throws: StoreError.conflict(StoreRow("event", "default/2"), reason: "the log continues at 3")) {
                try store.transaction { try $0.appendEvent(space: "default", sequence: 2, kind: .restore, seed: 0) }
            }
            #expect(try store.read { try $0.nextEventSequence(space: "default") } == 3)
            let events = try store.read { try $0.events(space: "default") }
            #expect(events.map(\.sequence) == [1, 2])
            #expect(events.map(\.seed) == [.max, 1 << 63])
            #expect(events.map(\.kind) == [.learn, .consolidate])
            #expect(events[0].payload.text == #"{"passes":3}"#)
            #expect(try store.read { try $0.events(space: "default", after: 1) }.map(\.sequence) == [2])
        }
    }

    @Test func theRehearsalJournalIsAFunctionOfTheLog() throws {
        try database.withStore { store, _ throws in
            try store.transaction { tx in
                for id in ["a", "b", "c"] {
                    _ = try tx.accept(DocumentDraft(id: id, text: "text of \(id)", tokenCount: id == "b" ? 5 : 3))
                }
                // Learned in another order than accepted, c twice, and a consolidation between.
                for (index, id) in ["c", "b", "c", "a"].enumerated() {
                    try tx.appendEvent(
                        space: "default", sequence: Int64(index) * 2 + 1, kind: .learn, document: id, seed: 0)
                    try tx.appendEvent(space: "default", sequence: Int64(index) * 2 + 2, kind: .consolidate, seed: 0)
                }
            }
            let all = try store.read { try $0.journal(space: "default") }
            #expect(all.map(\.document) == ["c", "b", "a"])
            #expect(all.map(\.event) == [1, 3, 7])
            #expect(all.map(\.tokenCount) == [3, 5, 3])
            #expect(try store.read { try $0.journal(space: "default", before: 7) }.map(\.document) == ["c", "b"])
            #expect(try store.read { try $0.journal(space: "default", before: 1) }.isEmpty)
        }
    }

    @Test func jobsRunInOrderAndEndOnce() throws {
        try database.withStore { store, _ throws in
            let ids = try store.transaction { tx in
                try ["a", "b"].map { try tx.accept(DocumentDraft(id: $0, text: $0, tokenCount: 1)).job.id }
                    + [tx.createJob(kind: .consolidate, space: "default").id]
            }
            let started = try store.transaction { try $0.startNextJob() }
            #expect(started?.id == ids[0])
            #expect(started?.status == .running)
            #expect(started?.started != nil)
            #expect(try store.read { try $0.document(space: "default", id: "a") }?.status == .learning)
            #expect(throws: StoreError.conflict(StoreRow("job", ids[0]), reason: "it is running")) {
                try store.transaction { try $0.cancelQueuedJob(ids[0]) }
            }
            #expect(throws: StoreError.conflict(StoreRow("job", ids[1]), reason: "it is queued")) {
                try store.transaction { try $0.finishJob(ids[1], as: .learned) }
            }
            try store.transaction { tx in
                try tx.updateJob(
                    ids[0], progress: 0.5, detail: JSONText(encoding: ["pass": 2]), state: .sample(seed: 1))
                try tx.finishJob(ids[0], as: .failed, error: JSONText(encoding: ["title": "no"]))
            }
            let failed = try #require(try store.read { try $0.job(ids[0]) })
            #expect(failed.status == .failed)
            #expect(failed.progress == 0.5)
            #expect(failed.detail.text == #"{"pass":2}"#)
            #expect(failed.error?.text == #"{"title":"no"}"#)
            #expect(!failed.hasState)
            #expect(try store.statistics().chunkCount == 0)
            #expect(try store.transaction { try $0.startNextJob() }?.id == ids[1])
            #expect(try store.transaction { try $0.finishJob(ids[1], as: .learned) }.progress == 1)
            #expect(throws: StoreError.conflict(StoreRow("job", ids[1]), reason: "it is learned")) {
                try store.transaction { try $0.finishJob(ids[1], as: .learned) }
            }
            #expect(try store.transaction { try $0.cancelQueuedJob(ids[2]) }.status == .cancelled)
            #expect(try store.transaction { try $0.startNextJob() } == nil)
            #expect(try store.read { try $0.jobs(status: .cancelled) }.items.map(\.id) == [ids[2]])
        }
        try database.expectSound()
    }

    @Test func spacesTakeTurnsInTheOrderOfTheirIds() throws {
        try database.withStore { store, _ throws in
            let names = try store.transaction { tx in
                for space in ["b", "c"] { try tx.createSpace(space) }
                var names: [String: String] = [:]
                for space in ["c", "c", "c", "b", "default", "default"] {
                    names[try tx.createJob(kind: .consolidate, space: space).id] = space + "\(names.count)"
                }
                return names
            }
            var last: String?
            var order: [String?] = []
            while let job = try store.transaction({ try $0.startNextJob(after: last) }) {
                order.append(names[job.id])
                last = job.space
            }
            // The first of all, then one of each.
            #expect(order == ["c0", "default4", "b3", "c1", "default5", "c2"])
            #expect(try store.transaction { try $0.startNextJob(after: "a space that is gone") } == nil)
        }
    }

    /// Queues of the schema before are found again by their spaces.
    @Test func theQueueOfAnEarlierSchemaGoesOn() throws {
        let id = try database.withStore { store, _ in
            try store.transaction { try $0.createJob(kind: .consolidate, space: "default").id }
        }
        try database.withRawConnection { db in
            try db.execute(
                sql: """
                    DROP INDEX job_by_turn; CREATE INDEX job_by_status ON job(status, sequence);
                    ALTER TABLE level_history DROP COLUMN bytes;
                    PRAGMA user_version = 4
                    """)
        }
        try database.withStore { store, _ throws in
            #expect(try store.transaction { try $0.startNextJob(after: "z") }?.id == id)
            let indices = try store.withDatabase { try $0.indexes(on: "job").map(\.name) }
            #expect(indices.contains("job_by_turn") && !indices.contains("job_by_status"))
        }
    }

    @Test func anInterruptedJobIsFirstAgainAndResumesFromItsState() throws {
        let state = try ChunkedState.sample(seed: 8)
        let ids = try database.withStore { store, _ in
            try store.transaction { tx in
                let ids = try ["a", "b"].map { try tx.accept(DocumentDraft(id: $0, text: $0, tokenCount: 1)).job.id }
                _ = try tx.startNextJob()
                try tx.updateJob(ids[0], progress: 0.25, state: .sample(seed: 7))
                try tx.updateJob(ids[0], progress: 0.75, state: state)
                try tx.updateJob(ids[0], progress: 0.8)
                return ids
            }
        }
        try database.withStore { store, report throws in
            #expect(report.resumedJobs == [ids[0]])
            #expect(try store.read { try $0.document(space: "default", id: "a") }?.status == .queued)
            let job = try #require(try store.transaction { try $0.startNextJob() })
            #expect(job.id == ids[0])
            #expect(job.progress == 0.8)
            #expect(job.resumedCount == 1)
            #expect(try store.read { try $0.jobState(ids[0]) } == state.blobs)
            try store.transaction { try $0.requeueJob(ids[0]) }
        }
        try database.withStore { store, report throws in
            #expect(report.resumedJobs.isEmpty, "an orderly shutdown leaves nothing running")
            #expect(try store.read { try $0.jobState(ids[0]) } == state.blobs)
        }
        try database.expectSound()
    }
}
