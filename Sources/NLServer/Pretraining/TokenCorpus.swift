import Foundation
import Glibc
import NLCore
import Store

/// The training text as tokens, prepared once and kept beside the checkpoints.
///
/// `tokens.bin` holds every document in the order of the sources: BOS, its tokens, EOS; two bytes a token where the
/// vocabulary has at most 65,536, else four, little-endian. `documents.bin` holds where each one ends, in tokens, as
/// UInt64. `corpus.json` is written last and says what they were made of, so a preparation cut short is begun anew.
final class TokenCorpus {
    /// What the files were made of.
    struct Manifest: Codable, Equatable {
        struct Source: Codable, Equatable {
            let path: String
            let bytes: Int
        }
        var sources: [Source]
        var tokenizer: String
        var bytesPerToken: Int
        var documents = 0
        var tokens = 0
        var textBytes = 0
        var sha256 = ""
    }

    let manifest: Manifest
    /// Where each document ends, in tokens; ascending.
    let documentEnds: [Int]
    private let bytes: UnsafeRawBufferPointer

    /// Opens the prepared corpus of a directory.
    init(directory: URL) throws {
        let manifest = try JSONDecoder().decode(
            Manifest.self, from: Data(contentsOf: directory.appending(path: "corpus.json")))
        let ends = try Data(contentsOf: directory.appending(path: "documents.bin"))
        let path = directory.appending(path: "tokens.bin").path
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemFailure("open", path) }
        defer { close(descriptor) }
        var status = stat()
        let length = manifest.tokens * manifest.bytesPerToken
        guard fstat(descriptor, &status) == 0, Int(status.st_size) == length, ends.count == manifest.documents * 8
        else {
            throw PretrainingError("\(directory.path) is incomplete; delete it, and it will be prepared again")
        }
        guard let start = mmap(nil, length, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw systemFailure("map", path)
        }
        let mapped = UnsafeRawBufferPointer(start: start, count: length)
        guard SHA256Digest(of: mapped).hex == manifest.sha256 else {
            munmap(start, length)
            throw PretrainingError("\(path) is damaged; delete it, and it will be prepared again")
        }
        self.manifest = manifest
        documentEnds = ends.withUnsafeBytes { raw in
            (0..<manifest.documents).map {
                Int(UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)))
            }
        }
        bytes = mapped
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }

    /// One token.
    subscript(position: Int) -> Int32 {
        if manifest.bytesPerToken == 2 {
            return Int32(UInt16(littleEndian: bytes.load(fromByteOffset: position * 2, as: UInt16.self)))
        }
        return Int32(bitPattern: UInt32(littleEndian: bytes.load(fromByteOffset: position * 4, as: UInt32.self)))
    }

    /// The tokens of one document, BOS and EOS included.
    func range(ofDocument index: Int) -> Range<Int> {
        (index == 0 ? 0 : documentEnds[index - 1])..<documentEnds[index]
    }

    /// Opens the corpus of a directory if it was made of the same sources by the same tokenizer, else prepares it.
    static func prepared(
        in directory: URL, sources: [String], tokenizer: Tokenizer, tokenizerDigest: String, bos: Int, eos: Int,
        note: (String) -> Void
    ) throws -> TokenCorpus {
        var manifest = Manifest(
            sources: try sources.map { Manifest.Source(path: $0, bytes: try size(of: $0)) }, tokenizer: tokenizerDigest,
            bytesPerToken: tokenizer.vocabularySize <= 1 << 16 ? 2 : 4)
        if let found = try? TokenCorpus(directory: directory),
            found.manifest.sources == manifest.sources && found.manifest.tokenizer == manifest.tokenizer
        {
            return found
        }
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try? FileManager.default.removeItem(at: directory.appending(path: "corpus.json"))
        var writer = try TokenWriter(
            path: directory.appending(path: "tokens.bin").path, wide: manifest.bytesPerToken == 4)
        var ends: [UInt64] = []
        var lastNote = ContinuousClock.now
        for (index, path) in sources.enumerated() {
            let documentsBefore = ends.count
            try DocumentReader(path: path).forEach { text in
                let tokens = tokenizer.encode(text, parseSpecialTokens: false)
                try writer.append(bos)
                try writer.append(contentsOf: tokens)
                try writer.append(eos)
                manifest.textBytes += text.utf8.count
                ends.append(UInt64(writer.count).littleEndian)
                if lastNote.duration(to: .now) > .seconds(5) {
                    lastNote = .now
                    note(
                        "preparing \(path) (\(index + 1) of \(sources.count)): \(ends.count) documents, \(writer.count) tokens"
                    )
                }
                return true
            }
            guard ends.count > documentsBefore else { throw PretrainingError("\(path): holds no text") }
        }
        manifest.documents = ends.count
        manifest.tokens = writer.count
        manifest.sha256 = try writer.finish().hex
        try writeDurably(ends.withUnsafeBytes { Data($0) }, to: directory.appending(path: "documents.bin"))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try writeDurably(try encoder.encode(manifest), to: directory.appending(path: "corpus.json"))
        note(
            "prepared \(manifest.documents) documents, \(manifest.tokens) tokens of \(manifest.textBytes) bytes of text"
        )
        return try TokenCorpus(directory: directory)
    }

    private static func size(of path: String) throws -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard let size = attributes?[.size] as? Int else { throw PretrainingError("\(path): no such file") }
        guard size > 0 else { throw PretrainingError("\(path): is empty") }
        return size
    }
}

/// Appends tokens to a file through a buffer, and hashes them on the way.
private struct TokenWriter: ~Copyable {
    private let path: String
    private let descriptor: Int32
    private let wide: Bool
    private var buffer: [UInt8] = []
    private var hasher = SHA256Hasher()
    private(set) var count = 0

    init(path: String, wide: Bool) throws {
        self.path = path
        self.wide = wide
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw systemFailure("create", path) }
    }

    mutating func append(_ token: Int) throws {
        buffer.append(UInt8(truncatingIfNeeded: token))
        buffer.append(UInt8(truncatingIfNeeded: token >> 8))
        if wide {
            buffer.append(UInt8(truncatingIfNeeded: token >> 16))
            buffer.append(UInt8(truncatingIfNeeded: token >> 24))
        }
        count += 1
        if buffer.count >= 1 << 20 { try flush() }
    }

    mutating func append(contentsOf tokens: [Int]) throws {
        for token in tokens { try append(token) }
    }

    private mutating func flush() throws {
        try buffer.withUnsafeBytes { bytes in
            hasher.update(bytes)
            try writeAll(bytes, to: descriptor, path)
        }
        buffer.removeAll(keepingCapacity: true)
    }

    consuming func finish() throws -> SHA256Digest {
        try flush()
        guard fsync(descriptor) == 0 else { throw systemFailure("sync", path) }
        close(descriptor)
        return hasher.finalize()
    }
}
