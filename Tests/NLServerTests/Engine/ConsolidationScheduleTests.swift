import Foundation
import Store
import Testing

@testable import NLServer

/// When a consolidation is due, as a function of what is known.
@Suite struct ConsolidationScheduleTests {
    private let start = ContinuousClock.now

    private func standing(unconsolidated: Int, untried: Int) -> ConsolidationSchedule.Standing {
        .init(unconsolidated: unconsolidated, untried: untried, lastTry: start, lastLearned: start + .seconds(10))
    }

    @Test func aConfigurationThatAsksForNoneGetsNone() {
        var configuration = EngineConfiguration(modelPath: "", databasePath: "")
        let many = standing(unconsolidated: 1_000, untried: 1_000)
        #expect(ConsolidationSchedule(configuration).next(many, lastRequest: start) == nil)
        configuration.consolidateFill = 1_000
        #expect(ConsolidationSchedule(configuration).next(many, lastRequest: start)?.trigger == .mediumFull)
    }

    @Test func nothingLearnedNothingDue() {
        let schedule = ConsolidationSchedule(every: .seconds(1), idle: .seconds(1), fill: 1)
        #expect(schedule.next(standing(unconsolidated: 0, untried: 0), lastRequest: start) == nil)
    }

    @Test func eachReasonHasItsMoment() throws {
        let some = standing(unconsolidated: 3, untried: 3)
        let every = try #require(ConsolidationSchedule(every: .seconds(60)).next(some, lastRequest: start))
        #expect((every.trigger, every.moment) == (.schedule, start + .seconds(60)))
        let idle = ConsolidationSchedule(idle: .seconds(5))
        #expect(idle.next(some, lastRequest: start)?.moment == start + .seconds(15))
        #expect(idle.next(some, lastRequest: start + .seconds(20))?.moment == start + .seconds(25))
        #expect(ConsolidationSchedule(fill: 4).next(some, lastRequest: start) == nil)
        #expect(ConsolidationSchedule(fill: 3).next(some, lastRequest: start)?.trigger == .mediumFull)
        let first = ConsolidationSchedule(every: .seconds(60), idle: .seconds(5)).next(some, lastRequest: start)
        #expect(first?.trigger == .idle)
    }

    /// What the gate rejected is tried again on schedule, not over and over.
    @Test func aRejectedAttemptIsNotRepeatedAtOnce() {
        let rejected = standing(unconsolidated: 3, untried: 0)
        #expect(ConsolidationSchedule(idle: .seconds(1), fill: 1).next(rejected, lastRequest: start) == nil)
        let oneMore = standing(unconsolidated: 4, untried: 1)
        #expect(ConsolidationSchedule(fill: 3).next(oneMore, lastRequest: start) == nil)
        #expect(ConsolidationSchedule(every: .seconds(1)).next(rejected, lastRequest: start)?.trigger == .schedule)
    }

    /// Cron's times are those of the wall clock, counted since something waits.
    @Test func cronGoesByTheWallClock() throws {
        let date = try Date("2026-03-01T12:00:00Z", strategy: .iso8601)
        let schedule = ConsolidationSchedule(at: try CronExpression("30 3 * * *"))
        let now = ConsolidationSchedule.Now(instant: start, date: date)
        var standing = ConsolidationSchedule.Standing()
        #expect(schedule.next(standing, lastRequest: start, now: now) == nil)
        standing.noteLearned(now)
        let due = try #require(schedule.next(standing, lastRequest: start, now: now))
        #expect(due.trigger == .cron && due.moment == start + .seconds(15.5 * 3600))
        // Set forward by a day, the clock has passed it; set back, it has longer to go.
        let forward = ConsolidationSchedule.Now(instant: start + .seconds(60), date: date + 86_460)
        #expect(try #require(schedule.next(standing, lastRequest: start, now: forward)).moment < forward.instant)
        let back = ConsolidationSchedule.Now(instant: start, date: date - 3600)
        #expect(schedule.next(standing, lastRequest: start, now: back)?.moment == start + .seconds(16.5 * 3600))
        // A later document does not put it off.
        standing.noteLearned(.init(instant: start + .seconds(3600), date: date + 86_400))
        #expect(try #require(schedule.next(standing, lastRequest: start, now: forward)).moment < forward.instant)
    }

