import Foundation
import Testing

@testable import Store

/// Would catch: any sequence of operations after which the store says something else than a dictionary would.
@Suite(.timeLimit(.minutes(2))) struct ModelBasedTests {
    @Test(arguments: UInt64(1)...6)
    func randomOperationsAgreeWithAModelInMemory(seed: UInt64) throws {
        let database = TemporaryDatabase()
        var random = SeededRandom(seed: seed)
        var model = MemoryModel()
        var (store, _) = try database.open()
        for step in 1...300 {
            var next = model
            do {
                let willFail = Int.random(in: 0..<8, using: &random) == 0
                try store.transaction { tx in
                    for _ in 1...Int.random(in: 1...3, using: &random) {
                        try next.apply(Int.random(in: 0..<14, using: &random), to: tx, &random)
                    }
                    if willFail { throw MemoryModel.Refused() }
                }
                model = next
            } catch is MemoryModel.Refused {
                // Taken back as a whole: the model stays as it was too.
            }
            if step.isMultiple(of: 50) {
                try store.close()
                let (reopened, report) = try database.open()
                store = reopened
                #expect(report.resumedJobs == model.requeueRunningJobs(), "step \(step)")
                #expect(report.droppedSessions == [], "step \(step)")
                #expect(
                    report.spaces.map(\.generation) == model.spaces.keys.sorted().map { model.newest(in: $0) },
                    "step \(step)")
            }
            if step.isMultiple(of: 10) {
                try store.read { reader throws in
                    try model.expectEqual(to: reader, "step \(step)")
                    try expectSound(reader.db)
                }
            }
        }
        try store.close()
    }
}

/// The store as plain dictionaries, and the operations on both.
private struct MemoryModel {
    struct Refused: Error {}

    struct Space {
        /// Seed of each level, by generation number.
        var generations: [Int64: [UInt64]] = [:]
        var nextGeneration: Int64 = 1
        var events: [UInt64] = []
        /// Status and text of each document, by id.
        var documents: [String: (status: DocumentStatus, text: String)] = [:]
    }

    struct Job {
        var id: String
        var space: String
        var document: String
        var status = JobStatus.queued
        var state: UInt64?
    }

    var spaces = ["default": Space()]
    var sessions: [String: (space: String, seed: UInt64)] = [:]
    var jobs: [Job] = []

    func newest(in space: String) -> Int64? { spaces[space]?.generations.keys.max() }

    mutating func requeueRunningJobs() -> [String] {
        var ids: [String] = []
        for index in jobs.indices where jobs[index].status == .running {
            jobs[index].status = .queued
            setDocument(.queued, of: jobs[index])
            ids.append(jobs[index].id)
        }
        return ids
    }

    /// Few seeds, so that states and chunks are shared often.
    private func state(_ seed: UInt64) throws -> ChunkedState { try .sample(seed: seed, byteCount: 600) }

    private func draft(_ seed: UInt64) throws -> SessionDraft { try .sample(seed: seed, byteCount: 600) }

    mutating func apply(_ operation: Int, to tx: StoreTransaction, _ random: inout SeededRandom) throws {
        let space = spaces.keys.sorted().randomElement(using: &random) ?? "default"
        let seed = UInt64.random(in: 0..<12, using: &random)
        let session = sessions.keys.sorted().randomElement(using: &random)
        switch operation {
        case 0: try createOrDeleteSpace("space-\(seed % 3)", in: tx)
        case 1, 2: try accept("doc-\(seed)", text: "text \(seed / 4)", space: space, in: tx)
        case 3: try startNextJob(in: tx)
        case 4: try checkpointJob(seed: seed, in: tx)
        case 5: try finishJob(as: seed.isMultiple(of: 2) ? .learned : .failed, in: tx)
        case 6: try cancelJob(in: tx)
        case 7:
            spaces[space]?.events.append(seed)
            let place = Int64(spaces[space]?.events.count ?? 0)
            try tx.appendEvent(space: space, sequence: place, kind: .learn, seed: seed)
        case 8, 9: try persistGeneration(space: space, seeds: [seed, seed / 3], inherit: operation == 9, in: tx)
        case 10:
            let keep = Int(seed % 4) + 1
            let doomed = (spaces[space]?.generations.keys.sorted(by: >) ?? []).dropFirst(keep)
            for number in doomed { spaces[space]?.generations[number] = nil }
            #expect(try tx.pruneGenerations(space: space, keep: keep) == Array(doomed))
        case 11:
            let record = try tx.createSession(space: space, draft(seed))
            sessions[record.id] = (space, seed)
        case 12:
            guard let session else { return }
            try tx.saveSession(session, draft(seed))
            sessions[session]?.seed = seed
        default:
            guard let session, let entry = sessions[session] else { return }
            if seed.isMultiple(of: 2) {
                sessions[try tx.forkSession(session).id] = entry
            } else {
                try tx.deleteSession(session)
                sessions[session] = nil
            }
        }
    }

