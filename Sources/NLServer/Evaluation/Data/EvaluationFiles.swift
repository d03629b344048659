import Foundation

/// The data sets of an evaluation: where each lies in the data directory, and how its file is read.
struct EvaluationFiles: Sendable {
    /// The directory that holds a folder for each set.
    var directory: String?
    /// Read instead of the set's own file.
    var file: String?

    /// The whole of a set's file, unpacked.
    ///
    /// - Parameters:
    ///   - name: below the directory, as `tofu/forget10.jsonl.gz`.
    ///   - isMain: whether `file` stands for it.
    /// - Throws: ``EvaluationError``, ``PretrainingError`` naming the file.
    func data(_ name: String, isMain: Bool = true) throws -> Data {
        var data = Data()
        try TextFile(path: path(name, isMain: isMain)).read { piece in
            data += piece
            return true
        }
        return data
    }

    /// A set that is one JSON value.
    func json<Value: Decodable>(_ name: String, as type: Value.Type = Value.self, isMain: Bool = true) throws -> Value {
        try decode(data(name, isMain: isMain), place: path(name, isMain: isMain))
    }

    /// A set that is one JSON object a line.
    func jsonLines<Value: Decodable>(_ name: String, as type: Value.Type = Value.self) throws -> [Value] {
        let place = try path(name, isMain: true)
        return try data(name).split(separator: UInt8(ascii: "\n")).enumerated().map { index, line in
            try decode(Data(line), place: "\(place), line \(index + 1)")
        }
    }

    /// A set that is a table with a header.
    func table(_ name: String, isMain: Bool = true) throws -> [[String: String]] {
        let rows = CommaSeparated.rows(try data(name, isMain: isMain))
        guard let header = rows.first else { return [] }
        return rows.dropFirst().map { Dictionary(zip(header, $0)) { first, _ in first } }
    }

    private func path(_ name: String, isMain: Bool) throws -> String {
        if isMain, let file { return file }
        guard let directory else {
            throw EvaluationError("give --data DIR, the directory that holds \(name), or --file FILE")
        }
        return "\(directory)/\(name)"
    }

    private func decode<Value: Decodable>(_ data: Data, place: String) throws -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: data)
        } catch let error as DecodingError {
            throw EvaluationError("\(place): not in the form of this set: \(Self.words(error))")
        }
    }

    private static func words(_ error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String { path.map(\.stringValue).joined(separator: ".") }
        return switch error {
        case .keyNotFound(let key, let context): "\"\(place(context.codingPath + [key]))\" is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            "\"\(place(context.codingPath))\": \(context.debugDescription)"
        @unknown default: "\(error)"
        }
    }
}

/// Comma-separated values (RFC 4180): quoted fields may hold commas, line breaks and doubled quotes.
enum CommaSeparated {
    static func rows(_ data: Data) -> [[String]] {
        let (comma, quote, feed) = (UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\n"))
        var rows: [[String]] = []
        var (row, field): ([String], [UInt8]) = ([], [])
        var isQuoted = false
        var bytes = data[...]
        func endField() {
            row.append(String(decoding: field, as: UTF8.self))
            field = []
        }
        func endRow() {
            if !isQuoted && field.last == UInt8(ascii: "\r") { field.removeLast() }
            if row.isEmpty && field.isEmpty { return }
            endField()
            rows.append(row)
            row = []
        }
        while let byte = bytes.popFirst() {
            switch byte {
            case quote where isQuoted && bytes.first == quote:
                field.append(quote)
                bytes.removeFirst()
            case quote: isQuoted.toggle()
            case comma where !isQuoted: endField()
            case feed where !isQuoted: endRow()
            default: field.append(byte)
            }
        }
        endRow()
        return rows
    }
}
