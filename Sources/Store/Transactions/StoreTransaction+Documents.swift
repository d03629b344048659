import Foundation
import GRDB

extension StoreReader {
    /// One document; nil where there is none.
    public func document(space: String, id: String) throws -> DocumentRecord? {
        try on(StoreRow("document", "\(space)/\(id)")) { db in
            let statement = try db.cachedStatement(sql: "SELECT * FROM document WHERE space_id = ? AND id = ?")
            return try Row.fetchOne(statement, arguments: [space, id]).map(DocumentRecord.init)
        }
    }

    /// The first document of a space with this text.
    public func document(space: String, sha256: SHA256Digest) throws -> DocumentRecord? {
        try on(StoreRow("document", "\(space)/\(sha256)")) { db in
            let statement = try db.cachedStatement(
                sql: "SELECT * FROM document WHERE space_id = ? AND sha256 = ? ORDER BY sequence LIMIT 1")
            return try Row.fetchOne(statement, arguments: [space, sha256.data]).map(DocumentRecord.init)
        }
    }

    /// The text of a document, verified against its digest.
    ///
    /// - Throws: ``StoreError/notFound(_:)``; ``StoreError/damaged(_:reason:)``.
    public func documentText(space: String, id: String) throws -> String {
        let row = StoreRow("document", "\(space)/\(id)")
        guard let record = try document(space: space, id: id) else { throw StoreError.notFound(row) }
        let bytes = try on(row) { db in
            try Data.fetchOne(
                db, sql: "SELECT text FROM document_text WHERE sequence = ?", arguments: [record.sequence])
        }
        guard let bytes else { throw StoreError.damaged(row, reason: "its text is missing") }
        guard SHA256Digest(of: bytes) == record.sha256 else {
            throw StoreError.damaged(row, reason: "its text does not match its checksum")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Documents of a space, in order of acceptance.
    public func documents(
        space: String, status: DocumentStatus? = nil, _ request: PageRequest = PageRequest()
    ) throws -> Page<DocumentRecord> {
        try page(
            of: "document", where: ["space_id = ?"] + (status == nil ? [] : ["status = ?"]),
            arguments: status.map { [space, $0.rawValue] } ?? [space], request: request,
            decode: DocumentRecord.init)
    }

    /// How many documents of a space stand where.
    public func documentCounts(space: String) throws -> [DocumentStatus: Int] {
        try on(StoreRow("document", space)) { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT status, count(*) AS count FROM document WHERE space_id = ? GROUP BY status",
                arguments: [space])
            return rows.reduce(into: [:]) { counts, row in
                if let status = DocumentStatus(rawValue: row["status"]) { counts[status] = row["count"] }
            }
        }
    }
}

extension StoreTransaction {
    /// Accepts a document and queues its job: when the transaction has committed, no crash loses it.
    ///
    /// The same text again is not a second document: with the same id, or without one, the answer is what is there
    /// (``Acceptance/Outcome/duplicate``); a failed, cancelled or unlearned one gets a new job.
    ///
    /// - Throws: ``StoreError/conflict(_:reason:)`` for the same id with other text, or the same idempotency key
    ///   with another request; ``StoreError/notFound(_:)`` for the space; ``StoreError/invalid(_:reason:)``.
    public func accept(_ draft: DocumentDraft, idempotency: IdempotencyClaim? = nil) throws -> Acceptance {
        if let idempotency, let response = try idempotentResponse(to: idempotency) {
            return try acceptance(repeating: response, claim: idempotency)
        }
        let acceptance = try acceptOnce(draft)
        if let idempotency {
            let reference = AcceptanceReference(
                space: draft.space, document: acceptance.document.id, job: acceptance.job.id)
            try record(JSONText(encoding: reference), for: idempotency)
        }
        return acceptance
    }

