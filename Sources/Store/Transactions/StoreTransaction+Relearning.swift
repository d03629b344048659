import GRDB

// Taking over what another model learned (``OtherModelPolicy/adopt``).

extension StoreTransaction {
    /// Queues a job for every space that has learned something, before all other jobs there are, and says of its
    /// documents that the levels don't know them. One that waits already begins again.
    ///
    /// - Returns: ids.
    func queueRelearning() throws -> [String] {
        try setSnapshotsAside()
        return try spaces().compactMap { space in
            guard try eventCount(space: space.id, after: 0) > 0 else { return nil }
            let job = try relearningJob(space: space.id) ?? createJob(kind: .relearn, space: space.id)
            try on(StoreRow("job", job.id)) { _ in
                // A place before the first: what waits would otherwise be learned before what came before it.
                try run(
                    """
                    UPDATE job SET progress = 0, detail = '{}', sequence = (SELECT min(sequence) - 1 FROM job)
                        WHERE id = ?
                    """, [job.id])
            }
            try unlearn(space: space.id)
            return job.id
        }
    }

    /// Documents are in none of the generations that the new model will have, until it has learned them.
    private func unlearn(space: String) throws {
        try on(StoreRow("document", space)) { _ in
            try run(
                "UPDATE document SET status = 'unlearned', loss_now = NULL WHERE space_id = ? AND status = 'learned'",
                [space])
            try run(
                "UPDATE document SET first_generation = NULL, last_generation = NULL WHERE space_id = ?", [space])
            try run(
                """
                UPDATE forgotten SET first_generation = (SELECT next_generation FROM space WHERE id = ?1)
                    WHERE space_id = ?1 AND state <> 'forgotten' AND first_generation IS NOT NULL
                """, [space])
        }
    }

    /// Snapshots of other models are not listed, so they must not hold names that are wanted again.
    private func setSnapshotsAside() throws {
        try on(StoreRow("snapshot")) { _ in
            try run(
                """
                UPDATE snapshot SET name = name || ' (' || id || ')'
                    WHERE name NOT LIKE '% (' || id || ')' AND generation_id IN (
                        SELECT id FROM generation WHERE fingerprint_id <> (SELECT max(id) FROM fingerprint))
                """, [])
        }
    }

    /// Says of restores from files that they went back to the model's own levels: what the files held is another
    /// model's, and was not learned again.
    public func detachImportedSources(space: String) throws {
        try on(StoreRow("event", space)) { _ in
            try run("UPDATE event SET source = NULL WHERE space_id = ? AND source IS NOT NULL", [space])
        }
    }
}
