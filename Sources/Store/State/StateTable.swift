import Foundation
import GRDB

// States on disk: manifest, references, chunks. Everything that owns a state (a level of a generation, a session, a
// job half way) refers to it by id; equal states are one row, equal chunks are one row.

extension StoreReader {
    /// Reads a state and verifies all of it.
    ///
    /// - Throws: ``StoreError/damaged(_:reason:)`` about `owner`.
    func stateBlobs(_ stateID: Int64, owner: StoreRow) throws -> [StateBlob] {
        try manifest(of: stateID, owner: owner).map { blob in
            var bytes = Data(capacity: blob.byteCount)
            try forEachChunk(of: blob, owner: owner) { bytes.append(contentsOf: $0) }
            return StateBlob(name: blob.name, type: blob.type, shape: blob.shape, bytes: bytes)
        }
    }

    /// Reads a state only to verify it.
    ///
    /// - Throws: ``StoreError/damaged(_:reason:)`` about `owner`.
    func verifyState(_ stateID: Int64, owner: StoreRow) throws {
        for blob in try manifest(of: stateID, owner: owner) {
            try forEachChunk(of: blob, owner: owner) { _ in }
        }
    }

    func stateDigest(_ stateID: Int64, owner: StoreRow) throws -> SHA256Digest {
        let data = try on(owner) { db in
            try Data.fetchOne(db, sql: "SELECT digest FROM state WHERE id = ?", arguments: [stateID])
        }
        guard let digest = data.flatMap({ SHA256Digest(bytes: $0) }) else {
            throw StoreError.damaged(owner, reason: "its state \(stateID) has no digest")
        }
        return digest
    }

    private func manifest(of stateID: Int64, owner: StoreRow) throws -> [BlobDescription] {
        let row = try on(owner) { db in
            try Row.fetchOne(db, sql: "SELECT digest, manifest FROM state WHERE id = ?", arguments: [stateID])
        }
        guard let row else { throw StoreError.damaged(owner, reason: "its state \(stateID) is missing") }
        let manifest: Data = row["manifest"]
        guard SHA256Digest(of: manifest).data == row["digest"] as Data else {
            throw StoreError.damaged(owner, reason: "the manifest of its state \(stateID) does not match its checksum")
        }
        return try StateManifest.descriptions(in: manifest, row: owner)
    }

    /// Hands the verified chunks of a blob to `body`, in order, without copying them.
    private func forEachChunk(
        of blob: BlobDescription, owner: StoreRow, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        for (hash, range) in zip(blob.chunks, ChunkedState.ranges(byteCount: blob.byteCount)) {
            try withChunk(hash, owner: owner) { bytes in
                guard let bytes else {
                    throw StoreError.damaged(owner, reason: "chunk \(hash) of blob \(blob.name) is missing")
                }
                guard bytes.count == range.count, SHA256Digest(of: bytes) == hash else {
                    throw StoreError.damaged(
                        owner, reason: "chunk \(hash) of blob \(blob.name) does not match its checksum")
                }
                ledger.insert(hash)
                try body(bytes)
            }
        }
    }

    /// The stored bytes of a chunk as they are, nil where there is no such row.
    fileprivate func withChunk<Result>(
        _ hash: SHA256Digest, owner: StoreRow, _ body: (UnsafeRawBufferPointer?) throws -> Result
    ) throws -> Result {
        try on(owner) { db in
            let statement = try db.cachedStatement(sql: "SELECT bytes FROM chunk WHERE hash = ?")
            let rows = try Row.fetchCursor(statement, arguments: [hash.data])
            guard let row = try rows.next() else { return try body(nil) }
            return try row.withUnsafeData(atIndex: 0) { try ($0 ?? Data()).withUnsafeBytes { try body($0) } }
        }
    }
}

