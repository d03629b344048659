import Foundation
import Glibc

/// Replaces `url` by `data` so that a crash leaves the old file or the new one: written beside it, synced, renamed.
func writeDurably(_ data: Data, to url: URL) throws {
    let temporary = url.path + ".partial"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw systemFailure("create", temporary) }
    defer { close(descriptor) }
    try data.withUnsafeBytes { try writeAll($0, to: descriptor, temporary) }
    guard fsync(descriptor) == 0 else { throw systemFailure("sync", temporary) }
    guard rename(temporary, url.path) == 0 else { throw systemFailure("rename", url.path) }
    try syncDirectory(url.deletingLastPathComponent())
}

/// Writes every byte, or throws with the system's reason (a full disk among them).
func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ path: String) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
        let written = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if written < 0 && errno == EINTR { continue }
        guard written >= 0 else { throw systemFailure("write", path) }
        rest = rest.dropFirst(written)
    }
}

/// Makes renames in a directory survive a power failure.
func syncDirectory(_ url: URL) throws {
    let descriptor = open(url.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw systemFailure("open", url.path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw systemFailure("sync", url.path) }
}

/// The failure that `errno` holds now, in the system's words.
func systemFailure(_ operation: String, _ path: String) -> PretrainingError {
    PretrainingError("can't \(operation) \(path): \(String(cString: strerror(errno)))")
}
