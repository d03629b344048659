import Foundation

/// When a space consolidates by itself: after an interval, at times of the clock, when nobody is asking, when enough
/// was learned. Nothing is due while nothing waits to be consolidated.
struct ConsolidationSchedule: Sendable {
    typealias Trigger = ConsolidationRecord.Trigger

    /// Zero: never by interval.
    var every: Duration
    /// Nil: never by the clock.
    var at: CronExpression?
    /// Zero: never when idle.
    var idle: Duration
    /// Documents that fill the medium level: under a steady stream no idle moment may come for long. 0: never.
    var fill: Int

    /// The schedule a configuration asks for.
    init(_ configuration: EngineConfiguration) {
        self.init(
            every: configuration.consolidateEvery, at: configuration.consolidateAt,
            idle: configuration.consolidateIdle, fill: configuration.consolidateFill)
    }

    init(every: Duration = .zero, at: CronExpression? = nil, idle: Duration = .zero, fill: Int = 0) {
        (self.every, self.at, self.idle, self.fill) = (every, at, idle, fill)
    }

    /// One moment by both clocks: intervals are counted by one that nobody sets, cron's times by the one on the wall.
    struct Now: Sendable {
        var instant = ContinuousClock.now
        var date = Date()
    }

    /// What the decision rests on.
    struct Standing: Sendable {
        /// Documents learned since the last adopted consolidation.
        var unconsolidated = 0
        /// Of those, documents learned since the last one was tried: what was rejected is not tried again at once.
        var untried = 0
        /// When the last one ended, or the space was first seen.
        var lastTry = ContinuousClock.now
        /// When the last document was learned.
        var lastLearned = ContinuousClock.now
        /// Since when something has waited that no try has come to since: a time of the clock that passes from here
        /// on counts, also while the daemon is down.
        var waitingSince = Date()

        /// A document was learned.
        mutating func noteLearned(_ now: Now = Now()) {
            if unconsolidated == 0 { waitingSince = now.date }
            unconsolidated += 1
            untried += 1
            lastLearned = now.instant
        }

        /// A consolidation ended, however it ended.
        mutating func noteTried(isAdopted: Bool, _ now: Now = Now()) {
            untried = 0
            if isAdopted { unconsolidated = 0 }
            lastTry = now.instant
            waitingSince = now.date
        }
    }

    /// A consolidation that nobody has to ask for.
    struct Due: Sendable {
        var trigger: Trigger
        var moment: ContinuousClock.Instant
    }

    /// What comes first; nil if nothing will, as things stand.
    func next(_ standing: Standing, lastRequest: ContinuousClock.Instant, now: Now = Now()) -> Due? {
        // Of two that are overdue the older is the cause.
        Trigger.allCases.compactMap { due($0, standing, lastRequest: lastRequest, now: now) }
            .min { $0.moment < $1.moment }
    }

    /// When one of the schedules is due; nil if it will not be, as things stand.
    func due(
        _ trigger: Trigger, _ standing: Standing, lastRequest: ContinuousClock.Instant, now: Now = Now()
    ) -> Due? {
        guard standing.unconsolidated > 0 else { return nil }
        let moment: ContinuousClock.Instant? =
            switch trigger {
            case .manual: nil
            case .schedule: every > .zero ? standing.lastTry + every : nil
            case .cron:
                at.map { cron in
                    let wait = cron.next(after: standing.waitingSince).timeIntervalSince(now.date)
                    return now.instant + .seconds(wait)
                }
            case .idle:
                idle > .zero && standing.untried > 0 ? max(lastRequest, standing.lastLearned) + idle : nil
            case .mediumFull: fill > 0 && standing.untried >= fill ? standing.lastLearned : nil
            }
        return moment.map { Due(trigger: trigger, moment: $0) }
    }

    /// The schedules in force, each with its setting as a user would write it.
    var settings: [(trigger: Trigger, setting: String)] {
        var found: [(Trigger, String)] = []
        if every > .zero { found.append((.schedule, "\(every.seconds)s")) }
        if let at { found.append((.cron, at.description)) }
        if idle > .zero { found.append((.idle, "\(idle.seconds)s")) }
        if fill > 0 { found.append((.mediumFull, "\(fill) documents")) }
        return found
    }
}
