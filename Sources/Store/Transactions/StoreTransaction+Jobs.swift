import Foundation
import GRDB

extension StoreReader {
    /// One job; nil where there is none.
    public func job(_ id: String) throws -> JobRecord? {
        try on(StoreRow("job", id)) { db in
            let statement = try db.cachedStatement(sql: "SELECT * FROM job WHERE id = ?")
            return try Row.fetchOne(statement, arguments: [id]).map(JobRecord.init)
        }
    }

    /// Jobs, of one space or all, with one status or any.
    public func jobs(
        space: String? = nil, status: JobStatus? = nil, _ request: PageRequest = PageRequest()
    ) throws -> Page<JobRecord> {
        var conditions: [String] = []
        var arguments = StatementArguments()
        if let space {
            conditions.append("space_id = ?")
            arguments += [space]
        }
        if let status {
            conditions.append("status = ?")
            arguments += [status.rawValue]
        }
        return try page(of: "job", where: conditions, arguments: arguments, request: request, decode: JobRecord.init)
    }

    /// How many jobs stand where.
    public func jobCounts() throws -> [JobStatus: Int] {
        try on(StoreRow("job")) { db in
            try Row.fetchAll(db, sql: "SELECT status, count(*) AS count FROM job GROUP BY status")
                .reduce(into: [:]) { counts, row in
                    if let status = JobStatus(rawValue: row["status"]) { counts[status] = row["count"] }
                }
        }
    }

    /// What a job resumes from, verified; nil when it starts at the beginning.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/damaged(_:reason:)``: let it start at the beginning.
    public func jobState(_ id: String) throws -> [StateBlob]? {
        try requireJob(id).stateID.map { try stateBlobs($0, owner: StoreRow("job", id)) }
    }

    /// The job that was queued last for a document; nil where there is none.
    public func newestJob(space: String, document: String) throws -> JobRecord? {
        try on(StoreRow("job", "\(space)/\(document)")) { db in
            let statement = try db.cachedStatement(
                sql: "SELECT * FROM job WHERE space_id = ? AND document_id = ? ORDER BY sequence DESC LIMIT 1")
            return try Row.fetchOne(statement, arguments: [space, document]).map(JobRecord.init)
        }
    }

    /// The job that has still to learn a space's log again; nil where there is none.
    public func relearningJob(space: String) throws -> JobRecord? {
        try on(StoreRow("job", space)) { db in
            let statement = try db.cachedStatement(
                sql: "SELECT * FROM job WHERE space_id = ? AND kind = ? AND status IN ('queued', 'running')")
            return try Row.fetchOne(statement, arguments: [space, JobKind.relearn.rawValue]).map(JobRecord.init)
        }
    }

    fileprivate func requireJob(_ id: String) throws -> JobRecord {
        guard let record = try job(id) else { throw StoreError.notFound(StoreRow("job", id)) }
        return record
    }
}

extension StoreTransaction {
    /// Queues a job.
    ///
    /// - Throws: ``StoreError/notFound(_:)`` for the space.
    @discardableResult
    public func createJob(
        kind: JobKind, space: String, document: String? = nil, detail: JSONText = .empty
    ) throws -> JobRecord {
        try requireSpace(space)
        let id = Identifier.make("job")
        return try on(StoreRow("job", id)) { _ in
            try run(
                """
                INSERT INTO job (id, kind, space_id, document_id, status, progress, created, detail)
                    VALUES (?, ?, ?, ?, ?, 0, ?, ?)
                """,
                [
                    id, kind.rawValue, space, document, JobStatus.queued.rawValue, now.timeIntervalSince1970,
                    detail.text,
                ])
            return try requireJob(id)
        }
    }

    /// Starts the job that has waited longest in the space whose turn it is, and says so of its document.
    ///
    /// Spaces with jobs take turns, in the order of their ids, so that many jobs of one never keep another waiting
    /// for more than one of them.
    ///
    /// - Parameters:
    ///   - space: looks only there.
    ///   - last: the space that had the last turn; nil: none had, and the job that has waited longest of all starts.
    /// - Returns: nil when none waits.
    public func startNextJob(space: String? = nil, after last: String? = nil) throws -> JobRecord? {
        let turn = try space ?? last.flatMap { try nextSpaceWithJobs(after: $0) }
        let waiting = try jobs(space: turn, status: .queued, PageRequest(limit: 1, order: .oldestFirst)).items.first
        guard let waiting else { return nil }
        try on(StoreRow("job", waiting.id)) { _ in
            try run(
                "UPDATE job SET status = ?, started = coalesce(started, ?) WHERE id = ?",
                [JobStatus.running.rawValue, now.timeIntervalSince1970, waiting.id])
        }
        try setDocumentStatus(.learning, of: waiting)
        return try requireJob(waiting.id)
    }

