import Glibc

/// A call into the operating system that failed.
struct SystemError: Error {
    let operation: String
    let code: Int32

    /// The failure of `operation` that `errno` holds now.
    static func last(_ operation: String) -> SystemError { SystemError(operation: operation, code: errno) }
}

/// The operating system's words for an `errno`.
func systemErrorMessage(_ code: Int32) -> String {
    String(cString: strerror(code))
}

/// A file's bytes, read-only, paged in by the kernel on use.
///
/// `@unchecked Sendable`: nobody writes the bytes.
final class FileMapping: @unchecked Sendable {
    private let bytes: UnsafeRawBufferPointer
    private let descriptor: Int32
    private let modified: timespec

    /// The first byte, valid as long as this is; nil if there is none.
    var start: UnsafeRawPointer? { bytes.baseAddress }

    /// Whether the file has the size and the time of its opening. One that was renamed over it is another file.
    var isUnchanged: Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && Int(status.st_size) == bytes.count
            && status.st_mtim.tv_sec == modified.tv_sec && status.st_mtim.tv_nsec == modified.tv_nsec
    }

    init(path: String) throws(SystemError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .last("open") }
        do throws(SystemError) {
            (bytes, modified) = try Self.map(descriptor)
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    private static func map(_ descriptor: Int32) throws(SystemError) -> (UnsafeRawBufferPointer, timespec) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .last("fstat") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SystemError(operation: "open", code: EISDIR) }
        let count = Int(status.st_size)
        // An empty mapping is an error to mmap, an empty file is one to whoever parses it.
        guard count > 0 else { return (UnsafeRawBufferPointer(start: nil, count: 0), status.st_mtim) }
        guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw .last("mmap")
        }
        return (UnsafeRawBufferPointer(start: start, count: count), status.st_mtim)
    }

    /// Calls `body` with the bytes, which stay mapped until it returns.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        // Without this the mapping may be gone after the last use of `self`, before the last use of its bytes.
        withExtendedLifetime(self) { body(bytes) }
    }

    deinit {
        if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
        close(descriptor)
    }
}
