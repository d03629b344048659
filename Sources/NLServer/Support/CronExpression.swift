import Foundation

/// Moments of the wall clock, written as cron writes them: minute, hour, day of the month, month, day of the week.
///
/// A field is `*`, a number, a range `a-b`, either with a step (`*/15`, `8-18/2`), or a list of these; months and days
/// of the week may be named (`jan`, `mon`), and Sunday is 0 or 7. As in cron, a day has to fit both of its fields if
/// one of them begins with `*`, else either.
///
/// Times are UTC: there is no hour that comes twice a year or never, and a machine's time zone changes nothing.
struct CronExpression: Sendable, Hashable, CustomStringConvertible {
    /// One of the five fields.
    enum Field: String, CaseIterable, Sendable {
        case minute, hour
        case dayOfMonth = "day of the month"
        case month
        case dayOfWeek = "day of the week"

        var range: ClosedRange<Int> {
            switch self {
            case .minute: 0...59
            case .hour: 0...23
            case .dayOfMonth: 1...31
            case .month: 1...12
            case .dayOfWeek: 0...7
            }
        }

        /// Names, the first standing for the lowest value.
        var names: [String] {
            switch self {
            case .month:
                ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
            case .dayOfWeek: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
            default: []
            }
        }
    }

    /// Five fields with one blank between them.
    let description: String
    /// The accepted values of each field, as bits.
    private let values: [Field: UInt64]
    /// Whether a day has to fit both of its fields.
    private let needsBothDays: Bool

    /// - Throws: ``CronError`` naming the field.
    init(_ text: String) throws(CronError) {
        let parts = text.split(whereSeparator: \.isWhitespace).map { $0.lowercased() }
        guard parts.count == Field.allCases.count else {
            throw CronError(
                field: nil, reason: "has \(parts.count) fields; five are: \(Field.allCases.map(\.rawValue))")
        }
        description = parts.joined(separator: " ")
        var values: [Field: UInt64] = [:]
        for (field, part) in zip(Field.allCases, parts) { values[field] = try Self.parse(part, field) }
        self.values = values
        needsBothDays = parts[2].hasPrefix("*") || parts[4].hasPrefix("*")
        guard needsBothDays else { return }
        let isPossible = (1...12).contains { month in
            has(month, in: .month) && (1...Self.longest(month)).contains { has($0, in: .dayOfMonth) }
        }
        guard isPossible else {
            throw CronError(field: .dayOfMonth, reason: "'\(parts[2])' comes in no month of '\(parts[3])'")
        }
    }

    /// The first moment after another; whole minutes.
    func next(after date: Date) -> Date {
        let minute = Int((date.timeIntervalSince1970 / 60).rounded(.down)) + 1
        var day = Int((Double(minute) / 1440).rounded(.down))
        var start = minute - day * 1440
        // Every day that is possible comes within the 400 years after which the calendar repeats itself.
        while true {
            if fits(day: day), let found = (start..<1440).first(where: { fits(minuteOfDay: $0) }) {
                return Date(timeIntervalSince1970: Double(day * 1440 + found) * 60)
            }
            (day, start) = (day + 1, 0)
        }
    }

    private func has(_ value: Int, in field: Field) -> Bool { (values[field] ?? 0) & 1 << UInt64(value) != 0 }

    private func fits(minuteOfDay minute: Int) -> Bool {
        has(minute / 60, in: .hour) && has(minute % 60, in: .minute)
    }

    /// - Parameter day: counted from 1 January 1970, a Thursday.
    private func fits(day: Int) -> Bool {
        let (month, dayOfMonth) = Self.date(ofDay: day)
        guard has(month, in: .month) else { return false }
        let weekday = ((day + 4) % 7 + 7) % 7
        let (first, second) = (has(dayOfMonth, in: .dayOfMonth), has(weekday, in: .dayOfWeek))
        return needsBothDays ? first && second : first || second
    }

    /// Days of a month in a leap year.
    private static func longest(_ month: Int) -> Int {
        month == 2 ? 29 : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// Month and day of the month in the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms",
    /// `civil_from_days`: years that begin in March, in eras of 400).
    private static func date(ofDay day: Int) -> (month: Int, day: Int) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        return (month < 10 ? month + 3 : month - 9, dayOfYear - (153 * month + 2) / 5 + 1)
    }
}

extension CronExpression {
    private static func parse(_ text: String, _ field: Field) throws(CronError) -> UInt64 {
        var bits: UInt64 = 0
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = item.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard let span = parts.first, parts.count <= 2, !span.isEmpty else {
                throw CronError(field: field, reason: "'\(text)' has an empty or broken part")
            }
            let ends = span.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
            var range = field == .dayOfWeek ? 0...6 : field.range
            if span != "*" {
                guard ends.count <= 2 else { throw CronError(field: field, reason: "'\(span)' is no range a-b") }
                let first = try value(ends[0], field)
                let last = try ends.count == 2 ? value(ends[1], field) : first
                guard first <= last else { throw CronError(field: field, reason: "'\(span)' ends before it begins") }
                range = first...last
            }
            var step = 1
            if parts.count == 2 {
                guard span == "*" || ends.count == 2 else {
                    throw CronError(
                        field: field, reason: "'\(item)': a step follows * or a range, as in */15 or 8-18/2")
                }
                guard let given = Int(parts[1]), given >= 1, given <= field.range.upperBound else {
                    throw CronError(
                        field: field, reason: "the step '\(parts[1])' is not from 1 to \(field.range.upperBound)")
                }
                step = given
            }
            // Sunday has two numbers.
            for value in stride(from: range.lowerBound, through: range.upperBound, by: step) {
                bits |= 1 << UInt64(field == .dayOfWeek ? value % 7 : value)
            }
        }
        return bits
    }

    private static func value(_ text: String, _ field: Field) throws(CronError) -> Int {
        if let index = field.names.firstIndex(of: text) { return index + field.range.lowerBound }
        guard text.allSatisfy(\.isNumber), let value = Int(text), field.range.contains(value) else {
            let names = field.names.isEmpty ? "" : " or one of \(field.names.joined(separator: ", "))"
            throw CronError(
                field: field,
                reason: "'\(text)' is not from \(field.range.lowerBound) to \(field.range.upperBound)\(names)")
        }
        return value
    }
}

/// An expression that cron would not take, or whose day never comes.
struct CronError: Error, CustomStringConvertible {
    /// The field; nil where it is their number.
    let field: CronExpression.Field?
    let reason: String

    var description: String { field.map { "\($0.rawValue): \(reason)" } ?? "it \(reason)" }
}