    /// Records how learning went. Fields that are nil stay as they are.
    ///
    /// - Parameter generation: becomes the document's last generation, and its first where it has none.
    /// - Throws: ``StoreError/notFound(_:)``.
    @discardableResult
    public func updateDocument(
        space: String, id: String, status: DocumentStatus? = nil, losses: DocumentLosses = DocumentLosses(),
        isTargetReached: Bool? = nil, generation: Int64? = nil
    ) throws -> DocumentRecord {
        let row = StoreRow("document", "\(space)/\(id)")
        return try on(row) { db in
            try run(
                """
                UPDATE document SET status = coalesce(?, status),
                    loss_base = coalesce(?, loss_base), loss_learned = coalesce(?, loss_learned),
                    loss_now = coalesce(?, loss_now), target_reached = coalesce(?, target_reached),
                    first_generation = coalesce(first_generation, ?6),
                    last_generation = coalesce(?6, last_generation),
                    learned = CASE WHEN ?1 = 'learned' THEN ?7 ELSE learned END
                    WHERE space_id = ?8 AND id = ?9
                """,
                [
                    status?.rawValue, losses.base, losses.learned, losses.now, isTargetReached, generation,
                    now.timeIntervalSince1970, space, id,
                ])
            guard db.changesCount == 1, let record = try document(space: space, id: id) else {
                throw StoreError.notFound(row)
            }
            return record
        }
    }

    private func acceptOnce(_ draft: DocumentDraft) throws -> Acceptance {
        let sha256 = SHA256Digest(of: draft.text)
        if let known = try known(draft, sha256: sha256) { return try repeated(known) }
        try requireSpace(draft.space)
        let id = draft.id ?? Identifier.make("doc")
        let row = StoreRow("document", "\(draft.space)/\(id)")
        try Identifier.check(id, in: "document")
        try Identifier.checkText(draft.title, named: "title", row: row)
        try on(row) { db in
            let text = Data(draft.text.utf8)
            try run(
                """
                INSERT INTO document (space_id, id, sha256, title, metadata, byte_count, token_count, status, created)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    draft.space, id, sha256.data, draft.title, draft.metadata.text, text.count, draft.tokenCount,
                    DocumentStatus.queued.rawValue, now.timeIntervalSince1970,
                ])
            let sequence = db.lastInsertedRowID
            try run("INSERT INTO document_text (sequence, text) VALUES (?, ?)", [sequence, text])
            try index(draft.text, of: sequence)
        }
        let job = try createJob(kind: .learn, space: draft.space, document: id)
        guard let document = try document(space: draft.space, id: id) else { throw StoreError.notFound(row) }
        return Acceptance(document: document, job: job, outcome: .accepted)
    }

    private func known(_ draft: DocumentDraft, sha256: SHA256Digest) throws -> DocumentRecord? {
        guard let id = draft.id else { return try document(space: draft.space, sha256: sha256) }
        guard let known = try document(space: draft.space, id: id) else { return nil }
        guard known.sha256 == sha256 else {
            throw StoreError.conflict(
                StoreRow("document", "\(draft.space)/\(id)"), reason: "it exists with another text")
        }
        return known
    }

    private func repeated(_ known: DocumentRecord) throws -> Acceptance {
        if known.status == .unlearned, let job = try relearningJob(space: known.space),
            try learningEvents(space: known.space, document: known.id)
                .contains(where: try effectiveLog(space: known.space).contains)
        {
            return Acceptance(document: known, job: job, outcome: .duplicate)
        }
        switch known.status {
        case .failed, .cancelled, .unlearned:
            let document = try updateDocument(space: known.space, id: known.id, status: .queued)
            let job = try createJob(kind: .learn, space: known.space, document: known.id)
            return Acceptance(document: document, job: job, outcome: .requeued)
        case .queued, .learning, .learned:
            guard let job = try newestJob(space: known.space, document: known.id) else {
                throw StoreError.damaged(
                    StoreRow("document", "\(known.space)/\(known.id)"), reason: "it has no job")
            }
            return Acceptance(document: known, job: job, outcome: .duplicate)
        }
    }

    private func acceptance(repeating response: JSONText, claim: IdempotencyClaim) throws -> Acceptance {
        let reference = try response.decoded(as: AcceptanceReference.self)
        guard let document = try document(space: reference.space, id: reference.document),
            let job = try job(reference.job)
        else {
            throw StoreError.conflict(
                StoreRow("idempotency_key", claim.key), reason: "the document it was used for has been deleted")
        }
        return Acceptance(document: document, job: job, outcome: .duplicate)
    }
}

/// What an idempotency key leads back to.
private struct AcceptanceReference: Codable {
    var space: String
    var document: String
    var job: String
}
