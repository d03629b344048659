import Foundation

@testable import NLServer

extension InMemoryEngine {
    // MARK: - Learning

    func acceptDocument(_ submission: DocumentSubmission) async throws -> DocumentAcceptance {
        try requireRunning()
        try requireWritable("accept documents")
        try requireSpace(submission.space)
        if let key = submission.idempotencyKey, let id = idempotency[key] {
            guard textsByID[id] == submission.text else {
                throw EngineError.conflict(
                    code: "idempotency_key_reused", message: "The key was used for another text.")
            }
            return try existing(id)
        }
        if let id = submission.id, let text = textsByID[id] {
            guard text == submission.text else {
                throw EngineError.conflict(code: "document_exists", message: "Document '\(id)' has another text.")
            }
            return try existing(id)
        }
        if let id = documentOrder.first(where: { textsByID[$0] == submission.text }) { return try existing(id) }

        let id = submission.id ?? newID("doc")
        let job = JobRecord(
            id: newID("job"), kind: .learn, status: .queued, space: submission.space, documentID: id, progress: 0,
            created: Date())
        let document = DocumentRecord(
            id: id, space: submission.space, title: submission.title, metadata: submission.metadata,
            sha256: String(repeating: "a", count: 64), status: .queued, byteCount: submission.text.utf8.count,
            tokenCount: submission.text.utf8.count, created: Date(), jobID: job.id, losses: .init(), generations: [])
        (textsByID[id], documentsByID[id], jobsByID[job.id]) = (submission.text, document, job)
        documentOrder.append(id)
        jobOrder.append(job.id)
        if let key = submission.idempotencyKey { idempotency[key] = id }
        Task { await self.learn(job.id) }
        return DocumentAcceptance(document: document, job: job, isNew: true)
    }

    func existing(_ id: String) throws -> DocumentAcceptance {
        let document = try find(documentsByID, id, .document)
        return DocumentAcceptance(document: document, job: try find(jobsByID, document.jobID, .job), isNew: false)
    }

    func find<Value>(_ table: [String: Value], _ id: String, _ kind: EngineError.Resource) throws -> Value {
        guard let value = table[id] else { throw EngineError.notFound(kind, id: id) }
        return value
    }

    func learn(_ id: String) async {
        for pass in 1...4 {
            try? await Task.sleep(for: behaviour.learningStepDelay)
            guard var job = jobsByID[id], !job.status.isFinal else { return }
            job.status = .running
            job.started = job.started ?? Date()
            job.progress = Double(pass) / 4
            job.learning = LearningProgress(
                pass: pass, tokens: pass * 10, loss: 4 / Double(pass), progress: job.progress)
            jobsByID[id] = job
            for follower in followers[id] ?? [] { _ = follower.offer(.progress(job.learning!)) }
        }
        guard var job = jobsByID[id], let documentID = job.documentID, !job.status.isFinal else { return }
        generation += 1
        (job.status, job.finished, job.targetReached, job.generation) = (.learned, Date(), true, generation)
        jobsByID[id] = job
        documentsByID[documentID]?.status = .learned
        documentsByID[documentID]?.learned = Date()
        documentsByID[documentID]?.losses = .init(base: 4, learned: 1, now: 1)
        documentsByID[documentID]?.generations = [generation]
        finishFollowers(of: id, with: .learned(job))
    }

    func finishFollowers(of id: String, with event: LearningEvent) {
        for follower in followers.removeValue(forKey: id) ?? [] {
            _ = follower.offer(event)
            follower.finish()
        }
    }

    func documents(space: String, page request: PageRequest) async throws -> Page<DocumentRecord> {
        try requireSpace(space)
        return try page(documentOrder.compactMap { documentsByID[$0] }, request, id: \.id)
    }

    func document(_ id: String) async throws -> DocumentRecord { try find(documentsByID, id, .document) }

