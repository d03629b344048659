import Foundation
import NLCore
import Store
import Synchronization

// Spaces as they are made, forked and deleted. What changes which spaces there are runs on the database's queue, one
// after the other, together with the change to the registry that requests look at.

extension HopeEngine {
    func createSpace(_ creation: SpaceCreation) async throws -> SpaceRecord {
        try await addSpace(creation, "create a space") { transaction in
            try transaction.createSpace(
                creation.id, name: creation.name, quotas: Store.SpaceQuotas(creation.quotas ?? SpaceQuotas()))
        }
    }

    func forkSpace(_ id: String, as creation: SpaceCreation) async throws -> SpaceRecord {
        let record = try await addSpace(creation, "fork a space") { transaction in
            try transaction.requireSettled(id, for: "fork it")
            return try transaction.forkSpace(
                id, as: creation.id, name: creation.name, quotas: creation.quotas.map { Store.SpaceQuotas($0) })
        }
        try running().context.journal.noteDocuments(record.documentCount)
        return record
    }

    func spaces(page: PageRequest) async throws -> Page<SpaceRecord> {
        try await running().context.database { store in
            try store.read { reader in
                let all = try reader.spaces()
                var start = 0
                if let after = page.after {
                    guard let last = all.firstIndex(where: { $0.id == after }) else {
                        throw EngineError.unknownCursor(after)
                    }
                    start = last + 1
                }
                let items = try all[start...].prefix(page.limit).map { try reader.describe($0) }
                return Page(items: items, hasMore: start + items.count < all.count)
            }
        }
    }

    func space(_ id: String) async throws -> SpaceRecord {
        try await running().context.database { store in
            try store.read { reader in
                guard let space = try reader.space(id) else { throw EngineError.notFound(.space, id: id) }
                return try reader.describe(space)
            }
        }
    }

    func updateSpace(_ id: String, _ change: SpaceChange) async throws -> SpaceRecord {
        let context = try running().context
        try context.journal.requireWritable("change a space")
        return try await context.database { store in
            try store.transaction { transaction in
                guard let space = try transaction.space(id) else { throw EngineError.notFound(.space, id: id) }
                var quotas = space.quotas
                if let documents = change.documents { quotas.documents = documents }
                if let bytes = change.bytes { quotas.bytes = bytes }
                if let seconds = change.learningSeconds { quotas.learningSeconds = seconds }
                try transaction.setQuotas(quotas, space: id)
                if let name = change.name { try transaction.setName(name, space: id) }
                return try transaction.describe(try transaction.space(id) ?? space)
            }
        }
    }

    func deleteSpace(_ id: String) async throws {
        let running = try running()
        let context = running.context
        try context.journal.requireOpen(for: "delete a space")
        guard id != Space.default else {
            throw EngineError.conflict(
                code: "default_space", message: "The space 'default' always exists; any other may be deleted.")
        }
        let sessions = try await running.serving.takeSessions(of: id)
        do {
            try await delete(id, running)
        } catch {
            running.serving.giveBack(sessions)
            throw error
        }
    }

    private func delete(_ id: String, _ running: Running) async throws {
        let context = running.context
        let deadline = ContinuousClock.now + .seconds(30)
        repeat {
            try await context.journal.cancelJobs(of: id)
            let deleted = try await context.journal.deleteSpace(id) { context.spaces.remove(id) }
            if let deleted { return running.serving.forget(deleted.sessions) }
            // A rebuild lets nobody cancel it.
            try await Task.sleep(for: .milliseconds(20))
        } while ContinuousClock.now < deadline
        throw EngineError.conflict(
            code: "space_busy",
            message: "Jobs of space '\(id)' are cancelled, but one has not ended yet. Try again in a while.")
    }

    private func addSpace(
        _ creation: SpaceCreation, _ action: String,
        _ make: @escaping @Sendable (StoreTransaction) throws -> Store.SpaceRecord
    ) async throws -> SpaceRecord {
        let context = try running().context
        try context.journal.requireOpen(for: action)
        let limit = context.configuration.maxSpaces
        let record = try await context.database { store in
            let record = try store.transaction { transaction in
                let made = try make(transaction)
                // Asked last, so that an id that is taken or unknown says so.
                guard try transaction.spaces().count <= limit else {
                    throw EngineError.conflict(
                        code: "too_many_spaces",
                        message: "There are \(limit) spaces, and --max-spaces allows no more: the levels of each are "
                            + "held in memory. Delete one, or start the daemon with a higher --max-spaces.")
                }
                return try transaction.describe(made)
            }
            try context.load(space: record.id)
            return record
        }
        // So that the learner takes it in.
        context.journal.signals.queued(0)
        return record
    }
}

extension EngineContext {
    /// Publishes the newest generation of a space, unless the learner has done so already.
    @discardableResult
    func load(space id: String) throws -> SpaceMemory {
        let (memory, created) = try SpaceMemory.load(id, model: model, store: store)
        spaces.publishFirst(
            try PublishedSpace(
                name: id, generation: Int(memory.generation ?? 0), published: created, levels: memory.levels,
                lastUpdates: memory.lastUpdates, layout: spaces.layout))
        journal.signals.setStanding(try memory.standing(store), of: id)
        let figures = try store.read { try $0.retention(space: id) }
        journal.retention.withLock { $0[id] = figures }
        return memory
    }
}

extension Serving {
    /// Takes every session of a space, so that none is read while it goes.
    ///
    /// - Throws: ``EngineError/sessionInUse(id:)``, with none taken.
    func takeSessions(of space: String) async throws -> [String] {
        let ids = try await context.database { store in
            try store.read { try $0.sessions(space: space, .init(limit: 1 << 30)).items.map(\.id) }
        }
        var taken: [String] = []
        do {
            for id in ids {
                _ = try registry.checkOut(id)
                taken.append(id)
            }
        } catch {
            giveBack(taken)
            throw error
        }
        return taken
    }

    func giveBack(_ sessions: [String]) {
        for id in sessions { registry.checkIn(id, nil) }
    }

    /// Sessions have been deleted: what is in memory of them must not meet a new one of the same name.
    func forget(_ sessions: [String]) {
        for id in sessions { registry.drop(id) }
        storedSessions.withLock { $0 -= sessions.count }
    }
}

extension Store.SpaceQuotas {
    init(_ quotas: SpaceQuotas) {
        self.init(documents: quotas.documents, bytes: quotas.bytes, learningSeconds: quotas.learningSeconds)
    }
}

extension StoreReader {
    /// A space with what it uses.
    fileprivate func describe(_ space: Store.SpaceRecord) throws -> SpaceRecord {
        let usage = try usage(space: space.id)
        return SpaceRecord(
            id: space.id, name: space.name, created: space.created,
            generation: Int(try newestGenerationRecord(space: space.id)?.number ?? 0),
            parent: space.parent.map {
                .init(space: $0, generation: Int(space.parentGeneration ?? 0), event: Int(space.parentEvent ?? 0))
            },
            quotas: .init(
                documents: space.quotas.documents, bytes: space.quotas.bytes,
                learningSeconds: space.quotas.learningSeconds),
            documentCount: usage.documents, textBytes: usage.bytes, learningSeconds: usage.learningSeconds,
            sessionCount: usage.sessions)
    }
}
