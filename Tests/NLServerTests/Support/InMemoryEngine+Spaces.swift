import Foundation
import NLCore

@testable import NLServer

/// A space of the engine in memory: its levels are a number.
struct InMemorySpace {
    var id: String
    var name: String?
    var created = Date()
    var parent: SpaceRecord.Origin?
    var quotas = SpaceQuotas()
    var generation = 0
}

/// A snapshot of the engine in memory: the number, and what was known by then.
struct InMemorySnapshot {
    var record: SnapshotRecord
    var known: Set<String>
}

extension InMemoryEngine {
    // MARK: - Spaces

    func createSpace(_ creation: SpaceCreation) async throws -> SpaceRecord {
        try requireRunning()
        try requireWritable("create a space")
        return try add(
            InMemorySpace(id: creation.id, name: creation.name, quotas: creation.quotas ?? SpaceQuotas()))
    }

    func spaces(page request: PageRequest) async throws -> Page<SpaceRecord> {
        try page(spacesByID.keys.sorted().map { describe(spacesByID[$0]!) }, request, id: \.id)
    }

    func space(_ id: String) async throws -> SpaceRecord { describe(try find(spacesByID, id, .space)) }

    func updateSpace(_ id: String, _ change: SpaceChange) async throws -> SpaceRecord {
        try requireWritable("change a space")
        var space = try find(spacesByID, id, .space)
        space.name = change.name ?? space.name
        if let documents = change.documents { space.quotas.documents = documents }
        if let bytes = change.bytes { space.quotas.bytes = bytes }
        if let seconds = change.learningSeconds { space.quotas.learningSeconds = seconds }
        spacesByID[id] = space
        return describe(space)
    }

    func forkSpace(_ id: String, as creation: SpaceCreation) async throws -> SpaceRecord {
        try requireWritable("fork a space")
        let parent = try find(spacesByID, id, .space)
        let fork = try add(
            InMemorySpace(
                id: creation.id, name: creation.name,
                parent: .init(space: id, generation: parent.generation, event: parent.generation),
                quotas: creation.quotas ?? parent.quotas, generation: parent.generation))
        for place in documentOrder {
            guard var document = documentsByID[place], document.space == id, document.status == .learned else {
                continue
            }
            document.space = fork.id
            let copy = key(fork.id, document.id)
            (documentsByID[copy], textsByID[copy]) = (document, textsByID[place])
            documentOrder.append(copy)
        }
        return try await space(fork.id)
    }

    func deleteSpace(_ id: String) async throws {
        try requireWritable("delete a space")
        try requireSpace(id)
        guard id != "default" else {
            throw EngineError.conflict(code: "default_space", message: "The space 'default' always exists.")
        }
        if let session = sessionsByID.values.first(where: { $0.space == id && $0.isInUse }) {
            throw EngineError.sessionInUse(id: session.id)
        }
        for job in jobsByID.values where job.space == id {
            if !job.status.isFinal { _ = try await cancelJob(job.id) }
            jobsByID[job.id] = nil
        }
        jobOrder.removeAll { jobsByID[$0] == nil }
        documentOrder.removeAll { documentsByID[$0]?.space == id }
        documentsByID = documentsByID.filter { $0.value.space != id }
        textsByID = textsByID.filter { documentsByID[$0.key] != nil }
        sessionsByID = sessionsByID.filter { $0.value.space != id }
        sessionOrder.removeAll { sessionsByID[$0] == nil }
        consolidationRecords.removeAll { $0.space == id }
        (spacesByID[id], snapshotsByID[id]) = (nil, nil)
    }

    func requireQuotas(of id: String, adding bytes: Int) throws {
        let space = describe(try find(spacesByID, id, .space))
        if let limit = space.quotas.documents, space.documentCount >= limit {
            throw EngineError.quotaExceeded(message: "Space '\(id)' may hold \(limit) documents.")
        }
        if let limit = space.quotas.bytes, space.textBytes + bytes > limit {
            throw EngineError.quotaExceeded(message: "Space '\(id)' may hold \(limit) bytes of text.")
        }
    }

    private func add(_ space: InMemorySpace) throws -> SpaceRecord {
        guard spacesByID[space.id] == nil else {
            throw EngineError.conflict(code: "space_exists", message: "Space '\(space.id)' exists already.")
        }
        guard spacesByID.count < behaviour.maxSpaces else {
            throw EngineError.conflict(code: "too_many_spaces", message: "There are \(behaviour.maxSpaces) spaces.")
        }
        spacesByID[space.id] = space
        return describe(space)
    }

    private func describe(_ space: InMemorySpace) -> SpaceRecord {
        let documents = documentsByID.values.filter { $0.space == space.id }
        return SpaceRecord(
            id: space.id, name: space.name ?? space.id, created: space.created, generation: space.generation,
            parent: space.parent, quotas: space.quotas, documentCount: documents.count,
            textBytes: documents.reduce(0) { $0 + $1.byteCount }, learningSeconds: 0,
            sessionCount: sessionsByID.values.count { $0.space == space.id })
    }

