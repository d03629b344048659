import Foundation
import NLCore
import Store

extension Serving {
    /// Takes a session for one request and reads its state, from memory or from disk.
    ///
    /// - Throws: `.notFound`, `.sessionInUse`, `.conflict` if it belongs to another space.
    func checkOut(_ id: String, space: String) async throws -> SessionContent {
        let cached = try registry.checkOut(id)
        do {
            let record = try await context.database { try $0.read { try $0.sessionRecord(id) } }
            guard let record else { throw EngineError.notFound(.session, id: id) }
            guard record.space == space else {
                throw EngineError.conflict(
                    code: "session_of_another_space",
                    message: "Session \"\(id)\" belongs to space \"\(record.space)\", not \"\(space)\".")
            }
            if let cached { return cached }
            return try await context.database { [context] store in
                try SessionContent(try store.read { try $0.session(id) }, model: context.model)
            }
        } catch {
            registry.checkIn(id, nil)
            throw error
        }
    }

    /// See ``ModelEngine/createSession(_:)``.
    func createSession(_ creation: SessionCreation) async throws -> SessionRecord {
        try requireWritable("create a session")
        try requireOpen()
        let space = try context.spaces.current(creation.space)
        try requireRoom()
        let content = SessionContent(context.model)
        let record = try await context.database { store in
            let draft = try content.draft(generation: space.generation)
            return try store.transaction { try $0.createSession(id: creation.id, space: space.name, draft) }
        }
        storedSessions.withLock { $0 += 1 }
        return self.record(record)
    }

    /// See ``ModelEngine/sessions(space:page:)``.
    func sessions(space: String, page: PageRequest) async throws -> Page<SessionRecord> {
        _ = try context.spaces.current(space)
        let found = try await context.database { store in
            try store.read { reader in
                var cursor: Int64?
                if let after = page.after {
                    guard let sequence = try reader.sessionSequence(after) else {
                        throw EngineError.invalid(parameter: "after", message: "There is no session \"\(after)\".")
                    }
                    cursor = sequence
                }
                return try reader.sessions(
                    space: space, Store.PageRequest(after: cursor, limit: page.limit, order: .oldestFirst))
            }
        }
        return Page(items: found.items.map(record), hasMore: found.next != nil)
    }

    /// See ``ModelEngine/session(_:)``.
    func session(_ id: String) async throws -> SessionRecord {
        guard let found = try await context.database({ try $0.read { try $0.sessionRecord(id) } }) else {
            throw EngineError.notFound(.session, id: id)
        }
        return record(found)
    }

    /// See ``ModelEngine/forkSession(_:as:)``.
    func forkSession(_ id: String, as newID: String?) async throws -> SessionRecord {
        try requireWritable("fork a session")
        try requireOpen()
        try requireRoom()
        let source = try await session(id)
        var content = try await checkOut(id, space: source.space)
        registry.checkIn(id, content)
        content.parent = id
        let fork = content
        let record = try await context.database { store in
            let draft = try fork.draft(generation: source.generation)
            return try store.transaction { try $0.createSession(id: newID, space: source.space, draft) }
        }
        storedSessions.withLock { $0 += 1 }
        return self.record(record)
    }

    /// See ``ModelEngine/deleteSession(_:)``.
    func deleteSession(_ id: String) async throws {
        try requireWritable("delete a session")
        _ = try registry.checkOut(id)
        do {
            try await context.database { store in try store.transaction { try $0.deleteSession(id) } }
        } catch {
            registry.checkIn(id, nil)
            throw error
        }
        registry.drop(id)
        storedSessions.withLock { $0 -= 1 }
    }

    /// The levels of a stored session, faster first.
    func sessionLevels(_ id: String, in space: PublishedSpace) async throws -> [LevelRecord] {
        let source = try await session(id)
        let content = try await checkOut(id, space: space.name)
        registry.checkIn(id, content)
        let reporter = LevelReporter(context.model)
        let encoded = content.stream.encoded()
        let bytes = encoded.tensors.reduce(0) { $0 + $1.values.count } * MemoryLayout<Float>.size
        return [
            reporter.working(
                tokensRead: content.stream.position, deltaNorm: content.stream.deltaNorm, byteCount: bytes,
                lastUpdate: content.stream.position > 0 ? source.lastUsed : nil),
            reporter.record(of: content.fast, lastUpdate: content.lastFastUpdate),
        ]
    }

    private func requireRoom() throws(EngineError) {
        let limit = context.configuration.maxSessions
        guard storedSessions.withLock({ $0 }) < limit else {
            throw .overloaded(queue: "sessions", retryAfter: .seconds(60))
        }
    }

    private func record(_ stored: Store.SessionRecord) -> SessionRecord {
        let summary = SessionContent.summary(stored)
        return SessionRecord(
            id: stored.id, space: stored.space, created: stored.created, lastUsed: stored.lastUsed,
            tokenCount: stored.tokenCount, fastUpdates: summary.fastUpdates,
            generation: Int(stored.generation ?? 0), parent: summary.parent, isInUse: registry.isInUse(stored.id),
            byteCount: StreamState<Float>.largestElementCount(context.model.configuration) * MemoryLayout<Float>.size)
    }
}
