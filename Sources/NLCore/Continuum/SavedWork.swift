/// A piece of learning in its middle: with the inputs it began with it goes on from here as if it had never stopped.
///
/// What the inputs give again (texts, settings, the levels before the first window) is not in it.
public struct SavedWork<Position: Codable & Sendable>: Sendable {
    /// Where the work is, in numbers.
    public var position: Position
    /// Levels by what they are to the work, those of a space in their order.
    public var levels: [String: [LevelState]]
    /// The memories of texts that are being read, by what reads them.
    public var states: [String: [MixerState<Float>]]

    /// Work from its parts.
    public init(position: Position, levels: [String: [LevelState]], states: [String: [MixerState<Float>]]) {
        self.position = position
        self.levels = levels
        self.states = states
    }

    /// Levels over a base.
    ///
    /// - Throws: ``SavedWorkError`` where there are none of that name.
    func levels(_ name: String, over space: SpaceLevels) throws(SavedWorkError) -> SpaceLevels {
        guard let found = levels[name], found.map(\.definition) == space.levels.map(\.definition) else {
            throw SavedWorkError(reason: "it lacks the levels \"\(name)\"")
        }
        return SpaceLevels(space.configuration, base: space.base, levels: found)
    }
}

extension [String: [MixerState<Float>]] {
    /// States that are there, if they can be stored.
    ///
    /// - Returns: nil where they are caches of attention, which are stored only between texts.
    init?(saving states: [String: [MixerState<Float>]?]) {
        self = states.compactMapValues(\.self)
        guard values.joined().allSatisfy({ $0.titans != nil }) else { return nil }
    }
}

/// Saved work that does not fit the inputs it is to go on with.
public struct SavedWorkError: Error, Sendable, CustomStringConvertible {
    /// What does not fit.
    public let reason: String
    /// The reason.
    public var description: String { "saved work cannot go on: \(reason)" }
}

extension Rehearsal {
    /// What has been drawn.
    struct Position: Sendable, Codable {
        var random: SeededRandom
        var drawsAnchor: Bool
        /// Numbers of texts there are to draw from.
        var texts: [Int]
    }

    var place: Position {
        Position(random: random, drawsAnchor: drawsAnchor, texts: [journal.count, anchors.count])
    }

    mutating func resume(from place: Position) throws(SavedWorkError) {
        guard place.texts == [journal.count, anchors.count] else {
            throw SavedWorkError(reason: "there were \(place.texts) texts to rehearse")
        }
        (random, drawsAnchor) = (place.random, place.drawsAnchor)
    }
}

extension TextMeasurement {
    /// How far a measurement is, but for the memories of the text that is being read.
    struct Position: Sendable, Codable {
        var index: Int
        var position: Int
        var sum: Double
        var losses: [Double]
        var tokenCount: Int
        /// Lengths of the texts.
        var lengths: [Int]
    }

    var place: Position {
        Position(
            index: index, position: position, sum: sum, losses: losses, tokenCount: tokenCount,
            lengths: texts.map(\.tokenCount))
    }

    mutating func resume(from place: Position, states: [MixerState<Float>]?) throws(SavedWorkError) {
        guard place.lengths == texts.map(\.tokenCount) else {
            throw SavedWorkError(reason: "it measured other texts")
        }
        (index, position, sum) = (place.index, place.position, place.sum)
        (losses, tokenCount, self.states) = (place.losses, place.tokenCount, states)
    }
}
