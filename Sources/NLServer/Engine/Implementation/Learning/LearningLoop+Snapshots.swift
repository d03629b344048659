import Foundation
import Logging
import Store

// Snapshots by the clock: they name what was learned and change nothing in it.

extension LearningLoop {
    /// When a space had its last automatic snapshot, and what it was of.
    struct SnapshotStanding {
        var last: ContinuousClock.Instant
        var generation: Int64
    }

    /// When the next automatic snapshot is due, as things stand.
    var nextSnapshot: ContinuousClock.Instant? {
        guard context.configuration.snapshotEvery > .zero else { return nil }
        return spaces.keys.compactMap { nextSnapshot(of: $0) }.min()
    }

    /// Makes the snapshots that are due.
    func takeDueSnapshots() throws {
        guard context.configuration.snapshotEvery > .zero else { return }
        for name in spaces.keys.sorted() {
            if snapshotStandings[name] == nil { snapshotStandings[name] = try lastSnapshot(of: name) }
            guard let due = nextSnapshot(of: name), due <= .now else { continue }
            let label = "auto-" + Date().formatted(Self.snapshotTime)
            let keep = context.configuration.snapshotKeep
            let made = try write { transaction -> Store.SnapshotRecord? in
                guard try transaction.space(name) != nil,
                    try transaction.newestGenerationRecord(space: name) != nil
                else { return nil }
                // Made when the space has been rebuilt, which is a generation to be kept as well.
                guard try transaction.pendingForgettings(space: name).isEmpty,
                    try transaction.relearningJob(space: name) == nil
                else { return nil }
                let made = try transaction.createSnapshot(space: name, name: label, isAutomatic: true)
                try transaction.pruneAutomaticSnapshots(space: name, keep: keep)
                return made
            }
            guard let made else { continue }
            snapshotStandings[name] = SnapshotStanding(last: .now, generation: made.generation)
            context.logger.info("snapshot", metadata: ["space": "\(name)", "snapshot": "\(label)"])
        }
    }

    private func nextSnapshot(of name: String) -> ContinuousClock.Instant? {
        guard let generation = spaces[name]?.generation, let standing = snapshotStandings[name],
            generation > standing.generation
        else { return nil }
        return standing.last + context.configuration.snapshotEvery
    }

    private func lastSnapshot(of name: String) throws -> SnapshotStanding {
        guard let last = try context.store.read({ try $0.newestAutomaticSnapshot(space: name) }) else {
            return SnapshotStanding(last: .now, generation: 0)
        }
        // The wall clock says how long ago that was; from here on the schedule counts by a clock nobody sets.
        let age = Duration.seconds(max(Date().timeIntervalSince(last.created), 0))
        return SnapshotStanding(last: .now - age, generation: last.generation)
    }

    private static let snapshotTime = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
}
