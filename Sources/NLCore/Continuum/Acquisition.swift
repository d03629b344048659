/// Learns one document into the acquisition levels of a space (design §3, "Acquire").
///
/// The document is read in windows, forward and backward, pass after pass, with rehearsed windows between, until its
/// loss reaches its target or the passes are used up. Then it settles: of what the document added to Δθ only the
/// share is kept that still holds it at its target. What gradient steps overdid goes first, and with it most of what
/// learning costs everything else (interpolation between a model and its fine-tuned form: Wortsman et al. 2022).
///
/// Every document begins with a fresh optimizer: moments gathered on another one point where that one wanted to go.
/// One call of ``step()`` reads one window, so that serving can come between. The outcome is a pure function of the
/// levels, the text, the rehearsal and the settings.
public struct Acquisition: Sendable {
    /// How a document is learned.
    public struct Settings: Sendable, Hashable, Codable {
        /// Tokens of a window; a multiple of C_p.
        public var windowSize = 256
        /// Most passes over a document.
        public var maximumPasses = 128
        /// Target for a short document, in nats a token: it must come back word for word.
        public var shortTarget = 0.1
        /// Target for a long one, as a share of its loss by the untouched base.
        public var longTargetShare = 0.68
        /// A document of at most this many tokens is short.
        public var shortLength = 128
        /// A document of at least this many tokens is long; between the two, targets are interpolated.
        public var longLength = 1000
        /// Passes go on until the loss is this share of the target, so that there is something to settle.
        public var overshoot = 0.85
        /// How often settling halves the range in which the share to be kept is sought; 0 settles nothing.
        public var settlingSteps = 4
        /// Tokens rehearsed for each token read, half journal, half anchors.
        public var rehearsalRatio = 1.0
        /// Slots there might be when it was learned first: learned again, it must find no more room. Nil: as many as
        /// the configuration says.
        public var slotCapacity: Int?
        /// What dense products are multiplied in, if not in f32. A part of what is learned: done again, it is done in
        /// the same. Nil, not f32, where nothing is said, so that what was learned before there was a choice is the same.
        public var precision: ProductPrecision?
        /// Whether the answers that come with a text are learned too (``LearningText/answers``); nil, not, where nothing
        /// is said, as before there was a choice.
        public var answers: Bool?
        /// Tokens of the longest text whose answers are learned; nil where it was below 1,000, before there was a choice.
        public var longestAnswered: Int?

        /// The defaults.
        public init() {}

        /// Whether the answers of a text are learned too.
        public func learnsAnswers(ofTextOf tokenCount: Int) -> Bool {
            answers == true && tokenCount <= longestAnswered ?? 999
        }

        /// The loss a document is to reach, in nats a token.
        public func target(tokenCount: Int, baseLoss: Double) -> Double {
            let long = longTargetShare * baseLoss
            let span = Double(max(longLength - shortLength, 1))
            let position = min(max(Double(tokenCount - shortLength) / span, 0), 1)
            // A base that knows the text already may ask for less than the short target.
            return max(shortTarget + (long - shortTarget) * position, min(shortTarget, long))
        }
    }

    /// What a step did.
    public enum Event: Sendable, Hashable {
        /// A window was read.
        case progress(Progress)
        /// The document is learned as well as it will be.
        case finished(Outcome)
    }

    /// How far the learning is.
    public struct Progress: Sendable, Hashable, Codable {
        /// The pass, from 1; 0 while the base's loss is measured.
        public var pass: Int
        /// Tokens of the document read so far, all passes together.
        public var tokens: Int
        /// Mean loss of the last whole pass, in nats a token; the base's before the first.
        public var loss: Double?
        /// The loss to be reached.
        public var target: Double?
        /// How much of the work is done at most, 0 to 1.
        public var fraction: Double
        /// Mean loss of each chunk of 64 tokens of the window just read: where the document surprises.
        public var surprise: [Float]
    }

    /// How the learning ended.
    public struct Outcome: Sendable, Hashable, Codable {
        /// Loss by the untouched base, in nats a token.
        public var baseLoss: Double
        /// Loss before the first pass.
        public var lossBefore: Double
        /// Loss when learned, measured with learning off.
        public var loss: Double
        /// The loss that was to be reached.
        public var target: Double
        /// Whether it was.
        public var targetReached: Bool
        /// Passes made.
        public var passes: Int
        /// Tokens learned from, those rehearsed included.
        public var tokens: Int
        /// Answers that came with the document and were left out: there was no room for them, they could not be learned,
        /// or were said already.
        public var answersLeft = 0
    }

    enum Phase: String, Sendable, Codable { case base, before, writing, answering, learning, after, settling, finished }

