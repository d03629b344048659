import Synchronization

/// The answers among the slots of a model: sentences that were learned to be said when they are asked for.
///
/// An answer has a slot for each of its tokens, one after the other, at least four, and its cue in the contexts of the
/// first four (``AnswerCue``). Its record is −1 in the first slot and −2 − the token that leads there in the others. It
/// speaks in a reply whose question it is found by, as long as the reply's own tokens are the answer's: a model that once
/// says something else goes on by itself.
struct AnswerMemory<S: TensorScalar>: Sendable {
    /// What is heard after a token of a reply: a slot, and how loudly.
    typealias Spoken = (slot: Int32, weight: S)

    /// What the record of an answer's first slot says.
    static var opening: S { -1 }
    /// That of a slot no token leads to: it makes up the four.
    static var unreachable: S { record(after: .max) }
    /// What share of a question's words, each as the fourth power of its rarity's logarithm, the document must know: from
    /// the first number on an answer speaks, from the second with all its weight.
    static var known: (S, S) { (0.48, 0.52) }
    /// Names count so many times as much there: who asks for Dover is not told of Brannock Head.
    static var nameShare: S { 3 }
    /// Σ ln(n / n_w) of the known words at least: what shares a single everyday word with a text does not ask for it.
    static var evidence: S { 12 }
    /// Of answers that are found this well, as a share of the best, the newest speaks: what is so may have changed.
    static var asGood: S { 0.95 }
    /// A word is there that a cue holds more of than this.
    static var there: S { 0.5 }

    /// A document knows what its first sentences say, which tell what it is about, and those around the one that was found,
    /// so many on either side: a long document has most words somewhere.
    static var introduction: Int { 2 }
    static var neighbours: Int { 4 }

    private struct Entry: Sendable {
        var episode: Int32
        var slots: Range<Int>
    }

    private let entries: [Entry]
    /// `[A, 4C]`.
    private let cues: Tensor<S>
    private let searched: PanelMatrix<S>?
    /// √ of each cue's length: a long sentence is found by more questions than a short one, but not by all.
    private let shares: [S]
    /// What the last questions found: a reply asks for each of its tokens.
    private let found = FoundAnswers<S>()

    /// The record of a slot that a token leads to.
    static func record(after token: Int32) -> S { -2 - S(token) }

    /// The token that leads to a slot, by its record; nil where none does.
    private static func token(leadingTo record: S) -> Int32? {
        record < opening && record != unreachable ? Int32(exactly: -2 - record) : nil
    }

    /// The slots that last learned to say each token in an answer; nil where none has.
    ///
    /// - Parameter end: the token that ends an answer.
    static func lastSlots(in records: Tensor<S>, end: Int32, vocabularySize: Int) -> [Int?] {
        var last = [Int?](repeating: nil, count: vocabularySize)
        let used = SlotMemory<S>.used(records)
        for slot in 0..<used {
            let own = records.pointer[2 * slot + 1]
            guard own < 0, own != unreachable else { continue }
            let next = slot + 1 < used ? records.pointer[2 * slot + 3] : 0
            // The next slot's record names what leads there, which is what this one says.
            let said = Int(token(leadingTo: next) ?? end)
            if last.indices.contains(said) { last[said] = slot }
        }
        return last
    }

    /// The answers that slots hold, as their tokens.
    static func sentences(in records: Tensor<S>) -> Set<[Int32]> {
        var sentences: Set<[Int32]> = []
        var sentence: [Int32]?
        let used = SlotMemory<S>.used(records)
        for slot in 0...used {
            let own = slot < used ? records.pointer[2 * slot + 1] : 0
            if let token = token(leadingTo: own) {
                sentence?.append(token)
            } else if own != unreachable {
                if let sentence { sentences.insert(sentence) }
                sentence = own == opening ? [] : nil
            }
        }
        return sentences
    }

    /// Finds the answers among slots in use.
    init(contexts: Tensor<S>, episodes: [Int32], strictness: [S]) {
        var entries: [Entry] = []
        for slot in episodes.indices where strictness[slot] < 0 {
            if strictness[slot] == Self.opening {
                entries.append(Entry(episode: episodes[slot], slots: slot..<slot + 1))
            } else if let last = entries.indices.last, entries[last].slots.upperBound == slot {
                entries[last].slots = entries[last].slots.lowerBound..<slot + 1
            }
        }
        entries.removeAll { $0.slots.count < AnswerCue<S>.parts }
        self.entries = entries
        let width = AnswerCue<S>.parts * contexts.shape[1]
        cues = Tensor(uninitialized: [entries.count, width])
        for (row, entry) in entries.enumerated() {
            (cues.pointer + row * width).update(
                from: contexts.pointer + entry.slots.lowerBound * contexts.shape[1], count: width)
        }
        searched = entries.isEmpty ? nil : PanelMatrix([cues], .bf16)
        let lengths = entries.indices.map { [cues] row in
            S.dot(width, cues.pointer + row * width, cues.pointer + row * width).squareRoot()
        }
        shares = lengths.map { $0.squareRoot() }
    }

