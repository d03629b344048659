extension Acquisition {
    /// Where the learning of a document is.
    public struct Position: Sendable, Codable {
        var phase: Phase
        var rehearsal: Rehearsal.Position
        var measurement: TextMeasurement.Position
        var baseLoss: Double
        var lossBefore: Double
        var target: Double
        var pass: Int
        var position: Int
        var passSum: Double
        var lastLoss: Double?
        var documentTokens: Int
        var learnedTokens: Int
        var rehearsalDebt: Double
        var learnedLoss: Double?
        var tooLittle: Float
        var enough: Float
        var settlingStep: Int
        var unknowable: Double
        /// Answers done, left out, and there are; nil where it was saved before there were any.
        var answers: [Int]?
    }

    /// The learning as it is between two steps.
    ///
    /// - Returns: nil in the middle of a text that attention reads, or of a window that is written into slots.
    public var saved: SavedWork<Position>? {
        if writer?.isInWindow == true { return nil }
        let position = Position(
            phase: phase, rehearsal: rehearsal.place, measurement: measurement.place, baseLoss: baseLoss,
            lossBefore: lossBefore, target: target, pass: pass, position: position, passSum: passSum,
            lastLoss: lastLoss, documentTokens: documentTokens, learnedTokens: learnedTokens,
            rehearsalDebt: rehearsalDebt, learnedLoss: learned?.loss, tooLittle: tooLittle, enough: enough,
            settlingStep: settlingStep, unknowable: unknowable,
            answers: [answersWritten, answersLeft, text.answers.count])
        guard
            let states = [String: [MixerState<Float>]](
                saving: ["text": states, "measurement": measurement.states])
        else { return nil }
        return SavedWork(
            position: position,
            levels: ["levels": levels.levels].merging(
                learned.map { ["learned": $0.levels.levels] } ?? [:]
            ) { $1 }, states: states)
    }

    /// Goes on where an acquisition of the same inputs was saved.
    ///
    /// - Throws: ``SavedWorkError``, and has not begun then.
    public mutating func resume(from saved: SavedWork<Position>) throws(SavedWorkError) {
        var resumed = self
        let place = saved.position
        try resumed.rehearsal.resume(from: place.rehearsal)
        try resumed.measurement.resume(from: place.measurement, states: saved.states["measurement"])
        resumed.levels = try saved.levels("levels", over: levels)
        if let loss = place.learnedLoss { resumed.learned = (try saved.levels("learned", over: levels), loss) }
        resumed.states = saved.states["text"]
        (resumed.phase, resumed.pass, resumed.position) = (place.phase, place.pass, place.position)
        (resumed.baseLoss, resumed.lossBefore, resumed.target) = (place.baseLoss, place.lossBefore, place.target)
        (resumed.passSum, resumed.lastLoss) = (place.passSum, place.lastLoss)
        (resumed.documentTokens, resumed.learnedTokens) = (place.documentTokens, place.learnedTokens)
        resumed.rehearsalDebt = place.rehearsalDebt
        (resumed.tooLittle, resumed.enough, resumed.settlingStep) = (place.tooLittle, place.enough, place.settlingStep)
        resumed.unknowable = place.unknowable
        let answers = place.answers ?? [0, 0, text.answers.count]
        guard answers.count == 3, answers[2] == text.answers.count, place.phase != .answering || answers[0] < answers[2]
        else { throw SavedWorkError(reason: "the text came with \(answers) answers") }
        (resumed.answersWritten, resumed.answersLeft) = (answers[0], answers[1])
        self = resumed
    }
}