    /// The levels as learned so far.
    public internal(set) var levels: SpaceLevels
    private let settings: Settings
    let text: LearningText
    private let window: LearningWindow
    private let trained: Set<String>
    var rehearsal: Rehearsal
    var measurement: TextMeasurement
    var phase = Phase.base
    var baseLoss = 0.0
    var lossBefore = 0.0
    var target = 0.0
    var pass = 0
    var position = 0
    var states: [MixerState<Float>]?
    var passSum = 0.0
    var lastLoss: Double?
    var documentTokens = 0
    var learnedTokens = 0
    var rehearsalDebt = 0.0
    /// The levels without the document, and with all that was learned of it.
    private let original: SpaceLevels
    var learned: (levels: SpaceLevels, loss: Double)?
    /// While settling: the largest share known to be too little, the smallest known to be enough, the one being tried.
    var tooLittle: Float = 0
    var enough: Float = 1
    var settlingStep = 0
    /// Writes the document into slots, where a level has them.
    var writer: SlotWriter?
    /// Answers that are done, and those of them that were left out.
    var answersWritten = 0
    var answersLeft = 0
    /// Σ of the losses of its tokens that slots cannot know, in nats.
    var unknowable = 0.0
    /// The number of the document among those in slots.
    private let episode: Int

    /// A document about to be learned.
    public init(_ text: LearningText, into levels: SpaceLevels, rehearsal: Rehearsal, settings: Settings) {
        self.text = text
        var levels = levels
        levels.forgetMoments(of: .acquisition)
        self.levels = levels
        original = levels
        self.rehearsal = rehearsal
        self.settings = settings
        episode = levels.nextEpisode
        window = LearningWindow(levels.configuration, precision: settings.precision ?? .f32)
        trained = levels.trainedTensors(of: .acquisition)
        measurement = TextMeasurement([text], settings, of: levels)
    }

    /// Reads one window.
    ///
    /// - Throws: ``NumericsError``; the levels are then those of before the window, and the learning can't go on.
    public mutating func step() throws(NumericsError) -> Event {
        switch phase {
        case .base:
            guard let loss = try measure(levels.base) else { break }
            baseLoss = loss
            target = settings.target(tokenCount: text.tokenCount, baseLoss: baseLoss)
            phase = .before
        case .before:
            guard let loss = try measure(levels.effective) else { break }
            (lossBefore, lastLoss) = (loss, loss)
            let isLearned = loss <= target || settings.maximumPasses == 0
            let hasSlots = levels.slotLink(of: .acquisition) != nil
            phase = isLearned ? hasSlots ? afterWriting : .after : hasSlots ? .writing : .learning
            pass = isLearned ? 0 : 1
        case .writing: return .progress(try writeWindow())
        case .answering: try writeAnswers()
        case .learning:
            return .progress(try learnWindow())
        case .after:
            guard let loss = try measure(levels.effective) else { break }
            lastLoss = loss
            if pass > 0 && loss > target * settings.overshoot && pass < settings.maximumPasses && !trained.isEmpty {
                (phase, pass) = (.learning, pass + 1)
                break
            }
            guard pass > 0 && loss <= target && settings.settlingSteps > 0 && !trained.isEmpty else {
                return finish(loss)
            }
            phase = .settling
            learned = (levels, loss)
            tryShare()
        case .settling:
            guard let loss = try measure(levels.effective) else { break }
            if let settled = settle(loss) { return finish(settled) }
        case .finished: preconditionFailure("the document is learned already")
        }
        return .progress(progress(surprise: []))
    }

    private mutating func finish(_ loss: Double) -> Event {
        phase = .finished
        levels.forgetMoments(of: .acquisition)
        return .finished(
            Outcome(
                baseLoss: baseLoss, lossBefore: lossBefore, loss: loss, target: target, targetReached: loss <= target,
                passes: pass, tokens: learnedTokens, answersLeft: answersLeft))
    }

    private var share: Float { (tooLittle + enough) / 2 }

    private mutating func tryShare() {
        guard let learned else { return }
        levels = learned.levels
        levels.withdraw(.acquisition, to: share, since: original)
    }

    /// Takes the document's loss by the share that was tried, and tries the next.
    ///
    /// - Returns: the document's loss when the smallest share that is enough is found.
    private mutating func settle(_ loss: Double) -> Double? {
        settlingStep += 1
        if loss <= target {
            enough = share
            learned?.loss = loss
        } else {
            tooLittle = share
        }
        if settlingStep < settings.settlingSteps {
            tryShare()
            return nil
        }
        guard let learned else { return loss }
        levels = learned.levels
        if enough < 1 { levels.withdraw(.acquisition, to: enough, since: original) }
        lastLoss = learned.loss
        return learned.loss
    }

    /// One more window of a measurement; the loss when it is complete.
    private mutating func measure(_ parameters: ParameterSet<Float>) throws(NumericsError) -> Double? {
        try measurement.step(parameters: parameters)
        guard measurement.isFinished, let loss = measurement.losses.first else { return nil }
        measurement = TextMeasurement([text], settings, of: levels)
        return loss
    }

