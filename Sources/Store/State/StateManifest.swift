import Foundation

/// The table of contents of a state: what its blobs are called, how they are shaped, and which chunks hold their
/// bytes. Its own digest names the state, so one hash vouches for names, shapes, order and, through the chunk
/// hashes, every byte.
struct StateManifest: Sendable, Hashable, Codable {
    /// Raised when the meaning of a field changes; an unknown version is refused, not guessed at.
    static let currentVersion = 1
    /// Largest chunk. A changed chunk is rewritten whole, so small enough to share well; each costs a row, so not
    /// too small.
    static let chunkBytes = 1 << 20

    struct Blob: Sendable, Hashable, Codable {
        var name: String
        var type: String
        var shape: [Int]
        /// SHA-256 of each piece of at most ``chunkBytes`` bytes, in hexadecimal, in order.
        var chunks: [String]
    }

    var version = currentVersion
    var blobs: [Blob]
}

/// A blob as a manifest that was checked describes it.
struct BlobDescription: Sendable, Hashable {
    var name: String
    var type: ElementType
    var shape: [Int]
    var byteCount: Int
    var chunks: [SHA256Digest]
}

extension StateManifest {
    /// Canonical bytes: sorted keys, no white space.
    func encoded() throws(StoreError) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return try encoder.encode(self)
        } catch {
            throw .invalid(StoreRow("state"), reason: "\(error)")
        }
    }

    /// Reads a manifest back and refuses what it does not recognise.
    ///
    /// - Throws: ``StoreError/damaged(_:reason:)`` about `row`.
    static func descriptions(in data: Data, row: StoreRow) throws(StoreError) -> [BlobDescription] {
        let manifest: StateManifest
        do {
            manifest = try JSONDecoder().decode(StateManifest.self, from: data)
        } catch {
            throw .damaged(row, reason: "its manifest does not decode: \(error)")
        }
        guard manifest.version == currentVersion else {
            throw .damaged(row, reason: "its manifest has version \(manifest.version), expected \(currentVersion)")
        }
        var descriptions: [BlobDescription] = []
        for blob in manifest.blobs {
            guard let type = ElementType(rawValue: blob.type),
                let byteCount = StateBlob.byteCount(shape: blob.shape, type: type)
            else {
                throw .damaged(row, reason: "blob \(blob.name) has element type \(blob.type) and shape \(blob.shape)")
            }
            let chunks = blob.chunks.compactMap { SHA256Digest(hex: $0) }
            let expected = (byteCount + chunkBytes - 1) / chunkBytes
            guard chunks.count == blob.chunks.count, chunks.count == expected else {
                throw .damaged(row, reason: "blob \(blob.name) lists \(blob.chunks.count) chunks, expected \(expected)")
            }
            descriptions.append(
                BlobDescription(name: blob.name, type: type, shape: blob.shape, byteCount: byteCount, chunks: chunks))
        }
        return descriptions
    }
}

/// A state cut into chunks and hashed, ready to be written.
///
/// Cutting and hashing happen here, on the caller's thread, so that a transaction holds the database only for the
/// writing. Values share the caller's bytes; keep one to write the same state again without hashing it again.
public struct ChunkedState: Sendable {
    /// The blobs, in the order they will be read back.
    public let blobs: [StateBlob]
    /// Names the state: equal digests, equal names, shapes and bytes.
    public let digest: SHA256Digest
    /// Bytes of all blobs.
    public let byteCount: Int

    let manifest: Data
    let chunks: [[SHA256Digest]]

    /// - Throws: ``StoreError/invalid(_:reason:)`` for a name used twice or a shape that does not fit its bytes.
    public init(_ blobs: [StateBlob]) throws(StoreError) {
        var names = Set<String>()
        var entries: [StateManifest.Blob] = []
        var chunks: [[SHA256Digest]] = []
        for blob in blobs {
            let row = StoreRow("blob", blob.name)
            guard names.insert(blob.name).inserted else { throw .invalid(row, reason: "the name is used twice") }
            guard StateBlob.byteCount(shape: blob.shape, type: blob.type) == blob.bytes.count else {
                throw .invalid(
                    row, reason: "shape \(blob.shape) of \(blob.type.rawValue) does not take \(blob.bytes.count) bytes")
            }
            let hashes = Self.ranges(byteCount: blob.bytes.count).map { Self.digest(of: blob.bytes, in: $0) }
            chunks.append(hashes)
            entries.append(
                StateManifest.Blob(
                    name: blob.name, type: blob.type.rawValue, shape: blob.shape, chunks: hashes.map(\.hex)))
        }
        self.blobs = blobs
        self.chunks = chunks
        manifest = try StateManifest(blobs: entries).encoded()
        digest = SHA256Digest(of: manifest)
        byteCount = blobs.reduce(0) { $0 + $1.bytes.count }
    }

    /// Where a blob of `byteCount` bytes is cut.
    static func ranges(byteCount: Int) -> [Range<Int>] {
        stride(from: 0, to: byteCount, by: StateManifest.chunkBytes).map {
            $0..<min($0 + StateManifest.chunkBytes, byteCount)
        }
    }

    private static func digest(of bytes: Data, in range: Range<Int>) -> SHA256Digest {
        bytes.withUnsafeBytes { SHA256Digest(of: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
}
