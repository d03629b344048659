import Glibc

/// Replaces a file so that a crash at any moment leaves the whole old one or the whole new one.
///
/// The new bytes go to a temporary file in the same directory, which is synced, renamed over the target, and the
/// directory synced: without the last step the rename itself may be lost with the power.
struct AtomicFile: ~Copyable {
    private let path: String
    private let temporaryPath: String
    private let descriptor: Int32
    private var isFinished = false

    /// Begins a replacement of `path`; nothing is visible there until `commit`.
    init(replacing path: String) throws(SystemError) {
        self.path = path
        temporaryPath = path + ".partial-" + String(UInt64.random(in: .min ... .max), radix: 36)
        // The umask decides who else may read it, as for any file.
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .last("create \(temporaryPath)") }
    }

    /// Appends `bytes`.
    func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written < 0 {
                if errno == EINTR { continue }
                throw .last("write \(temporaryPath)")
            }
            rest = rest.dropFirst(written)
        }
    }

    /// Makes the new bytes durable and visible under the target's name.
    consuming func commit() throws(SystemError) {
        guard fsync(descriptor) == 0 else { throw .last("fsync \(temporaryPath)") }
        guard rename(temporaryPath, path) == 0 else { throw .last("rename to \(path)") }
        isFinished = true
        let directory = path.contains("/") ? String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) + "/" : "."
        let handle = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw .last("open \(directory)") }
        defer { close(handle) }
        guard fsync(handle) == 0 else { throw .last("fsync \(directory)") }
    }

    deinit {
        close(descriptor)
        if !isFinished { unlink(temporaryPath) }
    }
}
