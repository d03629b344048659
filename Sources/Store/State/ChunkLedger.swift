import Synchronization

/// The chunks this process has written itself or read and found whole.
///
/// A new state shares chunks that are already there. Sharing one that has rotted since would damage the new
/// generation too, so a chunk that is not in the ledger is read and compared before it is shared, and written again
/// if it is damaged. Entries survive a rollback harmlessly: whether the row exists is always asked first.
final class ChunkLedger: Sendable {
    private let whole = Mutex<Set<SHA256Digest>>([])

    func contains(_ hash: SHA256Digest) -> Bool { whole.withLock { $0.contains(hash) } }

    func insert(_ hash: SHA256Digest) { whole.withLock { _ = $0.insert(hash) } }

    func remove(_ hash: SHA256Digest) { whole.withLock { _ = $0.remove(hash) } }
}