    func forgetDocument(
        _ id: String, space: String, keeping: Set<DocumentHolder>
    ) async throws -> ForgetReceipt {
        try requireRunning()
        try requireWritable("forget a document")
        try requireSpace(space)
        guard let document = documentsByID.removeValue(forKey: id) else {
            guard let known = receipts[id] else { throw EngineError.notFound(.document, id: id) }
            return known
        }
        textsByID[id] = nil
        documentOrder.removeAll { $0 == id }
        if jobsByID[document.jobID]?.status.isFinal == false { _ = try await cancelJob(document.jobID) }
        var receipt = ForgetReceipt(document: id, space: space, state: .forgotten, exact: true, requested: Date())
        if document.status == .learned {
            receipt.state = .rebuilding
            receipt.exact = nil
            let job = JobRecord(
                id: newID("job"), kind: .forget, status: .queued, space: space, documentID: id, progress: 0,
                created: Date(), receipt: receipt)
            receipt.jobID = job.id
            jobsByID[job.id] = job
            jobOrder.append(job.id)
            Task { await self.rebuild(job.id, receipt) }
        }
        receipts[id] = receipt
        return receipt
    }

    private func rebuild(_ id: String, _ begun: ForgetReceipt) async {
        try? await Task.sleep(for: behaviour.learningStepDelay)
        guard var job = jobsByID[id] else { return }
        var receipt = begun
        generation += 1
        (receipt.state, receipt.exact, receipt.completed) = (.forgotten, true, Date())
        (receipt.rebuiltFrom, receipt.eventsReplayed, receipt.generation) = (0, 1, generation)
        let replay = ReplayProgress(replayed: 1, events: 1, progress: 1)
        for follower in followers[id] ?? [] { _ = follower.offer(.replaying(replay)) }
        (job.status, job.started, job.finished, job.progress) = (.forgotten, Date(), Date(), 1)
        (job.generation, job.replay, job.receipt) = (generation, replay, receipt)
        jobsByID[id] = job
        receipts[receipt.document] = receipt
        finishFollowers(of: id, with: .forgotten(job))
    }

    func forgetReceipt(_ document: String, space: String) async throws -> ForgetReceipt? { receipts[document] }

    func follow(job id: String) async throws -> EventStream<LearningEvent> {
        let job = try find(jobsByID, id, .job)
        let channel = EventChannel<LearningEvent>(capacity: 64)
        _ = channel.offer(.accepted(job))
        switch job.status {
        case .learned:
            _ = channel.offer(.learned(job))
            channel.finish()
        case .cancelled:
            _ = channel.offer(.cancelled(job))
            channel.finish()
        case .forgotten:
            _ = channel.offer(.forgotten(job))
            channel.finish()
        case .adopted, .rejected:
            if let record = consolidationRecords.first(where: { $0.jobID == id }) {
                _ = channel.offer(.consolidated(job, record))
            }
            channel.finish()
        default: followers[id, default: []].append(channel)
        }
        return channel.makeStream()
    }

    func jobs(space: String, status: JobRecord.Status?, page request: PageRequest) async throws -> Page<JobRecord> {
        try requireSpace(space)
        let all = jobOrder.reversed().compactMap { jobsByID[$0] }.filter { status == nil || $0.status == status }
        return try page(all, request, id: \.id)
    }

    func job(_ id: String) async throws -> JobRecord { try find(jobsByID, id, .job) }

    func cancelJob(_ id: String) async throws -> JobRecord {
        try requireWritable("cancel a job")
        var job = try find(jobsByID, id, .job)
        guard !job.status.isFinal else {
            throw EngineError.conflict(code: "job_ended", message: "Job '\(id)' has ended as \(job.status.rawValue).")
        }
        guard job.kind != .forget else { throw EngineError.forgettingIsFinal(id) }
        (job.status, job.finished) = (.cancelled, Date())
        jobsByID[id] = job
        if let document = job.documentID { documentsByID[document]?.status = .cancelled }
        finishFollowers(of: id, with: .cancelled(job))
        return job
    }
}