    /// One window into slots, or a few steps on it.
    private mutating func writeWindow() throws(NumericsError) -> Progress {
        let range = position..<min(position + settings.windowSize, text.tokenCount)
        prepareWriter()
        let written = try writer?.step(text, range, states: states, levels: &levels)
        guard let written else { return progress(surprise: []) }
        unknowable += written.unknowable
        learnedTokens += range.count
        documentTokens += range.count
        (states, position) = (written.states, range.upperBound)
        if position == text.tokenCount {
            (phase, position, states) = (afterWriting, 0, nil)
            target += unknowable / Double(text.tokenCount)
        }
        return progress(surprise: chunks(written.losses))
    }

    private var learnsAnswers: Bool { settings.answers == true && !text.answers.isEmpty }

    private var afterWriting: Phase {
        learnsAnswers && settings.maximumPasses > 0 ? .answering : .after
    }

    private mutating func prepareWriter() {
        if writer != nil { return }
        writer = SlotWriter(original, text: text, episode: episode, target: target, settings: settings)
    }

    /// Some answers into slots, or a few steps on them.
    private mutating func writeAnswers() throws(NumericsError) {
        prepareWriter()
        guard let written = try writer?.write(text.answers, from: answersWritten, levels: &levels) else { return }
        learnedTokens += written.tokens
        answersWritten += written.done
        answersLeft += written.left
        if answersWritten == text.answers.count { phase = .after }
    }

    private func chunks(_ losses: [Float]) -> [Float] {
        stride(from: 0, to: losses.count, by: 64).map { start in
            let chunk = losses[start..<min(start + 64, losses.count)]
            return chunk.reduce(0, +) / Float(chunk.count)
        }
    }

    private mutating func learnWindow() throws(NumericsError) -> Progress {
        if rehearsalDebt >= Double(min(settings.windowSize, text.tokenCount)),
            let old = rehearsal.next(windowSize: min(settings.windowSize, max(text.tokenCount, 64)))
        {
            let isLearned = try levels.rehearse(old, .acquisition, trained, by: window, goals: settings)
            // A document that is known leaves its turn to general text.
            if isLearned || !rehearsal.hasAnchors { rehearsalDebt = max(rehearsalDebt - Double(old.inputs.count), 0) }
            learnedTokens += old.inputs.count
            return progress(surprise: [])
        }
        let range = position..<min(position + settings.windowSize, text.tokenCount)
        let reading = try levels.learn(
            .acquisition, trained, by: window, Array(text.inputs[range]), targets: Array(text.targets[range]),
            after: text.inputs[..<range.lowerBound], states: states)
        learnedTokens += range.count
        states = reading.states
        position = range.upperBound
        passSum += reading.losses.reduce(0.0) { $0 + Double($1) }
        documentTokens += range.count
        rehearsalDebt += Double(range.count) * settings.rehearsalRatio
        if position == text.tokenCount { try endPass() }
        return progress(surprise: chunks(reading.losses))
    }

    private mutating func endPass() throws(NumericsError) {
        try levels.update(.acquisition) { level throws(NumericsError) in try level.close() }
        let loss = passSum / Double(text.tokenCount)
        lastLoss = loss
        (position, states, passSum) = (0, nil, 0)
        // The pass's own losses were taken while it learned; being near the target is worth a measurement.
        if loss <= target * settings.overshoot * 1.15 || pass == settings.maximumPasses {
            phase = .after
        } else {
            pass += 1
        }
    }

    private func progress(surprise: [Float]) -> Progress {
        let isWritten = trained.isEmpty && levels.slotLink(of: .acquisition) != nil
        return Progress(
            pass: pass, tokens: documentTokens, loss: lastLoss, target: phase == .base ? nil : target,
            fraction: isWritten ? shareWritten : sharePassed, surprise: surprise)
    }

    /// How much of the most passes there may be is done.
    private var sharePassed: Double {
        let passesDone = phase == .learning ? Double(pass - 1) : Double(pass)
        let done = passesDone + Double(position) / Double(text.tokenCount)
        return min(done / Double(max(settings.maximumPasses, 1)), 1)
    }

    /// How much of the work of a document that is written into slots is done, by what each part of it takes.
    private var shareWritten: Double {
        let tokens = Double(max(text.tokenCount, 1))
        let answers: Double = learnsAnswers ? 4 : 0
        let measured = Double(measurement.tokenCount) / tokens
        let done: Double =
            switch phase {
            case .base: measured
            case .before: 1 + measured
            case .writing: 2 + 3 * Double(position) / tokens
            case .answering: 5 + answers * Double(answersWritten) / Double(max(text.answers.count, 1))
            case .after: 5 + answers + measured
            case .learning, .settling, .finished: 6 + answers
            }
        return done / (6 + answers)
    }
}
