import Foundation

/// `POST /v1/memory/snapshots`.
struct SnapshotRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable { case name, space, note }
    var name: String
    var space: String?
    var note: String?

    static let maxNoteBytes = 4_096
    /// Names that begin like this are the policy's.
    static let reservedPrefix = "auto-"

    /// - Throws: ``APIError`` 400.
    func creation() throws -> SnapshotCreation {
        try Check.snapshot(name: name, note: note)
        try Check.identifier(space, "space")
        return SnapshotCreation(space: space ?? Space.default, name: name, note: note)
    }
}

extension Check {
    static func snapshot(name: String, note: String?) throws {
        try identifier(name, "name")
        guard !name.hasPrefix(SnapshotRequest.reservedPrefix) else {
            throw APIError.invalid(
                "name",
                "'name' must not begin with '\(SnapshotRequest.reservedPrefix)': those are made by "
                    + "--snapshot-every and may be deleted by --snapshot-keep.")
        }
        guard let note else { return }
        guard note.utf8.count <= SnapshotRequest.maxNoteBytes, !note.utf8.contains(0) else {
            throw APIError.invalid(
                "note", "'note' may have at most \(SnapshotRequest.maxNoteBytes) bytes, and no NUL.")
        }
    }
}

struct WireSnapshot: Encodable, Sendable {
    var id: String
    var space: String
    var name: String
    @Nullable var note: String?
    var created: Date
    var origin: String
    var generation: Int
    @Nullable var event: Int?
    var bytes: Int

    init(_ record: SnapshotRecord) {
        id = record.id
        space = record.space
        name = record.name
        note = record.note
        created = record.created
        origin = record.origin.rawValue
        generation = record.generation
        event = record.event
        bytes = record.byteCount
    }
}

struct WireSnapshotDiff: Encodable, Sendable {
    struct Counts: Encodable, Sendable {
        var updates: Int
        var tokensRead: Int
        var deltaNorm: Double

        init(_ counts: SnapshotDiff.Counts) {
            (updates, tokensRead, deltaNorm) = (counts.updates, counts.tokensRead, counts.deltaNorm)
        }
    }
    struct Tensor: Encodable, Sendable {
        var name: String
        var distance: Double
        var relative: Double
    }
    struct Level: Encodable, Sendable {
        var name: String
        var distance: Double
        var relative: Double
        var snapshot: Counts
        var other: Counts
        var moved: [Tensor]
    }

    var snapshot: String
    var space: String
    var against: String
    var levels: [Level]

    init(_ diff: SnapshotDiff) {
        snapshot = diff.snapshot
        space = diff.space
        against = diff.against
        levels = diff.levels.map { level in
            Level(
                name: level.name, distance: level.distance, relative: level.relative,
                snapshot: Counts(level.snapshot), other: Counts(level.other),
                moved: level.moved.map { Tensor(name: $0.name, distance: $0.distance, relative: $0.relative) })
        }
    }
}
