import Foundation
import Logging

/// Writes log lines to standard error: one JSON object a line, or the same as text.
///
///     {"level":"info","logger":"nlserver","message":"request","method":"POST",…,"time":"2026-…Z"}
///     2026-… info nlserver: request method=POST route=/v1/completions status=200
struct StructuredLogHandler: LogHandler {
    enum Format: String, Sendable, CaseIterable { case text, json }

    let label: String
    let format: Format
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    /// Where lines go; tests listen here.
    var write: @Sendable (String) -> Void = { line in
        // One write call a line: lines of different threads do not mix.
        FileHandle.standardError.write(Data(line.utf8))
    }

    init(label: String, format: Format, logLevel: Logger.Level) {
        self.label = label
        self.format = format
        self.logLevel = logLevel
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        if let error = event.error { all[LogKey.error] = .string("\(error)") }
        let time = Date().formatted(WireJSON.timestamp)
        switch format {
        case .json: write(json(event, time: time, all))
        case .text: write(text(event, time: time, all))
        }
    }

    private func json(_ event: LogEvent, time: String, _ metadata: Logger.Metadata) -> String {
        var fields = metadata.mapValues(Self.value)
        fields["time"] = .string(time)
        fields["level"] = .string(event.level.rawValue)
        fields["logger"] = .string(label)
        fields["message"] = .string("\(event.message)")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = (try? encoder.encode(JSONValue.object(fields))).map { String(decoding: $0, as: UTF8.self) }
        return (line ?? "{}") + "\n"
    }

    private func text(_ event: LogEvent, time: String, _ metadata: Logger.Metadata) -> String {
        let fields = metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.quoted("\($0.value)"))" }
        // A line break in a message must not forge a second line.
        let message = "\(event.message)".replacing("\n", with: "\\n")
        return "\(time) \(event.level.rawValue) \(label): \(message)\(fields.joined())\n"
    }

    private static func quoted(_ value: String) -> String {
        guard value.isEmpty || value.contains(where: { $0 == " " || $0 == "\"" || $0.isNewline }) else { return value }
        return "\"" + value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            + "\""
    }

    private static func value(_ metadata: Logger.Metadata.Value) -> JSONValue {
        switch metadata {
        case .string(let text): .string(text)
        case .stringConvertible(let number as Int): .integer(number)
        case .stringConvertible(let number as Double) where number.isFinite: .number(number)
        case .stringConvertible(let value): .string("\(value)")
        case .array(let values): .array(values.map(value))
        case .dictionary(let values): .object(values.mapValues(value))
        }
    }
}
