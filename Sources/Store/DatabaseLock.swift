import Foundation
import Synchronization

/// Keeps two daemons off one database: an advisory lock (flock) on `<database>.lock`, which holds the owner's
/// process id.
///
/// A side file, because SQLite's own locks are POSIX record locks on the database file, and closing *any* other
/// descriptor of that file would silently release them. The kernel drops the lock when the process ends, however
/// it ends; the file stays, since removing it would race with the next opener.
final class DatabaseLock: Sendable {
    private let descriptor: Mutex<Int32?>

    /// - Throws: ``StoreError/alreadyOpen(path:pid:)`` when somebody holds it, ``StoreError/cannotOpen(path:reason:)``
    ///   or ``StoreError/readOnly(_:)`` when the file cannot be made.
    init(databasePath path: String) throws(StoreError) {
        let lockPath = path + ".lock"
        let descriptor = Glibc.open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.openFailure(path: lockPath, errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            let owner = Self.owner(readFrom: descriptor)
            Glibc.close(descriptor)
            if reason == EWOULDBLOCK { throw .alreadyOpen(path: path, pid: owner) }
            throw .cannotOpen(path: lockPath, reason: String(cString: strerror(reason)))
        }
        let text = "\(getpid())\n"
        // The process id is a courtesy to whoever is refused; a full disk must not stop us from opening.
        if ftruncate(descriptor, 0) == 0 {
            _ = text.withCString { pwrite(descriptor, $0, strlen($0), 0) }
        }
        self.descriptor = Mutex(descriptor)
    }

    /// Lets the next opener in. Idempotent.
    func release() {
        descriptor.withLock {
            if let open = $0 {
                // Unlocked by word, not by closing alone: a child that is being started at this moment holds a copy of
                // the descriptor until its exec.
                flock(open, LOCK_UN)
                Glibc.close(open)
            }
            $0 = nil
        }
    }

    deinit { release() }

    /// What `open(2)` answered, as an error of ours.
    static func openFailure(path: String, errno code: Int32) -> StoreError {
        switch code {
        case EROFS, EACCES, EPERM: .readOnly(StoreRow("file", path))
        case ENOSPC, EDQUOT: .diskFull(StoreRow("file", path))
        default: .cannotOpen(path: path, reason: String(cString: strerror(code)))
        }
    }

    private static func owner(readFrom descriptor: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return nil }
        let text = String(decoding: bytes[..<count], as: UTF8.self)
        return Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
