/// Reads one window of a text, and takes the gradient of its losses (spec §3, "A learning step").
///
/// Inside a window the gradient runs through everything, the writes of the memories included; between windows the
/// state is carried and the gradient stops.
public struct LearningWindow: Sendable {
    /// What a window gave.
    public struct Reading: Sendable {
        /// −log p(next token) at every position, in nats, whatever its weight.
        public let losses: [Float]
        /// Σ over the weighted losses' gradients; nil when no tensor was trained.
        public let gradients: ParameterSet<Float>?
        /// Σ x̂x̂ᵀ over the inputs of the matrices asked for, at the weighted tokens; of none where there is no gradient.
        public var inputs = ParameterSet<Float>()
        /// The closed states after the window.
        public let states: [MixerState<Float>]
    }

    /// The model's geometry.
    public let configuration: HopeConfiguration
    /// What the dense products are multiplied in.
    public let precision: ProductPrecision

    /// How many of the tokens before a window it may depend on beside the states.
    public static var reach: Int { max(SlotContext.span, ConversationLexicon.reach) - 1 }

    /// A reader of windows.
    public init(_ configuration: HopeConfiguration, precision: ProductPrecision = .f32) {
        (self.configuration, self.precision) = (configuration, precision)
    }

    /// Reads a window.
    ///
    /// - Parameters:
    ///   - inputs: the tokens read, `[B, T]`; T is a multiple of C_p except at a text's end.
    ///   - targets: the token after each.
    ///   - weights: 0 for a token that is read but not learned from; nil learns from all.
    ///   - states: closed states before the window; nil begins texts.
    ///   - parameters: the effective parameters.
    ///   - trained: names of the tensors whose gradients are wanted.
    ///   - teacher: parameters whose predictions are to be kept (distillation); the losses are then cross-entropies
    ///     against those, and `targets` only say how many there are. The text begins in this window.
    ///   - observed: matrices of links whose inputs are wanted (``DGD``).
    ///   - preceding: the tokens of the text before the window; the last ``reach`` count.
    ///   - knownBelow: no gradient is taken where the mean loss is at most this, in nats a token: what is known costs
    ///     nothing.
    /// - Throws: ``NumericsError/nonFiniteLoss``.
    public func read(
        _ inputs: [Int32], targets: [Int32], batch: Int = 1, weights: [Float]? = nil,
        states: [MixerState<Float>]?, parameters: ParameterSet<Float>, trained: Set<String>,
        after preceding: some Collection<Int32> = [Int32](), teacher: ParameterSet<Float>? = nil,
        observed: Set<String> = [], knownBelow: Double? = nil
    ) throws(NumericsError) -> Reading {
        precondition(teacher == nil || states == nil, "a teacher reads a text from its beginning")
        let tape = Tape<Float>(precision: precision)
        var model = HopeModel(configuration, parameters, on: tape) { trained.contains($0) }
        let moments = InputMoments(configuration, of: observed, weights: weights)
        if !observed.isEmpty { model.observeInput = moments.add }
        let result = model(inputs, batch: batch, states: states, after: Array(preceding.suffix(Self.reach)))
        let weights = weights ?? [Float](repeating: 1, count: targets.count)
        let (loss, losses) =
            if let teacher {
                result.logits.crossEntropy(toward: predictions(of: teacher, inputs, batch: batch), weights: weights)
            } else {
                result.logits.crossEntropy(targets, weights: weights)
            }
        guard losses.allSatisfy(\.isFinite) else { throw .nonFiniteLoss }
        let mean = losses.reduce(0.0) { $0 + Double($1) } / Double(max(losses.count, 1))
        guard !trained.isEmpty && mean > knownBelow ?? -1 else {
            return Reading(losses: losses, gradients: nil, states: result.states)
        }
        tape.backward(from: loss)
        return Reading(
            losses: losses, gradients: model.gradients(), inputs: moments.sums, states: result.states)
    }

    private func predictions(of teacher: ParameterSet<Float>, _ inputs: [Int32], batch: Int) -> Tensor<Float> {
        let tape = Tape<Float>(precision: precision)
        let model = HopeModel(configuration, teacher, on: tape) { _ in false }
        return model(inputs, batch: batch).logits.softmaxRows()
    }
}

extension SpaceLevels {
    /// Reads one window with the levels as they are, and lets those of one role gather its gradient.
    ///
    /// - Parameter trained: names of the tensors that the role's levels adapt (``tensors(of:)``, asked once a job).
    /// - Throws: ``NumericsError``, and leaves the levels as they were.
    mutating func learn(
        _ role: LevelDefinition.Role, _ trained: Set<String>, by window: LearningWindow, _ inputs: [Int32],
        targets: [Int32], after preceding: some Collection<Int32>, states: [MixerState<Float>]?
    ) throws(NumericsError) -> LearningWindow.Reading {
        let reading = try window.read(
            inputs, targets: targets, states: states, parameters: effective, trained: trained, after: preceding,
            observed: observed(by: role))
        try gather(reading, role, tokenCount: inputs.count, isNew: true)
        return reading
    }

