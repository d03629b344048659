import Foundation

@testable import NLServer

extension InMemoryEngine {
    // MARK: - Learning

    func acceptDocument(_ submission: DocumentSubmission) async throws -> DocumentAcceptance {
        try requireRunning()
        try requireWritable("accept documents")
        try requireSpace(submission.space)
        let space = submission.space
        if let key = submission.idempotencyKey, let id = idempotency[self.key(space, key)] {
            guard textsByID[id] == submission.text else {
                throw EngineError.conflict(
                    code: "idempotency_key_reused", message: "The key was used for another text.")
            }
            return try existing(id)
        }
        if let id = submission.id.map({ key(space, $0) }), let text = textsByID[id] {
            guard text == submission.text else {
                throw EngineError.conflict(
                    code: "document_exists", message: "Document '\(submission.id ?? "")' has another text.")
            }
            return try existing(id)
        }
        if let id = documentOrder.first(where: {
            documentsByID[$0]?.space == space && textsByID[$0] == submission.text
        }) {
            return try existing(id)
        }
        try requireQuotas(of: space, adding: submission.text.utf8.count)

        let id = submission.id ?? newID("doc")
        let job = JobRecord(
            id: newID("job"), kind: .learn, status: .queued, space: space, documentID: id, progress: 0,
            created: Date())
        let document = DocumentRecord(
            id: id, space: space, title: submission.title, metadata: submission.metadata,
            sha256: String(repeating: "a", count: 64), status: .queued, byteCount: submission.text.utf8.count,
            tokenCount: submission.text.utf8.count, created: Date(), jobID: job.id, losses: .init(), generations: [])
        let place = key(space, id)
        (textsByID[place], documentsByID[place], jobsByID[job.id]) = (submission.text, document, job)
        documentOrder.append(place)
        jobOrder.append(job.id)
        if let key = submission.idempotencyKey { idempotency[self.key(space, key)] = place }
        Task { await self.learn(job.id) }
        return DocumentAcceptance(document: document, job: job, isNew: true)
    }

    /// What is there already; what a restore has taken back is learned again.
    func existing(_ place: String) throws -> DocumentAcceptance {
        var document = try find(documentsByID, place, .document)
        guard document.status == .unlearned else {
            return DocumentAcceptance(document: document, job: try find(jobsByID, document.jobID, .job), isNew: false)
        }
        let job = JobRecord(
            id: newID("job"), kind: .learn, status: .queued, space: document.space, documentID: document.id,
            progress: 0, created: Date())
        (document.status, document.jobID) = (.queued, job.id)
        (documentsByID[place], jobsByID[job.id]) = (document, job)
        jobOrder.append(job.id)
        Task { await self.learn(job.id) }
        return DocumentAcceptance(document: document, job: job, isNew: true)
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
        guard var job = jobsByID[id], !job.status.isFinal,
            let documentID = job.documentID.map({ key(job.space, $0) })
        else { return }
        spacesByID[job.space]?.generation += 1
        let generation = generation(of: job.space)
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
        return try page(
            documentOrder.compactMap { documentsByID[$0] }.filter { $0.space == space }, request, id: \.id)
    }

    func document(_ id: String, space: String) async throws -> DocumentRecord {
        try requireSpace(space)
        guard let document = documentsByID[key(space, id)] else { throw EngineError.notFound(.document, id: id) }
        return document
    }

    func forgetDocument(
        _ id: String, space: String, keeping: Set<DocumentHolder>
    ) async throws -> ForgetReceipt {
        try requireRunning()
        try requireWritable("forget a document")
        try requireSpace(space)
        guard let document = documentsByID.removeValue(forKey: key(space, id)) else {
            guard let known = receipts[key(space, id)] else { throw EngineError.notFound(.document, id: id) }
            return known
        }
        textsByID[key(space, id)] = nil
        documentOrder.removeAll { $0 == key(space, id) }
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
        receipts[key(space, id)] = receipt
        return receipt
    }

    private func rebuild(_ id: String, _ begun: ForgetReceipt) async {
        try? await Task.sleep(for: behaviour.learningStepDelay)
        guard var job = jobsByID[id] else { return }
        var receipt = begun
        spacesByID[job.space]?.generation += 1
        let generation = generation(of: job.space)
        (receipt.state, receipt.exact, receipt.completed) = (.forgotten, true, Date())
        (receipt.rebuiltFrom, receipt.eventsReplayed, receipt.generation) = (0, 1, generation)
        let replay = ReplayProgress(replayed: 1, events: 1, progress: 1)
        for follower in followers[id] ?? [] { _ = follower.offer(.replaying(replay)) }
        (job.status, job.started, job.finished, job.progress) = (.forgotten, Date(), Date(), 1)
        (job.generation, job.replay, job.receipt) = (generation, replay, receipt)
        jobsByID[id] = job
        receipts[key(receipt.space, receipt.document)] = receipt
        finishFollowers(of: id, with: .forgotten(job))
    }

    func forgetReceipt(_ document: String, space: String) async throws -> ForgetReceipt? {
        receipts[key(space, document)]
    }

    func follow(job id: String) async throws -> EventStream<LearningEvent> {
        let job = try find(jobsByID, id, .job)
        let channel = EventChannel<LearningEvent>(capacity: 64)
        _ = channel.offer(.accepted(job))
        switch job.status {
        case .learned:
            _ = channel.offer(.learned(job))
            channel.finish()
        case .restored:
            _ = channel.offer(.restored(job))
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
        let all = jobOrder.reversed().compactMap { jobsByID[$0] }
            .filter { $0.space == space && (status == nil || $0.status == status) }
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
        if let document = job.documentID { documentsByID[key(job.space, document)]?.status = .cancelled }
        finishFollowers(of: id, with: .cancelled(job))
        return job
    }

    /// Documents of a space that share words with a prompt, those that share most first.
    func recalled(near prompt: [Int], in space: String) -> [RecalledDocument] {
        func words(_ text: String) -> Set<Substring> { Set(text.lowercased().split { !$0.isLetter && !$0.isNumber }) }
        let asked = words(String(decoding: prompt.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self))
        let shared = documentOrder.filter { documentsByID[$0]?.space == space }
            .map { (id: $0, count: words(textsByID[$0] ?? "").intersection(asked).count) }
            .filter { $0.count > 0 }.sorted { $0.count > $1.count }
        return shared.map {
            RecalledDocument(id: documentsByID[$0.id]?.id ?? $0.id, score: Double($0.count) / Double(shared[0].count))
        }
    }
}
