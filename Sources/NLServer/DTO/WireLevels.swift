import Foundation

struct WireSurprise: Encodable, Sendable {
    @Nullable var last: Double?
    @Nullable var mean: Double?
}

struct WireSlots: Encodable, Sendable {
    var used: Int
    var capacity: Int
}

struct WireLevel: Encodable, Sendable {
    var name: String
    var kind: String
    var owner: String
    var adapts: [String]
    var chunkSize: Int
    var parameters: Int
    var tokensRead: Int
    var pendingTokens: Int
    var updates: Int
    @Nullable var lastUpdate: Date?
    var deltaNorm: Double
    var relativeDrift: Double
    var surprise: WireSurprise
    @Nullable var optimizer: String?
    @Nullable var learningRate: Double?
    @Nullable var momentum: Double?
    var nextDue: String
    var bytes: Int
    @Nullable var slots: WireSlots?

    init(_ record: LevelRecord) {
        name = record.name
        kind = record.kind.rawValue
        owner = record.owner.rawValue
        adapts = record.adapts
        chunkSize = record.chunkSize
        parameters = record.parameterCount
        tokensRead = record.tokensRead
        pendingTokens = record.pendingTokens
        updates = record.updates
        lastUpdate = record.lastUpdate
        deltaNorm = record.deltaNorm
        relativeDrift = record.relativeDrift
        surprise = WireSurprise(last: record.lastSurprise, mean: record.meanSurprise)
        optimizer = record.optimizer
        learningRate = record.learningRate
        momentum = record.momentum
        nextDue = record.nextDue
        bytes = record.byteCount
        slots = record.slots.map { WireSlots(used: $0.used, capacity: $0.capacity) }
    }
}

struct WireLevels: Encodable, Sendable {
    var space: String
    @Nullable var session: String?
    var generation: Int
    /// Seconds since the generation was published.
    var age: Double
    var levels: [WireLevel]

    init(_ report: LevelsReport) {
        space = report.space
        session = report.session
        generation = report.generation
        age = report.age.seconds
        levels = report.levels.map(WireLevel.init)
    }
}

struct WireLevelHistoryEntry: Encodable, Sendable {
    var generation: Int
    var created: Date
    @Nullable var jobId: String?
    var updates: Int
    var tokensRead: Int
    var deltaNorm: Double
    var relativeDrift: Double
    @Nullable var meanSurprise: Double?
    @Nullable var bytes: Int?

    init(_ entry: LevelHistoryEntry) {
        generation = entry.generation
        created = entry.created
        jobId = entry.jobID
        updates = entry.updates
        tokensRead = entry.tokensRead
        deltaNorm = entry.deltaNorm
        relativeDrift = entry.relativeDrift
        meanSurprise = entry.meanSurprise
        bytes = entry.byteCount
    }
}
