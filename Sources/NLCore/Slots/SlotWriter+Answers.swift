/// Answers in slots: a sentence of a document, to be said when it is asked for (``AnswerMemory``).
extension SlotWriter {
    /// Writes an answer, or takes a few steps on the one that is being written.
    ///
    /// - Returns: whether there is nothing left to do: it is written, or there is no room for it, or its prompt is none
    ///   that a reply follows.
    mutating func write(_ answer: LearningText.Answer, levels: inout SpaceLevels) throws(NumericsError) -> Bool {
        if window == nil { try open(answer, &levels) }
        guard window != nil else { return true }
        return try takeSteps(&levels) != nil
    }

    private mutating func open(_ answer: LearningText.Answer, _ levels: inout SpaceLevels) throws(NumericsError) {
        let inputs = answer.prompt + answer.reply
        let memory = levels.slotMemory(link)
        let count = answer.reply.count + 1
        let model = Self.model(levels, on: Tape(precision: precision))
        guard count >= AnswerCue<Float>.parts, count <= capacity - memory.count,
            let lexicon = levels.configuration.conversation, let number = model.slotLink,
            let words = model.parameters.blocks.last?.levels[number].slots?.map(\.value).words,
            let reply = lexicon.replies(in: answer.prompt, last: 1).first ?? nil
        else { return }
        let first = reply.start - 1
        let cue = AnswerCue(
            inputs[reply.question], lexicon, WordFeatures(words), width: memory.contexts.shape[1])
        guard !cue.words.isEmpty else { return }
        let site = model.readToSlots(inputs, batch: 1, states: nil)
        let width = levels.configuration.width
        let rest = site.x.value.reshaped([inputs.count, width]).rows(Array(first..<inputs.count))
        allocate(cue, answer.reply, after: memory.count, &levels)
        // Each token has its slot, and hears nothing else.
        let places = (0..<count).map(Int32.init)
        var draft = Window(
            rest: rest, keys: .zeros([0]), contexts: .zeros([0]), targets: answer.reply + [answer.end],
            limits: [Float](repeating: Self.known, count: count), losses: [],
            addresses: SlotAddresses(rows: places.map { place -> [(slot: Int32, weight: Float)] in [(place, 1)] }),
            slots: places.map { Int32(memory.count) + $0 }, values: .zeros([count, width]),
            firstMoment: .zeros([count, width]), secondMoment: .zeros([count, width]), states: site.states)
        draft.losses = try losses(draft, levels)
        window = draft
    }

    /// Takes empty slots for an answer: the first hold its cue.
    private func allocate(_ cue: AnswerCue<Float>, _ reply: [Int32], after used: Int, _ levels: inout SpaceLevels) {
        let places = (used...used + reply.count).map(Int32.init)
        let rows = cue.rows
        let (contextWidth, keyWidth) = (rows.shape[1], levels.configuration.width)
        let contexts = Tensor<Float>.zeros([places.count, contextWidth])
        contexts.pointer.update(from: rows.pointer, count: rows.count)
        let records =
            [episode, AnswerMemory<Float>.opening]
            + reply.flatMap { [episode, AnswerMemory.record(after: $0)] }
        levels.write(contexts, to: places, of: "\(link).slots.contexts")
        levels.write(.zeros([places.count, keyWidth]), to: places, of: "\(link).slots.keys")
        levels.write(.zeros([places.count, keyWidth]), to: places, of: "\(link).slots.values")
        levels.write(Tensor(records, shape: [places.count, 2]), to: places, of: "\(link).slots.records")
    }
}