    /// Records how far a running job is, and what it would resume from.
    ///
    /// - Parameter state: replaces the job's state; nil leaves it as it is.
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/conflict(_:reason:)`` when it is not running.
    /// - Precondition: `progress` is between 0 and 1.
    public func updateJob(_ id: String, progress: Double, detail: JSONText? = nil, state: ChunkedState? = nil) throws {
        precondition((0...1).contains(progress), "progress is between 0 and 1, got \(progress)")
        let row = StoreRow("job", id)
        let previous = try requireJob(id)
        try require(previous, is: [.running])
        let stateID = try state.map { try insertState($0, owner: row) } ?? previous.stateID
        try on(row) { _ in
            try run(
                "UPDATE job SET progress = ?, detail = coalesce(?, detail), state_id = ? WHERE id = ?",
                [progress, detail?.text, stateID, id])
        }
        guard let state else { return }
        try releaseStates([previous.stateID].compactMap(\.self), owner: row)
        _ = try writeChunks(of: state, owner: row)
    }

    /// Ends a running job. Its state goes; its document is the caller's to update in the same transaction.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/conflict(_:reason:)`` when it is not running.
    /// - Precondition: `status` is final.
    @discardableResult
    public func finishJob(
        _ id: String, as status: JobStatus, error: JSONText? = nil, detail: JSONText? = nil
    ) throws -> JobRecord {
        precondition(status.isFinal, "a job ends in a final status, not as \(status)")
        let record = try requireJob(id)
        try require(record, is: [.running])
        return try end(record, as: status, error: error, detail: detail)
    }

    /// Puts a running job back in its place in the queue, with its state: for an orderly shutdown.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/conflict(_:reason:)`` when it is not running.
    public func requeueJob(_ id: String) throws {
        let record = try requireJob(id)
        try require(record, is: [.running])
        try on(StoreRow("job", id)) { _ in
            try run("UPDATE job SET status = ? WHERE id = ?", [JobStatus.queued.rawValue, id])
        }
        try setDocumentStatus(.queued, of: record)
    }

    /// Cancels a job that waits, together with its document. A running one is its runner's to end.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/conflict(_:reason:)`` when it is not queued.
    @discardableResult
    public func cancelQueuedJob(_ id: String) throws -> JobRecord {
        let record = try requireJob(id)
        try require(record, is: [.queued])
        try setDocumentStatus(.cancelled, of: record)
        return try end(record, as: .cancelled, error: nil, detail: nil)
    }

    /// Queues what was running when the process ended.
    ///
    /// - Returns: ids, oldest first.
    func recoverJobs() throws -> [String] {
        let running = try on(StoreRow("job")) { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM job WHERE status = ? ORDER BY sequence", arguments: [JobStatus.running.rawValue]
            ).map(JobRecord.init)
        }
        for job in running {
            try requeueJob(job.id)
            try on(StoreRow("job", job.id)) { _ in
                try run("UPDATE job SET resumed = resumed + 1 WHERE id = ?", [job.id])
            }
        }
        return running.map(\.id)
    }

    /// Lets a job begin at its beginning, if the process ends.
    ///
    /// - Throws: ``StoreError/notFound(_:)``.
    public func discardJobState(_ id: String) throws {
        let row = StoreRow("job", id)
        let record = try requireJob(id)
        try on(row) { _ in try run("UPDATE job SET state_id = NULL WHERE id = ?", [id]) }
        try releaseStates([record.stateID].compactMap(\.self), owner: row)
    }

    /// Sends every job that has not ended back to its beginning: its state is another model's.
    func discardJobStates() throws {
        try on(StoreRow("job")) { db in
            let states = try Int64.fetchAll(db, sql: "SELECT state_id FROM job WHERE state_id IS NOT NULL")
            // What asked for a consolidation stays: its seed depends on it.
            try run(
                """
                UPDATE job SET state_id = NULL, progress = 0, detail = json_remove(detail, '$.learning')
                    WHERE state_id IS NOT NULL
                """, [])
            try releaseStates(states, owner: StoreRow("job"))
        }
    }

    /// The next space in the order of ids that has a job waiting, beginning again after the last; nil where none has.
    private func nextSpaceWithJobs(after last: String) throws -> String? {
        try on(StoreRow("job")) { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT coalesce(
                        (SELECT min(space_id) FROM job WHERE status = 'queued' AND space_id > ?),
                        (SELECT min(space_id) FROM job WHERE status = 'queued'))
                    """)
            return try String.fetchOne(statement, arguments: [last])
        }
    }

    private func end(_ record: JobRecord, as status: JobStatus, error: JSONText?, detail: JSONText?) throws -> JobRecord
    {
        let row = StoreRow("job", record.id)
        try on(row) { _ in
            try run(
                """
                UPDATE job SET status = ?, finished = ?, error = ?, detail = coalesce(?, detail), state_id = NULL,
                    progress = CASE WHEN ?1 IN ('failed', 'cancelled') THEN progress ELSE 1 END WHERE id = ?5
                """,
                [status.rawValue, now.timeIntervalSince1970, error?.text, detail?.text, record.id])
        }
        try releaseStates([record.stateID].compactMap(\.self), owner: row)
        return try requireJob(record.id)
    }

    private func require(_ record: JobRecord, is allowed: [JobStatus]) throws {
        guard allowed.contains(record.status) else {
            throw StoreError.conflict(StoreRow("job", record.id), reason: "it is \(record.status.rawValue)")
        }
    }

    private func setDocumentStatus(_ status: DocumentStatus, of job: JobRecord) throws {
        guard job.kind == .learn, let document = job.document else { return }
        try updateDocument(space: job.space, id: document, status: status)
    }
}
