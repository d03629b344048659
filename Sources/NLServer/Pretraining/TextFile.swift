import Foundation
import Glibc

/// The bytes of a text file in order, decompressed on the way when its name ends in `.gz` or `.xz`.
///
/// Decompression is the system's `gzip` and `xz`, read through a pipe: they are on every Debian, and a file that is
/// damaged is reported in their words.
struct TextFile {
    let path: String

    /// The program that decompresses the file, nil if none is needed.
    var decompressor: String? {
        if path.hasSuffix(".gz") { return "gzip" }
        if path.hasSuffix(".xz") { return "xz" }
        return nil
    }

    /// Whether the file is JSON lines rather than plain text.
    var isJSONLines: Bool {
        var name = path[...]
        if decompressor != nil { name = name.dropLast(3) }
        return name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson")
    }

    /// Calls `body` with successive pieces of the file, until it returns false.
    func read(_ body: (Data) throws -> Bool) throws {
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw PretrainingError("\(path): no such file, or it may not be read")
        }
        guard let decompressor else {
            guard let handle = FileHandle(forReadingAtPath: path) else {
                throw PretrainingError("\(path): can't be opened")
            }
            defer { try? handle.close() }
            try pump(handle, body)
            return
        }
        let process = Process()
        process.executableURL = try program(decompressor)
        process.arguments = ["-dc", "--", path]
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let isWhole: Bool
        do {
            isWhole = try pump(output.fileHandleForReading, body)
        } catch {
            abandon(process)
            throw error
        }
        if !isWhole { return abandon(process) }
        let message = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if process.terminationStatus != 0 {
            throw PretrainingError("\(path): \(message.trimmingCharacters(in: .whitespacesAndNewlines))")
        }
    }

    /// Ends a process whose output is not wanted any more.
    ///
    /// It inherits the signal mask of the thread that started it, which on a dispatch thread blocks SIGTERM, and it may
    /// be waiting for room in the pipe for ever: only SIGKILL is sure to reach it.
    private func abandon(_ process: Process) {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Returns whether the end was reached.
    @discardableResult
    private func pump(_ handle: FileHandle, _ body: (Data) throws -> Bool) throws -> Bool {
        while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty {
            if try !body(piece) { return false }
        }
        return true
    }

    private func program(_ name: String) throws -> URL {
        let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        for directory in directories {
            let candidate = "\(directory)/\(name)"
            if FileManager.default.isExecutableFile(atPath: candidate) { return URL(filePath: candidate) }
        }
        let package = name == "xz" ? "xz-utils" : name
        throw PretrainingError(
            "\(path): reading it needs the program \"\(name)\": apt-get install \(package), or unpack it first")
    }
}
