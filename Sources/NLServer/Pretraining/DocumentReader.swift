import Foundation

/// The documents of a text file.
///
/// JSON lines: one object a line, whose `text` is the document. Plain text: the file is one document, unless it has
/// lines that say `<|endoftext|>`, which separate documents (as TinyStories does). Empty documents are left out.
struct DocumentReader {
    static let separator = Array("<|endoftext|>".utf8)
    let file: TextFile

    init(path: String) { file = TextFile(path: path) }

    private struct Line: Decodable {
        let text: String
    }

    /// Calls `body` with one document after the other, until it returns false.
    ///
    /// - Throws: ``PretrainingError`` naming the file and the place for what is not UTF-8 or not JSON with a `text`.
    func forEach(_ body: (String) throws -> Bool) throws {
        var lines = Lines()
        var goesOn = true
        let decoder = JSONDecoder()
        var document: [UInt8] = []
        var documentStart = 0

        func finishDocument() throws {
            defer { document.removeAll(keepingCapacity: true) }
            let text = try text(document, at: documentStart)
            if text.contains(where: { !$0.isWhitespace }) { goesOn = try body(text) }
        }
        func take(_ line: ArraySlice<UInt8>, _ start: Int, _ number: Int) throws {
            if file.isJSONLines {
                guard line.contains(where: { $0 > 0x20 }) else { return }
                _ = try text(line, at: start)
                let text: String
                do {
                    text = try decoder.decode(Line.self, from: Data(line)).text
                } catch {
                    throw PretrainingError(
                        "\(file.path), line \(number) (byte \(start)): not a JSON object with a string \"text\"")
                }
                if text.contains(where: { !$0.isWhitespace }) { goesOn = try body(text) }
            } else if line.elementsEqual(Self.separator) {
                try finishDocument()
                documentStart = start + line.count + 1
            } else {
                document += line
                document.append(UInt8(ascii: "\n"))
            }
        }

        try file.read { piece in
            try lines.split(piece) { line, start, number in
                if goesOn { try take(line, start, number) }
            }
            return goesOn
        }
        if goesOn, let rest = lines.rest { try take(rest.line, rest.start, rest.number) }
        if goesOn && !file.isJSONLines { try finishDocument() }
    }

    private func text(_ bytes: some Collection<UInt8>, at start: Int) throws -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        // The longest valid prefix ends where the damage begins.
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var offset = start
        scan: while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): offset += UTF8.width(scalar)
            case .emptyInput, .error: break scan
            }
        }
        throw PretrainingError(
            "\(file.path): not UTF-8 at byte \(offset) (of the unpacked text); convert it with iconv first")
    }
}

/// Cuts a stream of bytes at line feeds, and knows where each line began.
private struct Lines {
    private var pending: [UInt8] = []
    private var pendingStart = 0
    private var number = 1

    mutating func split(_ piece: Data, _ body: (ArraySlice<UInt8>, _ start: Int, _ number: Int) throws -> Void) rethrows
    {
        // Only what is new is searched: a line may be many pieces long.
        var searchFrom = pending.count
        pending += piece
        var lineStart = 0
        while let end = pending[searchFrom...].firstIndex(of: UInt8(ascii: "\n")) {
            try body(pending[lineStart..<end], pendingStart + lineStart, number)
            number += 1
            lineStart = end + 1
            searchFrom = lineStart
        }
        pending.removeFirst(lineStart)
        pendingStart += lineStart
    }

    /// The last line, when no line feed ends it.
    var rest: (line: ArraySlice<UInt8>, start: Int, number: Int)? {
        pending.isEmpty ? nil : (pending[...], pendingStart, number)
    }
}
