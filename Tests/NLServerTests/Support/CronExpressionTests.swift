import Foundation
import Testing

@testable import NLServer

/// Times as cron writes them; what is compared with was worked out with a calendar.
@Suite struct CronExpressionTests {
    private func next(_ text: String, after date: String, count: Int = 1) throws -> [String] {
        let cron = try CronExpression(text)
        var date = try Date(date, strategy: .iso8601)
        return (0..<count).map { _ in
            date = cron.next(after: date)
            return date.formatted(.iso8601)
        }
    }

    @Test(arguments: [
        // The minute itself is over when it has begun.
        ("30 3 * * *", "2026-11-24T03:30:00Z", ["2026-11-25T03:30:00Z"]),
        ("30 3 * * *", "2026-11-24T03:29:59Z", ["2026-11-24T03:30:00Z"]),
        ("*/20 * * * *", "2026-12-31T23:35:00Z", ["2026-12-31T23:40:00Z", "2027-01-01T00:00:00Z"]),
        (
            "0 8-18/5,23 * * *", "2026-01-01T09:00:00Z",
            ["2026-01-01T13:00:00Z", "2026-01-01T18:00:00Z", "2026-01-01T23:00:00Z"]
        ),
        // Months without a 31st are passed over.
        ("0 0 31 * *", "2026-01-31T00:00:00Z", ["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("0 0 29 2 *", "2097-01-01T00:00:00Z", ["2104-02-29T00:00:00Z"]),  // 2100 is no leap year
        ("15 12 1 JAN,jul *", "2026-01-01T12:15:00Z", ["2026-07-01T12:15:00Z", "2027-01-01T12:15:00Z"]),
        // 24 November 2026 is a Tuesday.
        ("0 4 * * mon-fri", "2026-11-27T05:00:00Z", ["2026-11-30T04:00:00Z"]),
        ("0 4 * * 7", "2026-11-24T00:00:00Z", ["2026-11-29T04:00:00Z"]),
        ("0 4 * * 0", "2026-11-24T00:00:00Z", ["2026-11-29T04:00:00Z"]),
        ("0 4 * * 6-7", "2026-11-24T00:00:00Z", ["2026-11-28T04:00:00Z", "2026-11-29T04:00:00Z"]),
        // Both days given: either. One of them beginning with *: both.
        ("0 0 13 * fri", "2026-11-13T00:00:00Z", ["2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z"]),
        ("0 0 13 * fri", "2026-12-11T00:00:00Z", ["2026-12-13T00:00:00Z"]),
        ("0 0 */2 * tue", "2026-11-24T00:00:00Z", ["2026-12-01T00:00:00Z", "2026-12-15T00:00:00Z"]),
        ("0 0 30 2 mon", "2026-11-24T00:00:00Z", ["2027-02-01T00:00:00Z"]),
        ("59 23 31 12 *", "1969-12-31T23:58:00Z", ["1969-12-31T23:59:00Z"]),
    ])
    func comesWhenACalendarSays(text: String, after date: String, expected: [String]) throws {
        #expect(try next(text, after: date, count: expected.count) == expected)
    }

    /// Every day of 30 years, against Foundation's calendar.
    @Test func agreesWithTheCalendar() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let cron = try CronExpression("7 5 1,15,28-31 * wed")
        var found = try Date("1999-12-31T00:00:00Z", strategy: .iso8601)
        let end = try Date("2030-01-01T00:00:00Z", strategy: .iso8601)
        var expected: [Date] = []
        var day = found
        while day < end {
            let parts = calendar.dateComponents([.day, .weekday], from: day)
            let isDay = [1, 15, 28, 29, 30, 31].contains(parts.day) || parts.weekday == 4
            if isDay { expected.append(day + Double(5 * 60 + 7) * 60) }
            day += 86_400
        }
        for date in expected {
            found = cron.next(after: found)
            #expect(found == date)
        }
    }

    @Test(arguments: [
        ("30 3 * *", "4 fields"), ("@daily", "1 fields"), ("", "0 fields"), ("60 * * * *", "minute: '60'"),
        ("* 24 * * *", "hour: '24' is not from 0 to 23"), ("* * 0 * *", "day of the month: '0'"),
        ("* * 32 * *", "day of the month: '32'"), ("* * * 13 *", "month: '13'"), ("* * * foo *", "one of jan, feb"),
        ("* * * * 8", "day of the week: '8'"), ("* * * * funday", "one of sun, mon"),
        ("5-1 * * * *", "minute: '5-1' ends before"), ("*/0 * * * *", "the step '0'"), ("*/-1 * * * *", "the step"),
        ("5/10 * * * *", "a step follows"), ("1,,2 * * * *", "empty or broken"), ("1/2/3 * * * *", "empty or broken"),
        ("-1 * * * *", "minute: ''"), ("1-2-3 * * * *", "no range"), ("* +1 * * *", "hour: '+1'"),
        ("٣ * * * *", "minute: '٣'"),
        ("0 0 31 feb *", "'31' comes in no month of 'feb'"), ("0 0 30 2 *", "comes in no month"),
        ("0 0 31 2,4,6,9,11 *", "comes in no month"), ("0 0 30,31 2 */2", "comes in no month"),
    ])
    func whatIsWrongIsNamed(text: String, reason: String) throws {
        let error = #expect(throws: CronError.self) { try CronExpression(text) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test func isWrittenAsItWasRead() throws {
        #expect(try CronExpression("  30 3\t* JAN  Mon ").description == "30 3 * jan mon")
        #expect(try CronExpression("30 3 * jan mon") == CronExpression("30 3 * JAN mon"))
    }
}
