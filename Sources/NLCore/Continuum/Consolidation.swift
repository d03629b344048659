/// Moves what the acquisition levels hold into the slow level of a space: the "sleep" of design §3.
///
/// 1. Measure the documents and the anchors as they stand.
/// 2. A candidate: the slow level absorbs the acquisition levels' Δθ on the tensors both adapt, where that changes
///    nothing, and what is left of the faster levels goes; then, unless that was all, the slow level alone is trained
///    on the new documents, with rehearsal of older ones and of anchors, until they are as well known as before.
/// 3. Measure again. The candidate is adopted if general text got at most a bound worse and the documents' recall
///    did not fall; else everything stays as it was.
/// 4. Documents learned one after another have lost some of each other. Learning them together can bring that back:
///    passes go on, each measured, while documents are above their targets and general text is within the bound of the
///    *base's* loss; the last candidate that kept to it is the one adopted.
///
/// One call of ``step()`` reads one window. The outcome is a pure function of levels, texts, seed and settings.
public struct Consolidation: Sendable {
    /// How much is done, and what may be adopted.
    public struct Settings: Sendable, Hashable, Codable {
        /// Tokens of a window; a multiple of C_p.
        public var windowSize = 256
        /// Most passes over the new documents.
        public var maximumPasses = 400
        /// Most tokens to learn from; the pass in which they run out is the last.
        public var maximumTokens = 400_000
        /// Tokens rehearsed for each token of a new document.
        public var rehearsalRatio = 1.0
        /// A candidate may cost the anchors this share of their loss.
        public var anchorBound = 0.02
        /// A candidate may cost the documents this share of their mean loss …
        public var recallBound = 0.05
        /// … or this much in nats a token, whichever is more: near zero a share means nothing.
        public var recallSlack = 0.02
        /// What the acquisition levels keep of their own links.
        public var kept: Float = 0
        /// What dense products are multiplied in, if not in f32; nil as in ``Acquisition/Settings/precision``.
        public var precision: ProductPrecision?
        /// The losses that documents are to reach, as when they are acquired.
        public var targets = Acquisition.Settings()

        /// The defaults.
        public init() {}
    }

    /// Losses before or after, in nats a token.
    public struct Losses: Sendable, Hashable, Codable {
        /// Mean over the anchors' gate half.
        public var anchors: Double?
        /// Mean over the documents being consolidated.
        public var new: Double?
        /// Mean over the sample of older documents.
        public var old: Double?
    }

    /// What a step did.
    public enum Event: Sendable {
        /// A window was read: the share of the work that is done at most.
        case progress(Double)
        /// The verdict is in.
        case finished(Outcome)
    }

    /// How it ended.
    public struct Outcome: Sendable {
        /// Whether the candidate may be adopted.
        public var isAdopted: Bool
        /// Why not, or why.
        public var reason: String
        /// As it stood.
        public var before: Losses
        /// By the candidate; nil where it never came to a measurement.
        public var after: Losses?
        /// Loss of each new document by the levels that are now in force.
        public var documentLosses: [Double]
        /// Passes made over the new documents.
        public var passes: Int
        /// Tokens learned from.
        public var tokens: Int
    }

    enum Phase: String, Sendable, Codable { case base, before, learning, after, finished }

    /// The candidate, or after a rejection the levels as they were.
    public internal(set) var levels: SpaceLevels
    private let original: SpaceLevels
    private let settings: Settings
    let new: [LearningText]
    private let gate: [LearningText]
    private let old: [LearningText]
    private let window: LearningWindow
    private let trained: Set<String>
    var rehearsal: Rehearsal
    var random: SeededRandom
    var measurement: TextMeasurement
    var phase = Phase.base
    var base = Losses()
    /// Mean over the new documents of the losses they are to reach.
    var target = 0.0
    /// The last candidate that may be adopted.
    var adoptable: (levels: SpaceLevels, after: Losses, documents: [Double], passes: Int)?
    var before = Losses()
    var beforeDocuments: [Double] = []
    var order: [Int]
    var position = 0
    var windowStart = 0
    var states: [MixerState<Float>]?
    var passSum = 0.0
    var pass = 0
    var tokens = 0
    var rehearsalDebt = 0.0

