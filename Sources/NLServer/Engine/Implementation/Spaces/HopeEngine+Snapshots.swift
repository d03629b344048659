import Foundation
import NLCore
import Store

// Snapshots: named generations. All but restoring is done by the database alone; restoring is the learner's.

extension HopeEngine {
    func createSnapshot(_ creation: SnapshotCreation) async throws -> SnapshotRecord {
        let context = try running().context
        try context.journal.requireOpen(for: "make a snapshot")
        return try await context.database { store in
            try store.transaction { transaction in
                try transaction.requireKnown(creation.space)
                try transaction.requireSettled(creation.space, for: "make a snapshot")
                guard try transaction.newestGenerationRecord(space: creation.space) != nil else {
                    throw EngineError.conflict(
                        code: "nothing_to_keep",
                        message: "Space '\(creation.space)' has learned nothing yet: its levels are the model file's.")
                }
                return SnapshotRecord(
                    try transaction.createSnapshot(space: creation.space, name: creation.name, note: creation.note))
            }
        }
    }

    func snapshots(space: String, page: PageRequest) async throws -> Page<SnapshotRecord> {
        try await running().context.database { store in
            try store.read { reader in
                try reader.requireKnown(space)
                let cursor = try page.after.map { id in
                    guard let last = try reader.snapshot(space: space, id: id) else {
                        throw EngineError.unknownCursor(id)
                    }
                    return last.sequence
                }
                let found = try reader.snapshots(space: space, .init(after: cursor, limit: page.limit))
                return Page(items: found.items.map { SnapshotRecord($0) }, hasMore: found.next != nil)
            }
        }
    }

    func snapshot(_ id: String, space: String) async throws -> SnapshotRecord {
        try await running().context.database { store in
            SnapshotRecord(try store.read { try $0.requireSnapshot(id, space: space) })
        }
    }

    func deleteSnapshot(_ id: String, space: String) async throws {
        let context = try running().context
        try context.journal.requireWritable("delete a snapshot")
        try await context.database { store in
            try store.transaction { transaction in
                _ = try transaction.requireSnapshot(id, space: space)
                try transaction.deleteSnapshot(space: space, id: id)
            }
        }
    }

    func restoreSnapshot(_ id: String, space: String) async throws -> JobRecord {
        try await running().context.journal.restore(snapshot: id, space: space)
    }

    func exportSnapshot(_ id: String, space: String) async throws -> SnapshotExport {
        let context = try running().context
        let (snapshot, generation) = try await context.database { store in
            try store.read { reader in
                let snapshot = try reader.requireSnapshot(id, space: space)
                return (snapshot, try reader.generation(space: space, number: snapshot.generation))
            }
        }
        let file = try SnapshotFile.writer(snapshot, generation, fingerprint: context.model.fingerprint)
        return SnapshotExport(
            fileName: "\(space)-\(id).safetensors".replacing(":", with: "_"), byteCount: file.byteCount,
            piece: file.piece)
    }

    func importSnapshot(_ file: SnapshotImport) async throws -> SnapshotRecord {
        let running = try running()
        let context = running.context
        try context.journal.requireOpen(for: "import a snapshot")
        _ = try context.spaces.current(file.space)
        let draft = try await running.serving.prepare {
            try SnapshotFile.draft(file.bytes, space: file.space, model: context.model)
        }
        return try await context.database { store in
            try store.transaction {
                try $0.requireKnown(file.space)
                return SnapshotRecord(try $0.importSnapshot(draft, name: file.name, note: file.note))
            }
        }
    }

