import struct Foundation.Date

// Snapshots: named states of a space's levels, to go back to, to compare with, to carry elsewhere.

struct SnapshotCreation: Sendable {
    var space: String
    /// Unique within the space; not `auto-…`, which are the policy's.
    var name: String
    var note: String?
}

struct SnapshotRecord: Sendable {
    /// Who made it.
    enum Origin: String, Sendable, CaseIterable {
        /// A caller.
        case request
        /// `--snapshot-every`, whose `--snapshot-keep` may delete it.
        case policy
        /// A file.
        case file
    }

    var id: String
    var space: String
    var name: String
    var note: String?
    var created: Date
    var origin: Origin
    var generation: Int
    /// The last event of the log it contains; `nil` where it came from a file.
    var event: Int?
    /// Size of its tensors, shared with whatever else has them.
    var byteCount: Int
}

/// A snapshot as a safetensors file, in pieces that are made as they are asked for.
struct SnapshotExport: Sendable {
    var fileName: String
    var byteCount: Int
    /// The piece with this number, from 0; `nil` after the last.
    var piece: @Sendable (Int) -> [UInt8]?
}

struct SnapshotImport: Sendable {
    var space: String
    var name: String
    var note: String?
    /// The file that an export gave.
    var bytes: [UInt8]
}

/// What to compare a snapshot with.
enum SnapshotReference: Sendable, Equatable {
    /// The newest generation.
    case current
    /// The model file's levels.
    case base
    /// Another snapshot of the same space.
    case snapshot(String)
}

/// How far two states of a space's levels are apart.
struct SnapshotDiff: Sendable {
    /// One tensor of a level.
    struct TensorChange: Sendable {
        var name: String
        /// ‖Δθ_a − Δθ_b‖₂ over the tensor.
        var distance: Double
        /// ÷ ‖θ_base‖₂ of the tensor.
        var relative: Double
    }

    /// What a level counts in one of the two states.
    struct Counts: Sendable {
        var updates: Int
        var tokensRead: Int
        /// ‖Δθ‖₂.
        var deltaNorm: Double
    }

    struct Level: Sendable {
        var name: String
        /// ‖Δθ_a − Δθ_b‖₂.
        var distance: Double
        /// ÷ ‖θ_base‖₂ over the tensors the level adapts.
        var relative: Double
        /// The snapshot's.
        var snapshot: Counts
        /// Those of what it is compared with.
        var other: Counts
        /// The tensors that moved most, most first, at most 10.
        var moved: [TensorChange]
    }

    var snapshot: String
    var space: String
    /// What it is compared with: `current`, `base`, or the id of a snapshot.
    var against: String
    /// Faster first.
    var levels: [Level]
}