    /// A consolidation about to begin.
    ///
    /// - Parameters:
    ///   - new: documents learned since the last consolidation.
    ///   - old: a sample of those before, to be measured; rehearsal draws from all of them by itself.
    ///   - gate: general text to be judged by; it is never learned from.
    ///   - rehearsal: older documents and other general text.
    ///   - seed: decides the order in which documents are read.
    public init(
        _ levels: SpaceLevels, new: [LearningText], old: [LearningText], gate: [LearningText], rehearsal: Rehearsal,
        seed: UInt64, settings: Settings
    ) {
        self.levels = levels
        original = levels
        self.new = new
        self.old = old
        self.gate = gate
        self.rehearsal = rehearsal
        self.settings = settings
        window = LearningWindow(levels.configuration, precision: settings.precision ?? .f32)
        trained = levels.trainedTensors(of: .consolidation)
        random = SeededRandom(seed: seed)
        order = Array(new.indices)
        measurement = TextMeasurement(
            new + old + gate, configuration: levels.configuration, windowSize: settings.windowSize,
            precision: settings.precision ?? .f32)
    }

    /// Reads one window.
    ///
    /// Never throws: numbers that are not finite are a rejected candidate.
    public mutating func step() -> Event {
        do {
            return try advance()
        } catch {
            phase = .finished
            return .finished(reject(because: error.description, after: nil))
        }
    }

    private mutating func advance() throws(NumericsError) -> Event {
        switch phase {
        case .base:
            try measurement.step(parameters: levels.base)
            guard measurement.isFinished else { break }
            base = losses(measurement)
            let targets = zip(new, measurement.losses).map {
                settings.targets.target(tokenCount: $0.tokenCount, baseLoss: $1)
            }
            target = targets.reduce(0, +) / Double(max(new.count, 1))
            phase = .before
            restartMeasurement()
        case .before:
            try measurement.step(parameters: levels.effective)
            guard measurement.isFinished else { break }
            before = losses(measurement)
            beforeDocuments = Array(measurement.losses.prefix(new.count))
            levels.absorb(keeping: settings.kept)
            order.shuffle(using: &random)
            // Where the slow level could take everything over as it is, there may be nothing to train.
            phase = .after
            restartMeasurement()
        case .learning: try learnWindow()
        case .after:
            try measurement.step(parameters: levels.effective)
            guard measurement.isFinished else { break }
            if let outcome = judge(losses(measurement), documents: Array(measurement.losses.prefix(new.count))) {
                phase = .finished
                return .finished(outcome)
            }
            (phase, pass) = (.learning, pass + 1)
            restartMeasurement()
        case .finished: preconditionFailure("the consolidation has ended")
        }
        return .progress(fraction)
    }

    /// Weighs a measured candidate.
    ///
    /// - Returns: how the consolidation ends; nil if it goes on with another pass.
    private mutating func judge(_ after: Losses, documents: [Double]) -> Outcome? {
        let canGoOn =
            !new.isEmpty && !trained.isEmpty && pass < settings.maximumPasses && tokens < settings.maximumTokens
        if let reason = fault(after) {
            // More passes may mend a recall that fell, never one that cost the anchors too much.
            if adoptable == nil && canGoOn && isAnchorsKept(after) { return nil }
            return adoptable == nil ? reject(because: reason, after: after) : adopt()
        }
        let isHarmless = (after.anchors ?? 0) <= (base.anchors ?? .infinity) * (1 + settings.anchorBound)
        // What came before the first acceptable candidate was worse still, so that one is taken even if the
        // acquisition had already gone past the bound.
        guard adoptable == nil || isHarmless else { return adopt() }
        adoptable = (levels, after, documents, pass)
        let isKnown = (after.new ?? 0) <= target
        return canGoOn && isHarmless && !isKnown ? nil : adopt()
    }