    /// Days that were missed are one consolidation, not one each; a rejected one waits for the next time.
    @Test func aMissedTimeComesOnce() throws {
        let date = try Date("2026-03-01T12:00:00Z", strategy: .iso8601)
        let schedule = ConsolidationSchedule(at: try CronExpression("0 0 * * *"))
        var standing = ConsolidationSchedule.Standing()
        standing.noteLearned(.init(instant: start, date: date))
        let later = ConsolidationSchedule.Now(instant: start + .seconds(5 * 86_400), date: date + 5 * 86_400)
        #expect(try #require(schedule.next(standing, lastRequest: start, now: later)).moment < later.instant)
        standing.noteTried(isAdopted: false, later)
        let next = try #require(schedule.next(standing, lastRequest: start, now: later))
        #expect(next.moment == later.instant + .seconds(12 * 3600))
        standing.noteTried(isAdopted: true, later)
        #expect(schedule.next(standing, lastRequest: start, now: later) == nil)
    }
}

/// Schedules in a running engine: what they do, and what is told of them.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ScheduledConsolidationTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    /// A time of the clock that passed while the daemon was down is made up for, once.
    @Test func aTimeThatPassedWhileDownRunsAtStart() async throws {
        _ = try await home.run { engine async throws in try await engine.learn(Facts.all[0]) }
        let learned = try home.withStore { store in
            try store.read {
                try $0.document(
                    space: "default", id: #require($0.journal(space: "default", before: .max).first).document)?.learned
            }
        }
        // Until the minute in which it was learned is over.
        let rest = 60 - (try #require(learned)).timeIntervalSince1970.truncatingRemainder(dividingBy: 60)
        let passed = Date().timeIntervalSince(try #require(learned))
        try await Task.sleep(for: .seconds(max(rest - passed, 0) + 0.1))
        let at = try CronExpression("* * * * *")
        try await home.run({ $0.consolidateAt = at }) { engine async throws in
            let started = Date()
            try await eventually {
                try await engine.consolidations(space: "default", page: PageRequest()).items.first?.verdict != nil
            }
            let records = try await engine.consolidations(space: "default", page: PageRequest()).items
            #expect(records.map(\.trigger) == [.cron])
            #expect(records[0].started.timeIntervalSince(started) < 30)
            // The job ends on disk a moment before its schedule hears of it.
            try await eventually {
                let forecast = try await engine.consolidationForecast(space: "default")
                return forecast.documentsWaiting == 0 && forecast.next == nil
            }
        }
    }

    @Test func whatIsDueNextIsTold() async throws {
        let at = try CronExpression("0 0 29 2 *")
        try await home.run({
            ($0.consolidateEvery, $0.consolidateFill, $0.consolidateAt) = (.seconds(7200), 2, at)
        }) { engine async throws in
            var forecast = try await engine.consolidationForecast(space: "default")
            #expect(forecast.next == nil && forecast.schedules.map(\.due) == [nil, nil, nil])
            try await engine.learn(Facts.all[0])
            forecast = try await engine.consolidationForecast(space: "default")
            #expect(forecast.documentsWaiting == 1)
            #expect(forecast.schedules.map(\.setting) == ["7200.0s", "0 0 29 2 *", "2 documents"])
            #expect(forecast.next?.trigger == .schedule)
            let due = try #require(forecast.next?.due)
            #expect((3600...7200).contains(due.timeIntervalSinceNow))
            #expect(try #require(forecast.schedules[1].due) > due)
            let slow = try await engine.levels(space: "default", session: nil).levels.first { $0.name == "slow" }
            #expect(slow?.nextDue.hasPrefix("at consolidation, schedule: 20") == true)
            // The second document fills the level.
            try await engine.learn(Facts.all[1])
            try await eventually {
                try await engine.consolidations(space: "default", page: PageRequest()).items.first?.verdict != nil
            }
            let record = try await engine.consolidations(space: "default", page: PageRequest()).items.first
            #expect(record?.trigger == .mediumFull && record?.documentCount == 2)
            await #expect(throws: EngineError.notFound(.space, id: "x")) {
                try await engine.consolidationForecast(space: "x")
            }
        }
    }

    /// What somebody cancelled does not come back by itself before the next time.
    @Test func aCancelledConsolidationIsNotQueuedAgainAtOnce() async throws {
        try await home.run({ $0.consolidateFill = 1_000 }) { engine async throws in
            try await engine.learn(Facts.all[0])
            let busy = try await engine.accept(Facts.long())
            try await eventually { try await engine.job(busy.job.id).status == .running }
            let waiting = try await engine.consolidate(space: "default")
            #expect(try await engine.consolidationForecast(space: "default").isQueued)
            _ = try await engine.cancelJob(waiting.id)
            let forecast = try await engine.consolidationForecast(space: "default")
            #expect(!forecast.isQueued && forecast.documentsUntried == 0 && forecast.documentsWaiting == 1)
            _ = try await engine.cancelJob(busy.job.id)
        }
    }
}
