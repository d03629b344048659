/// Answers in slots: sentences of a document, to be said when they are asked for (``AnswerMemory``).
extension SlotWriter {
    /// An answer is left out if after all steps a token of it has this loss, in nats: it would not be said.
    static let unsaid: Float = 0.7
    /// Rows that answers are learned in together, but for those of the last of them: more would be faster, and in the way of
    /// who is served meanwhile.
    static let batchRows = 64
    /// Answers that are looked at together, and learned together at most: those that are said already take time to find,
    /// and no rows.
    static let batchAnswers = 16

    /// What became of the answers that were learned together.
    struct AnswersWritten: Sendable {
        var done = 0
        /// Those for which there was no room, whose prompt is none that a reply follows, that can't be learned, or need
        /// not be (``Standing``).
        var left = 0
        /// Tokens learned from.
        var tokens = 0
    }

    /// Answers being learned together.
    struct AnswerBatch: Sendable {
        fileprivate struct Part: Sendable {
            var reply: [Int32]
            /// Of the window; the first token's to the end's.
            var rows: Range<Int>
            /// `[4, C]`.
            var cue: Tensor<Float>
        }
        fileprivate var parts: [Part] = []
        /// Answers looked at, those left out included.
        fileprivate var count = 0
        /// Slots that they will take.
        fileprivate var slots = 0
    }

    /// What the slots knew of an answer before its document.
    struct Standing: Sendable {
        /// No document says it in these words.
        var isNew: Bool
        /// Whoever asks hears it, or asks for too little to hear anything.
        var isAnswered: Bool
    }

    /// Learns some of a document's answers, or takes a few steps on those that are being learned, once it has looked which
    /// of them are known.
    ///
    /// - Parameter first: the first that is not learned yet.
    /// - Returns: nil while they are being looked at or learned.
    mutating func write(
        _ answers: [LearningText.Answer], from first: Int, levels: inout SpaceLevels
    ) throws(NumericsError) -> AnswersWritten? {
        if standing.count < answers.count {
            look(at: answers[standing.count...].prefix(Self.batchAnswers), levels.configuration.conversation)
            if standing.count < answers.count { return nil }
        }
        if window == nil { try open(answers, from: first, levels) }
        var written = AnswersWritten(done: batch.count, left: batch.count - batch.parts.count)
        if var current = window {
            guard try takeSteps(&current, levels) else {
                window = current
                return nil
            }
            let said = batch.parts.filter { part in part.rows.allSatisfy { current.losses[$0] < Self.unsaid } }
            written.left += batch.parts.count - said.count
            written.tokens = said.reduce(0) { $0 + $1.rows.count }
            write(said, current.values, &levels)
        }
        (window, batch) = (nil, AnswerBatch())
        return written
    }

    private mutating func look(at answers: ArraySlice<LearningText.Answer>, _ lexicon: ConversationLexicon?) {
        let (known, sentences, words) = (known, knownSentences, words)
        for answer in answers {
            let isNew = !sentences.contains(answer.reply)
            let heard = known.answers(answer.prompt + answer.reply, after: [], lexicon, words)
            let isSilent = (heard.prefix(answer.prompt.count).last ?? nil) == nil
            let isSaid = (heard.last ?? nil)?.weight == 1
            standing.append(Standing(isNew: isNew, isAnswered: isSaid || isSilent && !isNew))
        }
    }

    /// Whether an answer need not be learned. What stands near it counts when it is asked for (``AnswerMemory``), in its own
    /// document: beside a sentence that is new it is learned again.
    private func isKnown(_ index: Int) -> Bool {
        guard standing[index].isAnswered else { return false }
        let neighbours = AnswerMemory<Float>.neighbours
        let near = max(0, index - neighbours)...min(standing.count - 1, index + neighbours)
        let isIntroduction = index < AnswerMemory<Float>.introduction
        return !(isIntroduction ? standing[...] : standing[near]).contains { $0.isNew }
    }