    func diffSnapshot(_ id: String, space: String, against: SnapshotReference) async throws -> SnapshotDiff {
        let context = try running().context
        let model = context.model
        let current = try context.spaces.current(space)
        return try await context.database { store in
            try store.read { reader in
                func levels(of id: String) throws -> [NLCore.LevelState] {
                    let snapshot = try reader.requireSnapshot(id, space: space)
                    let generation = try reader.generation(space: space, number: snapshot.generation)
                    return try GenerationCodec.levels(of: generation, model: model).levels.levels
                }
                let own = try levels(of: id)
                let (name, other) =
                    switch against {
                    case .current: ("current", current.levels.levels)
                    case .base: ("base", own.map { NLCore.LevelState($0.definition) })
                    case .snapshot(let id): (id, try levels(of: id))
                    }
                return SnapshotDiff(
                    snapshot: id, space: space, against: name,
                    levels: zip(own, other).map { SnapshotDiff.Level($0, $1, base: model.base) })
            }
        }
    }
}

extension LearningJournal {
    /// See ``ModelEngine/restoreSnapshot(_:space:)``.
    func restore(snapshot id: String, space: String) async throws -> JobRecord {
        try requireOpen(for: "restore a snapshot")
        let record = try await database { [self] store in
            try store.transaction { transaction in
                _ = try transaction.requireSnapshot(id, space: space)
                try transaction.requireSettled(space, for: "restore a snapshot")
                try requireRoom()
                return try transaction.createJob(
                    kind: .restore, space: space, detail: try JSONText(encoding: JobDetail(snapshot: id)))
            }
        }
        signals.queued(1)
        return JobRecord(record)
    }
}

extension StoreReader {
    fileprivate func requireSnapshot(_ id: String, space: String) throws -> Store.SnapshotRecord {
        try requireKnown(space)
        guard let snapshot = try snapshot(space: space, id: id) else {
            throw EngineError.notFound(.snapshot, id: id)
        }
        return snapshot
    }
}

extension SnapshotRecord {
    init(_ record: Store.SnapshotRecord) {
        self.init(
            id: record.id, space: record.space, name: record.name, note: record.note, created: record.created,
            origin: record.isImported ? .file : record.isAutomatic ? .policy : .request,
            generation: Int(record.generation), event: record.event.map(Int.init), byteCount: record.byteCount)
    }
}

extension SnapshotDiff.Level {
    /// Tensors that are listed.
    private static let listed = 10

    init(_ own: NLCore.LevelState, _ other: NLCore.LevelState, base: ParameterSet<Float>) {
        var squares = 0.0
        var baseSquares = 0.0
        var changes: [SnapshotDiff.TensorChange] = []
        let (mine, theirs) = (own.contribution(), other.contribution())
        for tensor in own.definition.adapted {
            guard let a = mine[tensor.name], let b = theirs[tensor.name] else { continue }
            let square = a.squaredDistance(to: b)
            let baseSquare = base[tensor.name]?.squaredNorm ?? 0
            squares += square
            baseSquares += baseSquare
            changes.append(
                .init(
                    name: tensor.name, distance: square.squareRoot(),
                    relative: baseSquare > 0 ? (square / baseSquare).squareRoot() : 0))
        }
        changes.sort { ($0.distance, $1.name) > ($1.distance, $0.name) }
        func counts(_ level: NLCore.LevelState) -> SnapshotDiff.Counts {
            .init(
                updates: level.counters.updates, tokensRead: level.counters.tokensRead, deltaNorm: level.deltaNorm)
        }
        self.init(
            name: own.definition.name, distance: squares.squareRoot(),
            relative: baseSquares > 0 ? (squares / baseSquares).squareRoot() : 0, snapshot: counts(own),
            other: counts(other), moved: Array(changes.filter { $0.distance > 0 }.prefix(Self.listed)))
    }
}

extension Tensor<Float> {
    /// Σ (a − b)²; where one has more rows, as slots have, the other's count as 0.
    fileprivate func squaredDistance(to other: Tensor) -> Double {
        let (longer, shorter) = count >= other.count ? (self, other) : (other, self)
        return longer.withElements { a in
            shorter.withElements { b in
                a.indices.reduce(0.0) { sum, index in
                    let difference = Double(a[index]) - (index < b.count ? Double(b[index]) : 0)
                    return sum + difference * difference
                }
            }
        }
    }
}
