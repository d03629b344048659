/// When a space consolidates by itself: after an interval, when nobody is asking, when enough was learned.
struct ConsolidationSchedule: Sendable {
    typealias Trigger = ConsolidationRecord.Trigger

    /// Documents that fill the medium level: under a steady stream no idle moment may come for long.
    static let filling = 64

    /// Zero: never by interval.
    var every: Duration
    /// Zero: never when idle.
    var idle: Duration
    /// Documents; 0: never by number.
    var fill: Int

    /// The schedule a configuration asks for; one that asks for none gets none.
    init(_ configuration: EngineConfiguration) {
        self.init(every: configuration.consolidateEvery, idle: configuration.consolidateIdle)
        if every > .zero || idle > .zero { fill = Self.filling }
    }

    init(every: Duration = .zero, idle: Duration = .zero, fill: Int = 0) {
        self.every = every
        self.idle = idle
        self.fill = fill
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
    }

    /// The next consolidation that nobody has to ask for.
    struct Due: Sendable {
        var trigger: Trigger
        var moment: ContinuousClock.Instant
    }

    /// What comes first; nil if nothing will, as things stand.
    func next(_ standing: Standing, lastRequest: ContinuousClock.Instant) -> Due? {
        guard standing.unconsolidated > 0 else { return nil }
        var due: [Due] = []
        if fill > 0, standing.untried >= fill {
            due.append(Due(trigger: .mediumFull, moment: standing.lastLearned))
        }
        if every > .zero { due.append(Due(trigger: .schedule, moment: standing.lastTry + every)) }
        if idle > .zero, standing.untried > 0 {
            due.append(Due(trigger: .idle, moment: max(lastRequest, standing.lastLearned) + idle))
        }
        return due.min { $0.moment < $1.moment }
    }
}