extension StoreTransaction {
    /// Writes what is missing of a state; the chunks follow with ``writeChunks(of:owner:)`` in the same transaction.
    func insertState(_ state: ChunkedState, owner: StoreRow) throws -> Int64 {
        try on(owner) { db in
            let digest = state.digest.data
            if let known = try Int64.fetchOne(db, sql: "SELECT id FROM state WHERE digest = ?", arguments: [digest]) {
                // The manifest may have rotted; it is small, so it is simply written again.
                try run(
                    "UPDATE state SET manifest = ? WHERE id = ? AND manifest <> ?",
                    [state.manifest, known, state.manifest])
                return known
            }
            try run(
                "INSERT INTO state (digest, manifest, byte_count) VALUES (?, ?, ?)",
                [digest, state.manifest, state.byteCount])
            let stateID = db.lastInsertedRowID
            for hash in Set(state.chunks.joined()) {
                try run("INSERT INTO state_chunk (state_id, hash) VALUES (?, ?)", [stateID, hash.data])
            }
            return stateID
        }
    }

    /// Writes the chunks of a state that are not there whole.
    ///
    /// - Returns: the bytes written.
    func writeChunks(of state: ChunkedState, owner: StoreRow) throws -> Int {
        var written = 0
        // Not a cached statement: it would keep the last chunk's bytes alive until its next use.
        let insert = try db.makeStatement(
            sql: "INSERT INTO chunk (hash, bytes) VALUES (?, ?) ON CONFLICT (hash) DO UPDATE SET bytes = excluded.bytes"
        )
        for (blob, hashes) in zip(state.blobs, state.chunks) {
            for (hash, range) in zip(hashes, ChunkedState.ranges(byteCount: blob.bytes.count)) {
                if try isWhole(hash, owner: owner) { continue }
                let start = blob.bytes.startIndex
                let bytes = blob.bytes[start + range.lowerBound..<start + range.upperBound]
                try on(owner) { _ in try insert.execute(arguments: [hash.data, bytes]) }
                ledger.insert(hash)
                written += bytes.count
                hooks(.chunkWritten)
            }
        }
        return written
    }

    /// Lets go of states that nothing refers to any more, and of the chunks that only they needed.
    func releaseStates(_ candidates: some Sequence<Int64>, owner: StoreRow) throws {
        try on(owner) { db in
            for stateID in Set(candidates) {
                let isOwned = try Bool.fetchOne(
                    db,
                    sql: """
                        SELECT EXISTS (SELECT 1 FROM generation_level WHERE state_id = ?1)
                            OR EXISTS (SELECT 1 FROM session WHERE state_id = ?1)
                            OR EXISTS (SELECT 1 FROM job WHERE state_id = ?1)
                        """, arguments: [stateID])
                if isOwned == true { continue }
                let hashes = try Data.fetchAll(
                    db, sql: "SELECT hash FROM state_chunk WHERE state_id = ?", arguments: [stateID])
                try run("DELETE FROM state WHERE id = ?", [stateID])
                for hash in hashes {
                    try run(
                        """
                        DELETE FROM chunk WHERE hash = ?1
                            AND NOT EXISTS (SELECT 1 FROM state_chunk WHERE hash = ?1)
                        """, [hash])
                    if db.changesCount > 0, let digest = SHA256Digest(bytes: hash) { ledger.remove(digest) }
                }
            }
        }
    }

    private func isWhole(_ hash: SHA256Digest, owner: StoreRow) throws -> Bool {
        let isKnown = ledger.contains(hash)
        let isThere = try on(owner) { db in
            if isKnown {
                let statement = try db.cachedStatement(sql: "SELECT 1 FROM chunk WHERE hash = ?")
                return try Int.fetchOne(statement, arguments: [hash.data]) != nil
            }
            return try withChunk(hash, owner: owner) { bytes in bytes.map { SHA256Digest(of: $0) == hash } ?? false }
        }
        if isThere { ledger.insert(hash) }
        return isThere
    }
}
