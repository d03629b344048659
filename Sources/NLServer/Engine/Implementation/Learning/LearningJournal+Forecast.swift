import Foundation

// What a space's schedules will do, for those who look.

extension LearningJournal {
    /// See ``ModelEngine/consolidationForecast(space:)``.
    func forecast(of space: String, priority: ServingPriority) -> ConsolidationForecast {
        let standing = signals.standing(of: space)
        var forecast = ConsolidationForecast(
            isQueued: signals.isConsolidating(space), documentsWaiting: standing.unconsolidated,
            documentsUntried: standing.untried)
        guard !configuration.isReadOnly else { return forecast }
        let now = ConsolidationSchedule.Now()
        forecast.schedules = schedule.settings.map { trigger, setting in
            let due = schedule.due(trigger, standing, lastRequest: priority.lastRequest, now: now)
            return .init(
                trigger: trigger, setting: setting,
                due: due.map { now.date + now.instant.duration(to: $0.moment).seconds })
        }
        return forecast
    }

    /// When a space consolidates next, in words.
    func nextConsolidation(of space: String, priority: ServingPriority) -> String {
        if signals.queuedConsolidation(of: space) != nil { return "at consolidation: one is queued" }
        if configuration.isReadOnly { return "never: the daemon is read-only" }
        let forecast = forecast(of: space, priority: priority)
        if let next = forecast.next, let due = next.due {
            return "at consolidation, \(next.trigger.rawValue): \(due.formatted(.iso8601))"
        }
        let missing = schedule.fill - forecast.documentsUntried
        guard schedule.fill > 0, forecast.documentsUntried > 0 else { return "at consolidation" }
        return "at consolidation, medium_full: after \(missing) more documents"
    }
}