    /// Reads one rehearsed window. Its losses are no surprise. A document is learned again where it has risen above
    /// its target; where it has not, more would only harm others. Of general text what the untouched base predicts is
    /// kept: a level has nothing to learn there.
    ///
    /// - Parameter goals: the targets of documents.
    /// - Returns: whether there was something to learn.
    /// - Throws: ``NumericsError``, and leaves the levels as they were.
    mutating func rehearse(
        _ old: Rehearsal.Window, _ role: LevelDefinition.Role, _ trained: Set<String>, by window: LearningWindow,
        goals: Acquisition.Settings
    ) throws(NumericsError) -> Bool {
        var goal: Double?
        if !old.isAnchor {
            let untouched = try window.read(
                old.inputs, targets: old.targets, states: nil, parameters: base, trained: [])
            let loss = untouched.losses.reduce(0.0) { $0 + Double($1) } / Double(max(untouched.losses.count, 1))
            goal = goals.target(tokenCount: old.textLength, baseLoss: loss)
        }
        let reading = try window.read(
            old.inputs, targets: old.targets, states: nil, parameters: effective, trained: trained,
            teacher: old.isAnchor ? base : nil, observed: observed(by: role), knownBelow: goal)
        try gather(reading, role, tokenCount: old.inputs.count, isNew: false)
        return reading.gradients != nil
    }

    /// Matrices whose inputs the levels of a role learn from.
    private func observed(by role: LevelDefinition.Role) -> Set<String> {
        Set(levels.filter { $0.definition.role == role }.flatMap(\.definition.observed))
    }

    private mutating func gather(
        _ reading: LearningWindow.Reading, _ role: LevelDefinition.Role, tokenCount: Int, isNew: Bool
    ) throws(NumericsError) {
        guard let gradients = reading.gradients else { return }
        try update(role) { level throws(NumericsError) in
            if isNew { level.note(losses: reading.losses) }
            return try level.gather(gradients, inputs: reading.inputs, tokenCount: tokenCount)
        }
    }
}

/// A text as it is learned: BOS before it, EOS after it.
///
/// The end of a text is part of what it says: a model that has learned an answer also knows that it ends there.
public struct LearningText: Sendable, Hashable {
    /// BOS and the text's tokens.
    public let inputs: [Int32]
    /// The text's tokens and EOS.
    public let targets: [Int32]

    /// What of it is to be said when it is asked for, where slots hold answers.
    public var answers: [Answer] = []

    /// A sentence, as a conversation comes to it.
    public struct Answer: Sendable, Hashable {
        /// The tokens of a conversation, BOS first, in which someone says what the answer is found by, up to the mark
        /// after which it begins.
        public var prompt: [Int32]
        /// The answer's own.
        public var reply: [Int32]
        /// What ends it.
        public var end: Int32

        /// An answer of its parts.
        public init(prompt: [Int32], reply: [Int32], end: Int32) {
            (self.prompt, self.reply, self.end) = (prompt, reply, end)
        }
    }

    /// A text of the given tokens.
    public init(_ tokens: [Int32], configuration: HopeConfiguration) {
        inputs = [Int32(configuration.bosTokenID)] + tokens
        targets = tokens + [Int32(configuration.eosTokenID)]
    }

    /// Number of losses the text has.
    public var tokenCount: Int { inputs.count }

    /// The windows of at most `size` tokens that the text is read in.
    public func windows(of size: Int) -> [Range<Int>] {
        stride(from: 0, to: inputs.count, by: size).map { $0..<min($0 + size, inputs.count) }
    }
}

/// Measures texts with learning off, one window a step, so that serving can come between.
public struct TextMeasurement: Sendable {
    private let window: LearningWindow
    private let windowSize: Int
    let texts: [LearningText]
    var index = 0
    var position = 0
    var states: [MixerState<Float>]?
    var sum = 0.0

    /// Mean loss of each text measured so far, in nats a token.
    public internal(set) var losses: [Double] = []
    /// Tokens read so far.
    public internal(set) var tokenCount = 0

    /// A measurement of several texts, each read alone.
    public init(
        _ texts: [LearningText], configuration: HopeConfiguration, windowSize: Int, precision: ProductPrecision = .f32
    ) {
        self.texts = texts
        self.windowSize = windowSize
        window = LearningWindow(configuration, precision: precision)
    }

    /// Whether every text has been measured.
    public var isFinished: Bool { index == texts.count }

    /// Mean over the texts measured, in nats a token; nil if there are none.
    public var mean: Double? { losses.isEmpty ? nil : losses.reduce(0, +) / Double(losses.count) }

    /// Reads the next window.
    public mutating func step(parameters: ParameterSet<Float>) throws(NumericsError) {
        guard index < texts.count else { return }
        let text = texts[index]
        let range = position..<min(position + windowSize, text.tokenCount)
        let reading = try window.read(
            Array(text.inputs[range]), targets: Array(text.targets[range]), states: states, parameters: parameters,
            trained: [], after: text.inputs[..<range.lowerBound])
        sum += reading.losses.reduce(0.0) { $0 + Double($1) }
        tokenCount += range.count
        states = reading.states
        position = range.upperBound
        guard position == text.tokenCount else { return }
        losses.append(sum / Double(text.tokenCount))
        (index, position, states, sum) = (index + 1, 0, nil, 0)
    }

    /// Reads everything that is left.
    public mutating func finish(parameters: ParameterSet<Float>) throws(NumericsError) {
        while !isFinished { try step(parameters: parameters) }
    }
}

extension TextMeasurement {
    /// Texts measured as they are learned.
    init(_ texts: [LearningText], _ settings: Acquisition.Settings, of levels: SpaceLevels) {
        self.init(
            texts, configuration: levels.configuration, windowSize: settings.windowSize,
            precision: settings.precision ?? .f32)
    }
}
