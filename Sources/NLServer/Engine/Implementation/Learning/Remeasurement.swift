import NLCore

/// What is being measured again, and when more may be: a bounded number of tokens a minute, while nothing else is to
/// be done.
///
/// It only shapes time and reads levels: nothing that is learned depends on it.
struct Remeasurement {
    /// A document half measured. Its levels stay those it began with, so that a long document in a busy space is
    /// measured at all.
    struct Current {
        let space: String
        let document: String
        let generation: Int64
        let levels: SpaceLevels
        var measurement: TextMeasurement
    }

    /// Zero: never.
    let tokensPerMinute: Int
    var current: Current?
    /// Documents whose texts are damaged or give no finite loss, as `space/document`.
    var unmeasurable: Set<String> = []
    /// Spaces whose figures are not what the database says.
    var staleFigures: Set<String> = []
    /// Spaces with nothing to measure, until their levels change.
    private var finished: Set<String> = []
    private var allowed = ContinuousClock.now

    init(tokensPerMinute: Int) { self.tokensPerMinute = tokensPerMinute }

    /// When the next window may be read; nil if there is nothing to measure.
    private(set) var nextMoment: ContinuousClock.Instant?

    /// Whether a window may be read now; if not, notes when to ask again.
    mutating func mayRead(_ now: ContinuousClock.Instant = .now) -> Bool {
        nextMoment = allowed > now ? allowed : nil
        return tokensPerMinute > 0 && allowed <= now
    }

    /// Pays for tokens read.
    mutating func spend(_ tokens: Int, _ now: ContinuousClock.Instant = .now) {
        guard tokensPerMinute > 0 else { return }
        allowed = max(allowed, now) + .seconds(60 * Double(tokens) / Double(tokensPerMinute))
    }

    /// A new generation: documents are to be measured by it.
    mutating func levelsChanged(in space: String) {
        staleFigures.insert(space)
        finished.remove(space)
    }

    /// Nothing is left to measure in a space.
    mutating func noteFinished(_ space: String) { finished.insert(space) }

    func isFinished(_ space: String) -> Bool { finished.contains(space) }

    /// What was measured of a space is void: documents were taken out of it.
    mutating func drop(_ space: String) {
        if current?.space == space { current = nil }
        levelsChanged(in: space)
    }
}
