extension Consolidation {
    /// Where a consolidation is.
    public struct Position: Sendable, Codable {
        struct Adoptable: Sendable, Codable {
            var after: Losses
            var documents: [Double]
            var passes: Int
        }

        var phase: Phase
        var rehearsal: Rehearsal.Position
        var random: SeededRandom
        var measurement: TextMeasurement.Position
        var base: Losses
        var target: Double
        var adoptable: Adoptable?
        var before: Losses
        var beforeDocuments: [Double]
        var order: [Int]
        var position: Int
        var windowStart: Int
        var passSum: Double
        var pass: Int
        var tokens: Int
        var rehearsalDebt: Double
    }

    /// The consolidation as it is between two steps: the candidate with its optimizer's moments, and the last one
    /// that may be adopted.
    ///
    /// - Returns: nil in the middle of a text that attention reads.
    public var saved: SavedWork<Position>? {
        let position = Position(
            phase: phase, rehearsal: rehearsal.place, random: random, measurement: measurement.place, base: base,
            target: target,
            adoptable: adoptable.map { .init(after: $0.after, documents: $0.documents, passes: $0.passes) },
            before: before, beforeDocuments: beforeDocuments, order: order, position: position,
            windowStart: windowStart, passSum: passSum, pass: pass, tokens: tokens, rehearsalDebt: rehearsalDebt)
        guard
            let states = [String: [MixerState<Float>]](
                saving: ["text": states, "measurement": measurement.states])
        else { return nil }
        return SavedWork(
            position: position,
            levels: ["candidate": levels.levels].merging(
                adoptable.map { ["adoptable": $0.levels.levels] } ?? [:]
            ) { $1 }, states: states)
    }

    /// Goes on where a consolidation of the same inputs was saved.
    ///
    /// - Throws: ``SavedWorkError``, and has not begun then.
    public mutating func resume(from saved: SavedWork<Position>) throws(SavedWorkError) {
        var resumed = self
        let place = saved.position
        guard place.order.count == new.count else {
            throw SavedWorkError(reason: "it was of \(place.order.count) documents")
        }
        try resumed.rehearsal.resume(from: place.rehearsal)
        try resumed.measurement.resume(from: place.measurement, states: saved.states["measurement"])
        resumed.levels = try saved.levels("candidate", over: levels)
        if let adoptable = place.adoptable {
            let levels = try saved.levels("adoptable", over: levels)
            resumed.adoptable = (levels, adoptable.after, adoptable.documents, adoptable.passes)
        }
        resumed.states = saved.states["text"]
        (resumed.phase, resumed.random, resumed.base, resumed.target) =
            (place.phase, place.random, place.base, place.target)
        (resumed.before, resumed.beforeDocuments) = (place.before, place.beforeDocuments)
        (resumed.order, resumed.position, resumed.windowStart) = (place.order, place.position, place.windowStart)
        (resumed.passSum, resumed.pass, resumed.tokens) = (place.passSum, place.pass, place.tokens)
        resumed.rehearsalDebt = place.rehearsalDebt
        self = resumed
    }
}