    private mutating func open(
        _ answers: [LearningText.Answer], from first: Int, _ levels: SpaceLevels
    ) throws(NumericsError) {
        let model = Self.model(levels, on: Tape(precision: precision))
        let words = words
        batch = AnswerBatch()
        let room = capacity - levels.slotCount(link)
        let width = levels.configuration.width
        var (rest, targets): ([Float], [Int32]) = ([], [])
        for (index, answer) in zip(first..., answers[first...].prefix(Self.batchAnswers))
        where targets.count < Self.batchRows {
            batch.count += 1
            let slots = Self.slots(of: answer.reply)
            guard batch.slots + slots <= room, !isKnown(index), let cue = cue(of: answer, levels.configuration, words)
            else { continue }
            let inputs = answer.prompt + answer.reply
            let count = answer.reply.count + 1
            let x = model.readToSlots(inputs, batch: 1, states: nil).x.value.reshaped([inputs.count, width])
            rest += x.rows(Array(inputs.count - count..<inputs.count)).elements
            batch.parts.append(
                .init(reply: answer.reply, rows: targets.count..<targets.count + count, cue: cue.rows()))
            batch.slots += slots
            targets += answer.reply + [answer.end]
        }
        guard !batch.parts.isEmpty else { return }
        // Each token has its slot, and hears nothing else.
        let places = (0..<targets.count).map(Int32.init)
        let shape: Shape = [targets.count, width]
        var draft = Window(
            rest: Tensor(rest, shape: shape), keys: .zeros([0, width]), contexts: .zeros([0, width]),
            targets: targets, limits: [Float](repeating: Self.known, count: targets.count), losses: [],
            goal: .infinity, saysAll: true,
            addresses: SlotAddresses(rows: places.map { place -> [(slot: Int32, weight: Float)] in [(place, 1)] }),
            slots: places,
            values: firstValues(for: targets, end: answers.first?.end ?? 0, levels), firstMoment: .zeros(shape),
            secondMoment: .zeros(shape), states: [])
        draft.losses = try losses(draft, levels)
        window = draft
    }

    /// What steps begin with: the value that last learned to say the same token in an answer, where there is one.
    private func firstValues(for targets: [Int32], end: Int32, _ levels: SpaceLevels) -> Tensor<Float> {
        let spoken = levels.slotValues(link)
        let first = Tensor<Float>.zeros([targets.count, spoken.values.shape[1]])
        let last = AnswerMemory.lastSlots(
            in: spoken.records, end: end, vocabularySize: levels.configuration.vocabularySize)
        for (row, target) in targets.enumerated() {
            guard let slot = last[Int(target)] else { continue }
            let width = first.shape[1]
            (first.pointer + row * width).update(from: spoken.values.pointer + slot * width, count: width)
        }
        return first
    }

    /// What an answer is to be found by; nil where nothing would find it.
    private func cue(
        of answer: LearningText.Answer, _ configuration: HopeConfiguration, _ words: WordFeatures<Float>?
    ) -> AnswerCue<Float>? {
        guard !answer.reply.isEmpty, let lexicon = configuration.conversation, let words,
            let reply = lexicon.replies(in: answer.prompt, last: 1).first ?? nil, reply.start == answer.prompt.count,
            let width = configuration.levels.lazy.compactMap(\.slots?.contextSize).first
        else { return nil }
        let cue = AnswerCue(answer.prompt[reply.question], lexicon, words, width: width)
        return cue.words.isEmpty ? nil : cue
    }

    /// Slots that an answer takes: one for each token and its end, and as many as its cue needs.
    private static func slots(of reply: [Int32]) -> Int { max(reply.count + 1, AnswerCue<Float>.parts) }

    /// Puts answers behind the slots in use, at once: a write copies what all slots hold.
    private func write(_ parts: [AnswerBatch.Part], _ values: Tensor<Float>, _ levels: inout SpaceLevels) {
        guard !parts.isEmpty else { return }
        var (contexts, spoken, records): ([Float], [Float], [Float]) = ([], [], [])
        for part in parts {
            let count = Self.slots(of: part.reply)
            func padded(_ tensor: Tensor<Float>) -> [Float] {
                tensor.elements + [Float](repeating: 0, count: (count - tensor.shape[0]) * tensor.shape[1])
            }
            contexts += padded(part.cue)
            spoken += padded(values.rows(Array(part.rows)))
            let follows =
                part.reply.map { AnswerMemory<Float>.record(after: $0) }
                + [Float](repeating: AnswerMemory.unreachable, count: count - part.rows.count)
            records += ([AnswerMemory.opening] + follows).flatMap { [episode, $0] }
        }
        let (used, count) = (levels.slotCount(link), records.count / 2)
        let shape: Shape = [count, values.shape[1]]
        fill(
            (used..<used + count).map(Int32.init),
            contexts: Tensor(contexts, shape: [count, contexts.count / count]), keys: .zeros(shape),
            values: Tensor(spoken, shape: shape), records: records, &levels)
    }
}