    private mutating func adopt() -> Outcome? {
        guard let adoptable else { return nil }
        levels = adoptable.levels
        levels.forgetMoments(of: .consolidation)
        levels.noteVerdict(adopted: true)
        return Outcome(
            isAdopted: true, reason: "anchors and recall kept within their bounds", before: before,
            after: adoptable.after, documentLosses: adoptable.documents, passes: adoptable.passes, tokens: tokens)
    }

    private mutating func learnWindow() throws(NumericsError) {
        if rehearsalDebt >= Double(settings.windowSize), let text = rehearsal.next(windowSize: settings.windowSize) {
            let isLearned = try levels.rehearse(text, .consolidation, trained, by: window, goals: settings.targets)
            if isLearned || !rehearsal.hasAnchors { rehearsalDebt -= Double(text.inputs.count) }
            tokens += text.inputs.count
            return
        }
        let text = new[order[position]]
        let range = windowStart..<min(windowStart + settings.windowSize, text.tokenCount)
        let reading = try levels.learn(
            .consolidation, trained, by: window, Array(text.inputs[range]), targets: Array(text.targets[range]),
            after: text.inputs[..<range.lowerBound], states: states)
        tokens += range.count
        states = reading.states
        passSum += reading.losses.reduce(0.0) { $0 + Double($1) } / Double(text.tokenCount)
        windowStart = range.upperBound
        rehearsalDebt = rehearsal.isEmpty ? 0 : rehearsalDebt + Double(range.count) * settings.rehearsalRatio
        guard windowStart == text.tokenCount else { return }
        (windowStart, states, position) = (0, nil, position + 1)
        guard position == order.count else { return }
        try levels.update(.consolidation) { level throws(NumericsError) in try level.close() }
        let mean = passSum / Double(new.count)
        (position, passSum) = (0, 0)
        order.shuffle(using: &random)
        let isLast = pass == settings.maximumPasses || tokens >= settings.maximumTokens
        if isLast || adoptable != nil || mean <= allowedLoss(before.new) {
            phase = .after
        } else {
            pass += 1
        }
    }

    private mutating func restartMeasurement() {
        measurement = TextMeasurement(
            new + old + gate, configuration: levels.configuration, windowSize: settings.windowSize,
            precision: settings.precision ?? .f32)
    }

    private func losses(_ measurement: TextMeasurement) -> Losses {
        func mean(_ values: ArraySlice<Double>) -> Double? {
            values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
        }
        let all = measurement.losses
        return Losses(
            anchors: mean(all[(new.count + old.count)...]), new: mean(all[..<new.count]),
            old: mean(all[new.count..<new.count + old.count]))
    }

    private func allowedLoss(_ before: Double?) -> Double {
        guard let before else { return .infinity }
        return before + max(before * settings.recallBound, settings.recallSlack)
    }

    private func isAnchorsKept(_ after: Losses) -> Bool {
        guard let anchors = before.anchors, let now = after.anchors else { return true }
        return now <= anchors * (1 + settings.anchorBound)
    }

    private func fault(_ after: Losses) -> String? {
        if !isAnchorsKept(after) {
            let (from, to) = (before.anchors ?? 0, after.anchors ?? 0)
            return
                "general text got worse: anchors' loss \(rounded(from)) to \(rounded(to)) nats a token, bound \(rounded(settings.anchorBound * 100)) %"
        }
        for (what, was, now) in [("new", before.new, after.new), ("older", before.old, after.old)] {
            guard let was, let now, now > allowedLoss(was) else { continue }
            return "recall of \(what) documents fell: mean loss \(rounded(was)) to \(rounded(now)) nats a token"
        }
        return nil
    }

    private mutating func reject(because reason: String, after: Losses?) -> Outcome {
        levels = original
        levels.noteVerdict(adopted: false)
        return Outcome(
            isAdopted: false, reason: reason, before: before, after: after, documentLosses: beforeDocuments,
            passes: pass, tokens: tokens)
    }

    private func rounded(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }

    private var fraction: Double {
        let inPass = Double(position) / Double(max(order.count, 1))
        let passes = (Double(pass - 1) + inPass) / Double(max(settings.maximumPasses, 1))
        return min(max(passes, Double(tokens) / Double(max(settings.maximumTokens, 1))), 1)
    }
}