    // MARK: - Snapshots

    func createSnapshot(_ creation: SnapshotCreation) async throws -> SnapshotRecord {
        try requireWritable("make a snapshot")
        let space = try find(spacesByID, creation.space, .space)
        guard space.generation > 0 else {
            throw EngineError.conflict(code: "nothing_to_keep", message: "Nothing has been learned yet.")
        }
        let known = documentsByID.filter { $0.value.space == space.id && $0.value.status == .learned }.map(\.key)
        return try keep(
            space.id, name: creation.name, note: creation.note, origin: .request, generation: space.generation,
            event: space.generation, known: Set(known))
    }

    func snapshots(space: String, page request: PageRequest) async throws -> Page<SnapshotRecord> {
        try requireSpace(space)
        return try page((snapshotsByID[space] ?? []).reversed().map(\.record), request, id: \.id)
    }

    func snapshot(_ id: String, space: String) async throws -> SnapshotRecord { try stored(id, space).record }

    func deleteSnapshot(_ id: String, space: String) async throws {
        try requireWritable("delete a snapshot")
        _ = try stored(id, space)
        snapshotsByID[space]?.removeAll { $0.record.id == id }
    }

    func restoreSnapshot(_ id: String, space: String) async throws -> JobRecord {
        try requireWritable("restore a snapshot")
        let snapshot = try stored(id, space)
        spacesByID[space]?.generation += 1
        for place in documentOrder where documentsByID[place]?.space == space {
            if documentsByID[place]?.status == .learned, !snapshot.known.contains(place) {
                documentsByID[place]?.status = .unlearned
            }
        }
        let job = JobRecord(
            id: newID("job"), kind: .restore, status: .restored, space: space, snapshotID: id, progress: 1,
            created: Date(), started: Date(), finished: Date(), generation: generation(of: space))
        jobsByID[job.id] = job
        jobOrder.append(job.id)
        return job
    }

    func exportSnapshot(_ id: String, space: String) async throws -> SnapshotExport {
        let snapshot = try stored(id, space)
        var writer = SafetensorsWriter(metadata: ["format": "in-memory"])
        try writer.add("generation", shape: [1], integers: [Int64(snapshot.record.generation)])
        let file = writer
        return SnapshotExport(fileName: "\(id).safetensors", byteCount: file.byteCount, piece: file.piece)
    }

    func importSnapshot(_ file: SnapshotImport) async throws -> SnapshotRecord {
        try requireWritable("import a snapshot")
        try requireSpace(file.space)
        let generation: Int64?
        do {
            generation = try SafetensorsFile(bytes: file.bytes).integers(named: "generation").first
        } catch {
            throw EngineError.invalid(parameter: "body", message: "The file cannot be imported: \(error).")
        }
        return try keep(
            file.space, name: file.name, note: file.note, origin: .file, generation: Int(generation ?? 0), event: nil,
            known: [])
    }

    func diffSnapshot(_ id: String, space: String, against: SnapshotReference) async throws -> SnapshotDiff {
        let own = try stored(id, space).record.generation
        let (name, other) =
            switch against {
            case .current: ("current", generation(of: space))
            case .base: ("base", 0)
            case .snapshot(let id): (id, try stored(id, space).record.generation)
            }
        func counts(_ generation: Int) -> SnapshotDiff.Counts {
            .init(updates: generation, tokensRead: generation * 10, deltaNorm: Double(generation))
        }
        let distance = abs(Double(own - other))
        return SnapshotDiff(
            snapshot: id, space: space, against: name,
            levels: ["medium", "slow"].map { level in
                SnapshotDiff.Level(
                    name: level, distance: distance, relative: distance / 10, snapshot: counts(own),
                    other: counts(other), moved: [.init(name: "w", distance: distance, relative: distance / 10)])
            })
    }

    private func stored(_ id: String, _ space: String) throws -> InMemorySnapshot {
        try requireSpace(space)
        guard let found = snapshotsByID[space]?.first(where: { $0.record.id == id }) else {
            throw EngineError.notFound(.snapshot, id: id)
        }
        return found
    }

    private func keep(
        _ space: String, name: String, note: String?, origin: SnapshotRecord.Origin, generation: Int, event: Int?,
        known: Set<String>
    ) throws -> SnapshotRecord {
        guard snapshotsByID[space]?.contains(where: { $0.record.name == name }) != true else {
            throw EngineError.conflict(code: "snapshot_exists", message: "Snapshot '\(name)' exists already.")
        }
        let record = SnapshotRecord(
            id: newID("snap"), space: space, name: name, note: note, created: Date(), origin: origin,
            generation: generation, event: event, byteCount: 8)
        snapshotsByID[space, default: []].append(InMemorySnapshot(record: record, known: known))
        return record
    }
}
