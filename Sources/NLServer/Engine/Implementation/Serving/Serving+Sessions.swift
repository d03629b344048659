import NLCore
import Store
import Synchronization

extension Serving {
    /// The state a request begins with: of the session it names, which it takes for itself, or a fresh one.
    ///
    /// - Throws: `.notFound`, `.sessionInUse`, `.conflict` if the session belongs to another space.
    func open(_ session: String?, in space: String, _ hold: RequestHold) async throws -> SessionContent {
        guard let session else { return SessionContent(context.model) }
        let cached = try hold.checkOut(session)
        return try await read(session, in: space, cached).content
    }

    /// A session's record and state, from memory where it is there.
    private func read(
        _ id: String, in space: String? = nil, _ cached: SessionContent?
    ) async throws -> (record: Store.SessionRecord, content: SessionContent) {
        try await context.database { [context] store in
            try store.read { reader in
                guard let record = try reader.sessionRecord(id) else { throw EngineError.notFound(.session, id: id) }
                if let space, record.space != space {
                    throw EngineError.conflict(
                        code: "session_of_another_space",
                        message: "Session \"\(id)\" belongs to space \"\(record.space)\", not \"\(space)\".")
                }
                return (record, try cached ?? SessionContent(try reader.session(id), model: context.model))
            }
        }
    }

    // MARK: - Lists

    /// See ``ModelEngine/sessions(space:page:)``.
    func sessions(space: String, page: PageRequest) async throws -> Page<SessionRecord> {
        _ = try context.spaces.current(space)
        let found = try await context.database { store in
            try store.read { reader in
                let cursor = try page.after.map { id in
                    guard let sequence = try reader.sessionSequence(id, space: space) else {
                        throw EngineError.unknownCursor(id)
                    }
                    return sequence
                }
                return try reader.sessions(space: space, .init(after: cursor, limit: page.limit, order: .oldestFirst))
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

    /// The levels of a session as its last request left them, faster first.
    func sessionLevels(_ id: String, in space: PublishedSpace) async throws -> [LevelRecord] {
        let (stored, content) = try await read(id, in: space.name, registry.peek(id))
        let working = content.stream.encoded().tensors.reduce(0) { $0 + $1.values.count }
        return [
            context.reporter.working(
                tokensRead: content.stream.position, deltaNorm: content.stream.deltaNorm,
                byteCount: working * MemoryLayout<Float>.size,
                lastUpdate: content.stream.position > 0 ? stored.lastUsed : nil),
            context.reporter.record(of: content.fast, lastUpdate: content.lastFastUpdate),
        ]
    }

    private func record(_ stored: Store.SessionRecord) -> SessionRecord {
        let summary = SessionContent.summary(stored)
        return SessionRecord(
            id: stored.id, space: stored.space, created: stored.created, lastUsed: stored.lastUsed,
            tokenCount: stored.tokenCount, fastUpdates: summary.fastUpdates,
            generation: Int(stored.generation ?? 0), parent: summary.parent, isInUse: registry.isInUse(stored.id),
            byteCount: stored.byteCount)
    }

    // MARK: - Changes

    /// See ``ModelEngine/createSession(_:)``.
    func createSession(_ creation: SessionCreation) async throws -> SessionRecord {
        try requireWritable("create a session")
        let space = try context.spaces.current(creation.space)
        let content = SessionContent(context.model)
        return try await addSession { store in
            let draft = try content.draft(generation: space.generation)
            return try store.transaction { try $0.createSession(id: creation.id, space: space.name, draft) }
        }
    }

    /// See ``ModelEngine/forkSession(_:as:)``.
    func forkSession(_ id: String, as newID: String?) async throws -> SessionRecord {
        try requireWritable("fork a session")
        let cached = try registry.checkOut(id)
        defer { registry.checkIn(id, nil) }
        let (source, content) = try await read(id, cached)
        return try await addSession { store in
            var fork = content
            fork.parent = id
            let draft = try fork.draft(generation: Int(source.generation ?? 0))
            return try store.transaction { try $0.createSession(id: newID, space: source.space, draft) }
        }
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

    /// Sessions were deleted because of what they had read.
    func sessionsForgotten(_ ids: [String]) {
        registry.evict(ids)
        storedSessions.withLock { $0 -= ids.count }
    }

    /// Counts a session before it is made, so that two at once can't pass the limit.
    private func addSession(
        _ make: @escaping @Sendable (MemoryStore) throws -> Store.SessionRecord
    ) async throws -> SessionRecord {
        let limit = context.configuration.maxSessions
        let hasRoom = storedSessions.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
        guard hasRoom else { throw EngineError.overloaded(queue: "sessions", retryAfter: .seconds(60)) }
        do {
            let made = try await context.database(make)
            // An earlier session of this name may have been deleted while it was read.
            registry.evict([made.id])
            return record(made)
        } catch {
            storedSessions.withLock { $0 -= 1 }
            throw error
        }
    }
}
