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

    init(path: String) throws(SystemError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .last("open") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .last("fstat") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SystemError(operation: "open", code: EISDIR) }
        let count = Int(status.st_size)
        // An empty mapping is an error to mmap, an empty file is one to whoever parses it.
        guard count > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw .last("mmap")
        }
        bytes = UnsafeRawBufferPointer(start: start, count: count)
    }

    /// Calls `body` with the bytes, which stay mapped until it returns.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        // Without this the mapping may be gone after the last use of `self`, before the last use of its bytes.
        withExtendedLifetime(self) { body(bytes) }
    }

    deinit {
        if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
    }
}
