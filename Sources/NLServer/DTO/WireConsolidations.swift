import Foundation

/// One of the schedules by which a space consolidates.
struct WireConsolidationSchedule: Encodable, Sendable {
    var trigger: String
    var setting: String
    @Nullable var due: Date?

    init(_ schedule: ConsolidationForecast.Schedule) {
        trigger = schedule.trigger.rawValue
        setting = schedule.setting
        due = schedule.due
    }
}

/// What comes without being asked for.
struct WireConsolidationForecast: Encodable, Sendable {
    var queued: Bool
    var documentsWaiting: Int
    var documentsUntried: Int
    @Nullable var due: Date?
    @Nullable var trigger: String?
    var schedules: [WireConsolidationSchedule]

    init(_ forecast: ConsolidationForecast) {
        queued = forecast.isQueued
        documentsWaiting = forecast.documentsWaiting
        documentsUntried = forecast.documentsUntried
        due = forecast.next?.due
        trigger = forecast.next?.trigger.rawValue
        schedules = forecast.schedules.map(WireConsolidationSchedule.init)
    }
}

/// `GET /v1/memory/consolidations`: a page of the log, and what comes next.
struct WireConsolidations: Encodable, Sendable {
    let object = "list"
    var data: [WireConsolidation]
    var hasMore: Bool
    @Nullable var next: String?
    var forecast: WireConsolidationForecast

    init(_ page: Page<ConsolidationRecord>, _ forecast: ConsolidationForecast) {
        let list = WireList(page, cursor: \.id, WireConsolidation.init)
        (data, hasMore, next) = (list.data, list.hasMore, list.next)
        self.forecast = WireConsolidationForecast(forecast)
    }
}
