public import Foundation
import GRDB

/// What a session is after a request: replaces everything it was.
public struct SessionDraft: Sendable {
    /// The generation it read last; nil for the model file's levels.
    public let generation: Int64?
    /// Working and fast levels, open chunks: all tensors.
    public let state: ChunkedState
    /// Tokens read and written so far, BOS included.
    public let transcript: [UInt32]
    /// Counters, sampler state and whatever else the next request continues from.
    public let metadata: JSONText

    /// Collects what ``StoreTransaction/saveSession(_:_:)`` writes.
    public init(generation: Int64?, state: ChunkedState, transcript: [UInt32], metadata: JSONText = .empty) {
        self.generation = generation
        self.state = state
        self.transcript = transcript
        self.metadata = metadata
    }
}

/// A session without its tensors and tokens.
public struct SessionRecord: Sendable, Hashable {
    /// What requests call it.
    public let id: String
    /// The space whose memory it reads.
    public let space: String
    /// When it was made.
    public let created: Date
    /// When it was saved last.
    public let lastUsed: Date
    /// The generation it read last.
    public let generation: Int64?
    /// The caller's own.
    public let metadata: JSONText
    /// Tokens in its transcript.
    public let tokenCount: Int
    /// Bytes of its tensors.
    public let byteCount: Int

    let stateID: Int64

    // Leaves the transcript out: a list of sessions must not read them all.
    static let columns = """
        sequence, id, space_id, created, last_used, generation, metadata, length(transcript) / 4 AS token_count,
        state_id, (SELECT byte_count FROM state WHERE state.id = state_id) AS byte_count
        """

    init(row: Row) {
        id = row["id"]
        space = row["space_id"]
        created = Date(timeIntervalSince1970: row["created"])
        lastUsed = Date(timeIntervalSince1970: row["last_used"])
        generation = row["generation"]
        metadata = JSONText(unchecked: row["metadata"])
        tokenCount = row["token_count"]
        byteCount = row["byte_count"]
        stateID = row["state_id"]
    }

    /// Covers what the continuation depends on: two sessions with equal checksums continue with the same bytes.
    static func checksum(
        space: String, generation: Int64?, metadata: JSONText, transcript: Data, state: SHA256Digest
    ) -> SHA256Digest {
        let parts = [
            space, generation.map(String.init) ?? "-", metadata.text, SHA256Digest(of: transcript).hex, state.hex,
        ]
        return SHA256Digest(of: parts.joined(separator: "\n"))
    }
}

/// A session with everything, every byte verified.
public struct Session: Sendable, Hashable {
    /// Id, space, times, metadata.
    public let record: SessionRecord
    /// Its tensors, in the order they were saved.
    public let blobs: [StateBlob]
    /// Tokens read and written so far.
    public let transcript: [UInt32]
}

extension SessionDraft {
    /// Little-endian, four bytes a token.
    static func encode(_ tokens: [UInt32]) -> Data {
        tokens.map(\.littleEndian).withUnsafeBufferPointer { Data(buffer: $0) }
    }

    static func decode(_ data: Data) -> [UInt32] {
        data.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count - 3, by: 4).map {
                UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self))
            }
        }
    }
}