    private mutating func createOrDeleteSpace(_ id: String, in tx: StoreTransaction) throws {
        if spaces[id] == nil {
            try tx.createSpace(id)
            spaces[id] = Space()
        } else {
            try tx.deleteSpace(id)
            spaces[id] = nil
            sessions = sessions.filter { $0.value.space != id }
            jobs.removeAll { $0.space == id }
        }
    }

    private mutating func accept(_ id: String, text: String, space: String, in tx: StoreTransaction) throws {
        let draft = DocumentDraft(space: space, id: id, text: text, tokenCount: 1)
        switch spaces[space]?.documents[id]?.status {
        case nil, .failed, .cancelled, .unlearned:
            let acceptance = try tx.accept(draft)
            spaces[space]?.documents[id] = (.queued, text)
            jobs.append(Job(id: acceptance.job.id, space: space, document: id))
        case .queued, .learning, .learned:
            #expect(try tx.accept(draft).outcome == .duplicate)
            #expect(throws: StoreError.self) {
                try tx.accept(DocumentDraft(space: space, id: id, text: text + "!", tokenCount: 1))
            }
        }
    }

    private mutating func startNextJob(in tx: StoreTransaction) throws {
        let index = jobs.firstIndex { $0.status == .queued }
        #expect(try tx.startNextJob()?.id == index.map { jobs[$0].id })
        guard let index else { return }
        jobs[index].status = .running
        setDocument(.learning, of: jobs[index])
    }

    private mutating func checkpointJob(seed: UInt64, in tx: StoreTransaction) throws {
        guard let index = jobs.lastIndex(where: { $0.status == .running }) else { return }
        try tx.updateJob(jobs[index].id, progress: 0.5, state: state(seed))
        jobs[index].state = seed
    }

    private mutating func finishJob(as status: JobStatus, in tx: StoreTransaction) throws {
        guard let index = jobs.firstIndex(where: { $0.status == .running }) else { return }
        let job = jobs[index]
        try tx.finishJob(job.id, as: status)
        try tx.updateDocument(space: job.space, id: job.document, status: status == .learned ? .learned : .failed)
        jobs[index].status = status
        jobs[index].state = nil
        setDocument(status == .learned ? .learned : .failed, of: job)
    }

    private mutating func cancelJob(in tx: StoreTransaction) throws {
        guard let index = jobs.lastIndex(where: { $0.status == .queued }) else { return }
        try tx.cancelQueuedJob(jobs[index].id)
        jobs[index].status = .cancelled
        jobs[index].state = nil
        setDocument(.cancelled, of: jobs[index])
    }

    private mutating func persistGeneration(
        space: String, seeds: [UInt64], inherit: Bool, in tx: StoreTransaction
    ) throws {
        let parent = newest(in: space)
        var seeds = seeds
        var slow = LevelDraft(name: "slow", content: .state(try state(seeds[1])))
        if inherit, let parent, let inherited = spaces[space]?.generations[parent]?[1] {
            seeds[1] = inherited
            slow = LevelDraft(name: "slow", content: .inherited)
        }
        let medium = LevelDraft(name: "medium", content: .state(try state(seeds[0])))
        let record = try tx.persistGeneration(
            GenerationDraft(space: space, parent: parent, event: nil, levels: [medium, slow]))
        #expect(record.number == spaces[space]?.nextGeneration)
        spaces[space]?.nextGeneration += 1
        spaces[space]?.generations[record.number] = seeds
    }

    private mutating func setDocument(_ status: DocumentStatus, of job: Job) {
        spaces[job.space]?.documents[job.document]?.status = status
    }

    func expectEqual(to reader: StoreReader, _ comment: Comment) throws {
        #expect(try reader.spaces().map(\.id) == spaces.keys.sorted(), comment)
        for (id, space) in spaces {
            #expect(try reader.events(space: id).map(\.seed) == space.events, comment)
            let generations = try reader.generations(space: id)
            #expect(generations.map(\.number) == space.generations.keys.sorted(by: >), comment)
            for (number, seeds) in space.generations {
                let levels = try reader.generation(space: id, number: number).levels
                #expect(try levels.map(\.blobs) == seeds.map { try state($0).blobs }, comment)
            }
            let documents = try reader.documents(space: id).items
            #expect(Set(documents.map(\.id)) == Set(space.documents.keys), comment)
            for document in documents {
                #expect(document.status == space.documents[document.id]?.status, comment)
                let text = try reader.documentText(space: id, id: document.id)
                #expect(text == space.documents[document.id]?.text, comment)
            }
        }
        for (id, session) in sessions {
            let found = try reader.session(id)
            #expect(try found.blobs == draft(session.seed).state.blobs, comment)
            #expect(found.record.space == session.space, comment)
        }
        #expect(
            try reader.jobs(PageRequest(limit: 1_000, order: .oldestFirst)).items.map(\.id) == jobs.map(\.id), comment)
        for job in jobs {
            #expect(try reader.job(job.id)?.status == job.status, comment)
            #expect(try reader.jobState(job.id) == job.state.map { try state($0).blobs }, comment)
        }
    }
}
