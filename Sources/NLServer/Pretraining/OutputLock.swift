import Foundation
import Glibc

/// Keeps two runs from writing to one directory. The kernel drops it with the process, however that ends.
struct OutputLock {
    private let descriptor: Int32

    /// - Throws: ``PretrainingError`` if another process holds it.
    init(_ directory: URL) throws {
        let path = directory.appending(path: ".lock").path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw systemFailure("create", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw PretrainingError("\(directory.path): another pretraining run is writing there")
        }
    }

    func release() { close(descriptor) }
}
