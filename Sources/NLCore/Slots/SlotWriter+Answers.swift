/// Answers in slots: a sentence of a document, to be said when it is asked for (``AnswerMemory``).
extension SlotWriter {
    /// An answer that was not said after all its steps: no token of it may be less likely than this, as a loss in nats.
    static let unsaid: Float = 0.7
    /// Slots that are written at once: a write copies what all slots hold.
    static let batch = 512

    /// What became of an answer.
    enum Written: Sendable { case written, left, unfinished }

    /// Answers that are learned and not written yet, by what their slots are to hold.
    struct PendingAnswers: Sendable {
        /// `[n, C]`, `[n, D]` and `[n, 2]`, row after row.
        fileprivate var contexts: [Float] = []
        fileprivate var values: [Float] = []
        fileprivate var records: [Float] = []
        /// The one being learned.
        fileprivate var cue: Tensor<Float>?

        var isEmpty: Bool { records.isEmpty }
        /// Slots that they take.
        var count: Int { records.count / 2 }
    }

    /// Learns an answer, or takes a few steps on the one that is being learned; ``flush(_:)`` writes it.
    ///
    /// - Returns: `left` where there is no room for it, its prompt is none that a reply follows, it can't be learned, or
    ///   it is said already.
    mutating func write(
        _ answer: LearningText.Answer, levels: inout SpaceLevels
    ) throws(NumericsError) -> Written {
        if window == nil { try open(answer, levels) }
        guard let cue = answers.cue, var current = window else { return .left }
        guard try takeSteps(&current, levels) else {
            window = current
            return .unfinished
        }
        (window, answers.cue) = (nil, nil)
        guard current.losses.allSatisfy({ $0 < Self.unsaid }) else { return .left }
        add(answer.reply, cue, current.values)
        if answers.count >= Self.batch { flush(&levels) }
        return .written
    }

    /// Writes the answers that wait.
    mutating func flush(_ levels: inout SpaceLevels) {
        let (count, used) = (answers.count, levels.slotCount(link))
        guard count > 0 else { return }
        let places = (used..<used + count).map(Int32.init)
        func write(_ elements: [Float], _ part: String) {
            levels.write(
                Tensor(elements, shape: [count, elements.count / count]), to: places, of: "\(link).slots.\(part)")
        }
        write(answers.contexts, "contexts")
        write([Float](repeating: 0, count: answers.values.count), "keys")
        write(answers.values, "values")
        write(answers.records, "records")
        answers = PendingAnswers()
    }

    private mutating func open(_ answer: LearningText.Answer, _ levels: SpaceLevels) throws(NumericsError) {
        let inputs = answer.prompt + answer.reply
        let rows = answer.reply.count + 1
        let model = Self.model(levels, on: Tape(precision: precision))
        let known = known ?? levels.slotMemory(link)
        self.known = known
        guard !answer.reply.isEmpty, Self.slots(of: answer.reply) <= capacity - levels.slotCount(link) - answers.count,
            let lexicon = levels.configuration.conversation, let number = model.slotLink,
            let words = model.parameters.blocks.last?.levels[number].slots?.map(\.value).words.map(WordFeatures.init),
            let reply = lexicon.replies(in: answer.prompt, last: 1).first ?? nil, reply.start == answer.prompt.count
        else { return }
        // Said again, it need not be learned again.
        let said = known.answers(inputs, after: [], lexicon, words)
        if let last = said.last ?? nil, last.weight == 1 { return }
        let cue = AnswerCue(inputs[reply.question], lexicon, words, width: known.contexts.shape[1])
        guard !cue.words.isEmpty else { return }
        let site = model.readToSlots(inputs, batch: 1, states: nil)
        let width = levels.configuration.width
        let x = site.x.value.reshaped([inputs.count, width])
        // Each token has its slot, and hears nothing else.
        let places = (0..<rows).map(Int32.init)
        var draft = Window(
            rest: x.rows(Array(inputs.count - rows..<inputs.count)), keys: .zeros([0, width]),
            contexts: .zeros([0, width]), targets: answer.reply + [answer.end],
            limits: [Float](repeating: Self.known, count: rows), losses: [],
            addresses: SlotAddresses(rows: places.map { place -> [(slot: Int32, weight: Float)] in [(place, 1)] }),
            slots: places, values: .zeros([rows, width]), firstMoment: .zeros([rows, width]),
            secondMoment: .zeros([rows, width]), states: site.states)
        draft.losses = try losses(draft, levels)
        (window, answers.cue) = (draft, cue.rows)
    }

    /// Slots that an answer takes: one for each token and its end, and as many as its cue needs.
    private static func slots(of reply: [Int32]) -> Int { max(reply.count + 1, AnswerCue<Float>.parts) }

    private mutating func add(_ reply: [Int32], _ cue: Tensor<Float>, _ values: Tensor<Float>) {
        let count = Self.slots(of: reply)
        func padded(_ tensor: Tensor<Float>) -> [Float] {
            tensor.elements + [Float](repeating: 0, count: (count - tensor.shape[0]) * tensor.shape[1])
        }
        answers.contexts += padded(cue)
        answers.values += padded(values)
        let records =
            [AnswerMemory<Float>.opening] + reply.map { AnswerMemory.record(after: $0) }
            + [Float](repeating: AnswerMemory.unreachable, count: count - reply.count - 1)
        answers.records += records.flatMap { [episode, $0] }
    }
}
