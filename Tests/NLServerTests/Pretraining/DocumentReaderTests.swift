import Foundation
import Glibc
import NLCore
import Testing

@testable import NLServer

/// Every form of text file, and every way it can be wrong.
@Suite struct DocumentReaderTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func documents(_ path: String) throws -> [String] {
        var result: [String] = []
        try DocumentReader(path: path).forEach {
            result.append($0)
            return true
        }
        return result
    }

    private func message(_ path: String) -> String {
        do {
            return "no error, \(try documents(path).count) documents"
        } catch {
            return "\(error)"
        }
    }

    @Test func jsonLinesGiveTheirTexts() throws {
        let path = try folder.write(
            "a.jsonl", "{\"id\": 1, \"text\": \"one\\ntwo\"}\n\n{\"text\": \" \"}\n{\"text\": \"\u{1F30A}\"}")
        #expect(try documents(path) == ["one\ntwo", "\u{1F30A}"])
    }

    @Test func plainTextIsOneDocumentOrSeparated() throws {
        #expect(try documents(folder.write("a.txt", "one\n\ntwo")) == ["one\n\ntwo\n"])
        let separated = try folder.write("b.txt", "one\n<|endoftext|>\n<|endoftext|>\ntwo\nthree\n")
        #expect(try documents(separated) == ["one\n", "two\nthree\n"])
    }

    @Test(arguments: ["gzip", "xz"]) func compressedFilesAreUnpacked(program: String) throws {
        // Longer than one piece, and more left after the first line than a pipe holds.
        let line = "{\"text\": \"\(String(repeating: "long ", count: 300_000))\"}\n"
        let path = try folder.write("a.jsonl", line + line + line + "{\"text\": \"short\"}\n")
        let process = try Process.run(URL(filePath: "/usr/bin/env"), arguments: [program, path])
        process.waitUntilExit()
        let packed = path + (program == "gzip" ? ".gz" : ".xz")
        #expect(try documents(packed).map(\.utf8.count) == [1_500_000, 1_500_000, 1_500_000, 5])

        // Stopping early leaves no error and nobody waiting, even on a thread whose signals are blocked, as those of
        // dispatch are and the programs they start.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &before)
        var first: [String] = []
        try DocumentReader(path: packed).forEach {
            first.append($0)
            return false
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
        #expect(first.count == 1)

        // Damage is reported.
        let bytes = try Data(contentsOf: URL(filePath: packed))
        try bytes.prefix(bytes.count / 2).write(to: URL(filePath: packed))
        #expect(message(packed).hasPrefix(packed + ": "))
    }

    @Test func aMissingProgramIsNamed() async throws {
        let path = try folder.write("a.txt.xz", "x")
        await #expect(processExitsWith: .exitCode(7)) { [path = path as String] in
            setenv("PATH", "/nonexistent", 1)
            do {
                try DocumentReader(path: path).forEach { _ in true }
            } catch {
                Glibc.exit("\(error)".contains("xz-utils") ? 7 : 8)
            }
        }
    }

    @Test func whatIsNotUTF8IsNamedWithItsPlace() throws {
        let text = folder.url.appending(path: "a.txt")
        try (Data("first\n<|endoftext|>\n\u{E9}t".utf8) + Data([0xFF, 0x41])).write(to: text)
        #expect(message(text.path).contains("a.txt: not UTF-8 at byte 23"))
        let lines = folder.url.appending(path: "a.jsonl")
        try (Data("{\"text\": \"x\"}\n{\"text\": \"".utf8) + Data([0xC3, 0x28])).write(to: lines)
        #expect(message(lines.path).contains("a.jsonl: not UTF-8 at byte 24"))
    }

    @Test(arguments: ["[1]", "{\"title\": \"x\"}", "{\"text\": 3}", "{\"text\": \"x\"", "text"])
    func aLineThatIsNoDocumentIsNamed(line: String) throws {
        let path = try folder.write("a.jsonl", "{\"text\": \"x\"}\n\n\(line)\n")
        #expect(message(path).contains("a.jsonl, line 3 (byte 15)"))
    }

    @Test func aMissingFileIsNamed() {
        #expect(message(folder.path("none.txt")).contains("none.txt: no such file"))
    }
}