    var isEmpty: Bool { entries.isEmpty }

    /// What is heard after each token of a stream.
    ///
    /// - Parameters:
    ///   - tokens: those whose rows are asked for.
    ///   - preceding: the tokens before them.
    ///   - strictness: the records of all slots.
    /// - Returns: one of each token, nil where it is in no reply; empty where none is.
    func addresses(
        _ tokens: [Int32], after preceding: some Collection<Int32>, strictness: [S],
        _ lexicon: ConversationLexicon, _ features: WordFeatures<S>
    ) -> [Spoken?] {
        let history = Array(preceding.suffix(ConversationLexicon.reach - 1)) + tokens
        let replies = lexicon.replies(in: history, last: tokens.count)
        guard replies.contains(where: { $0 != nil }) else { return [] }
        return zip(replies, (history.count - tokens.count)...).map { reply, place in
            // A row depends on so many tokens, wherever reading began.
            guard let reply, place - reply.question.lowerBound < Self.reach else { return nil }
            let question = history[reply.question]
            let best = found.answer(to: question) {
                find(AnswerCue(question, lexicon, features, width: contextWidth))
            }
            guard let best else { return nil }
            let slots = entries[best.entry].slots
            let said = history[reply.start..<place + 1]
            guard said.count < slots.count,
                zip(said, slots.dropFirst()).allSatisfy({ strictness[$1] == Self.record(after: $0) })
            else { return nil }
            return (Int32(slots.lowerBound + said.count), best.weight)
        }
    }

    private static var reach: Int { ConversationLexicon.reach - ConversationLexicon.longestMark }
    private var contextWidth: Int { cues.shape[1] / AnswerCue<S>.parts }

    /// The answer to a question, and how loudly it may speak; nil where there is none.
    private func find(_ cue: AnswerCue<S>) -> (entry: Int, weight: S)? {
        guard let searched, !cue.words.isEmpty else { return nil }
        let similarities = Tensor<S>(uninitialized: [1, searched.outputs])
        // Bound to a name: an unnamed tensor may end before its pointer is read from.
        let query = cue.rows()
        searched.multiply(1, query.pointer, into: similarities.pointer)
        let values = entries.indices.map { shares[$0] > 0 ? similarities.pointer[$0] / shares[$0] : 0 }
        guard let most = values.max(), most > 0 else { return nil }
        for entry in entries.indices.reversed() where values[entry] >= Self.asGood * most {
            let weight = weight(of: cue, around: entry)
            if weight > 0 { return (entry, weight) }
        }
        return nil
    }

    /// How loudly an answer may speak that a question found.
    private func weight(of cue: AnswerCue<S>, around entry: Int) -> S {
        // What one sentence of a document does not name again, another does.
        let episode = entries[entry].episode
        let first = entries[..<entry].lastIndex { $0.episode != episode }.map { $0 + 1 } ?? 0
        let near = max(first, entry - Self.neighbours)...min(entry + Self.neighbours, entries.count - 1)
        let places = Set(first..<min(first + Self.introduction, entry)).union(near)
        let sentences = places.filter { entries[$0].episode == episode }
            .map { UnsafePointer(cues.pointer + $0 * cues.shape[1]) }
        var (total, known, evidence): (S, S, S) = (0, 0, 0)
        for word in cue.words {
            let square = word.weight * word.weight
            let share = square * square * (word.isName ? Self.nameShare : 1)
            total += share
            guard cue.holds(word, Self.there, in: sentences) else { continue }
            known += share
            evidence += word.weight
        }
        guard evidence >= Self.evidence else { return 0 }
        return min(max((known / total - Self.known.0) / (Self.known.1 - Self.known.0), 0), 1)
    }
}

/// What questions found in a memory that does not change, the last of them. It makes nothing different, only faster.
private final class FoundAnswers<S: TensorScalar>: Sendable {
    typealias Answer = (entry: Int, weight: S)
    private static var most: Int { 64 }
    private let answers = Mutex<[[Int32]: Answer?]>([:])

    func answer(to question: ArraySlice<Int32>, _ find: () -> Answer?) -> Answer? {
        let key = Array(question)
        if let known = answers.withLock({ $0[key] }) { return known }
        let answer = find()
        answers.withLock { answers in
            if answers.count >= Self.most { answers.removeAll(keepingCapacity: true) }
            answers[key] = .some(answer)
        }
        return answer
    }
}
