/// Writes a document into the slots of an acquisition level, window by window.
///
/// What the model reads before its slots does not depend on what they hold, so a window is read once; then each
/// surprising token gets a slot of its own, and the values alone are learned, through what comes after the slots: a
/// link or two and the head, token by token. Contexts of other texts find no slot, so nothing has to be rehearsed.
///
/// The outcome is a pure function of the levels, the text and the settings.
struct SlotWriter: Sendable {
    /// Loss at which a token is known, in nats: it is then said even where only a part of its slot is heard.
    static let known: Float = 0.02
    /// What a token without a slot may lose, in nats, before it gets one.
    static let slack: Float = 0.1
    /// How far the key of a slot of a long document must agree: between its slots are tokens that have none.
    static let strictness: Float = 0.35
    /// Contexts that are shorter than this share of the window's longest are of its first words, and faint
    /// (``SlotAddresses/faint``): "The lighthouse of" is in every text about one.
    static let faintShare: Float = 0.6
    /// Contexts and keys more similar than this are one.
    static let identical: Float = 0.9999
    /// Documents that slots can tell apart: a record is a `Float`.
    static let mostEpisodes = 1 << 24

    /// One window in the making.
    struct Window: Sendable {
        /// Where the slots' part of the residual stream goes, without what is being learned: `[T, D]`.
        var rest: Tensor<Float>
        var keys: Tensor<Float>
        var contexts: Tensor<Float>
        var targets: [Int32]
        /// Loss that each token may have.
        var limits: [Float]
        var losses: [Float]
        /// Σ of what they are to come to, in nats.
        var goal: Float
        /// Whether every token that is to be known must be said: of an answer, and of a short document.
        var saysAll: Bool
        var addresses: SlotAddresses<Float>
        /// The slots that are learned, by their place in `values`.
        var slots: [Int32]
        var values: Tensor<Float>
        var firstMoment: Tensor<Float>
        var secondMoment: Tensor<Float>
        var steps = 0
        /// Whether more steps would bring little.
        var isDone = false
        var states: [MixerState<Float>]
    }

    /// Name of the link that has the slots.
    let link: String
    let mostSteps: Int
    let precision: ProductPrecision
    /// Slots there may be.
    let capacity: Int
    let episode: Float
    /// Whether every token gets a slot: a short document is then known in other words as well.
    private let isDense: Bool
    /// Mean loss that the document is to reach.
    private let target: Double
    var window: Window?

    /// Whether a window is half learned.
    var isInWindow: Bool { window != nil }
    /// The answers whose window it is.
    var batch = AnswerBatch()
    /// The levels before the document.
    private let original: SpaceLevels
    /// What stands in their slots.
    lazy var known = original.slotMemory(link)
    /// The answers among that, whatever they are found by.
    lazy var knownSentences = AnswerMemory.sentences(in: original.slotValues(link).records)
    /// How contexts tell words, where they do; no level changes that.
    lazy var words = Self.model(original, on: Tape(precision: precision)).slots?.map(\.value).words
        .map(WordFeatures.init)
    /// Of the document's first answers; the levels before it decide.
    var standing: [Standing] = []
    /// Σ of the losses of tokens whose contexts say too little, in nats: a text's first words.
    private var unknowable = 0.0

    /// - Parameter levels: as they were before the document.
    /// - Returns: nil where no acquisition level has slots.
    init?(_ levels: SpaceLevels, text: LearningText, episode: Int, target: Double, settings: Acquisition.Settings) {
        guard let name = levels.slotLink(of: .acquisition) else { return nil }
        (link, original) = (name, levels)
        mostSteps = settings.maximumPasses
        precision = settings.precision ?? .f32
        capacity = episode < Self.mostEpisodes ? min(settings.slotCapacity ?? .max, levels.slotCapacity(name)) : 0
        isDense = text.tokenCount <= settings.shortLength
        self.target = target
        self.episode = Float(episode)
    }

    /// Reads a window, or takes a few steps on the one that was read.
    ///
    /// - Parameter last: states after the window before.
    /// - Returns: losses and states when the window is written, and the nats among them that cannot be learned; nil before.
    mutating func step(
        _ text: LearningText, _ range: Range<Int>, states: [MixerState<Float>]?, levels: inout SpaceLevels
    ) throws(NumericsError) -> (losses: [Float], unknowable: Double, states: [MixerState<Float>])? {
        if window == nil { try open(text, range, states, &levels) }
        guard var current = window else { return nil }
        guard try takeSteps(&current, levels) else {
            window = current
            return nil
        }
        levels.write(current.values, to: current.slots, of: "\(link).slots.values")
        levels.noteWritten(.acquisition, tokens: range.count, losses: current.losses)
        window = nil
        defer { unknowable = 0 }
        return (current.losses, unknowable, current.states)
    }

    // MARK: - A window

    private mutating func open(
        _ text: LearningText, _ range: Range<Int>, _ states: [MixerState<Float>]?, _ levels: inout SpaceLevels
    ) throws(NumericsError) {
        let inputs = Array(text.inputs[range])
        let model = Self.model(levels, on: Tape(precision: precision))
        let site = model.readToSlots(inputs, batch: 1, states: states)
        guard let u = site.u?.value, let slots = model.slots?.map(\.value) else {
            preconditionFailure("\(link) has no slots")
        }
        let width = levels.configuration.width
        let keys = slots.keys(of: u)
        let lengths = Tensor<Float>.zeros([inputs.count])
        let words = slots.words.map(WordFeatures.init)
        let contexts = SlotContext.rows(
            inputs, after: text.inputs[..<range.lowerBound], table: slots.tokens, words: words, lengths: lengths)
        // None is faint where contexts are known by tokens alone.
        let longest = slots.words == nil ? 0 : lengths.elements.max() ?? 0
        let isFaint = lengths.elements.map { $0 < Self.faintShare * longest }
        let x = site.x.value.reshaped([inputs.count, width])
        let memory = SlotMemory(slots)
        var draft = Window(
            rest: x, keys: keys, contexts: contexts, targets: Array(text.targets[range]), limits: [], losses: [],
            goal: 0, saysAll: isDense,
            addresses: SlotAddresses(keys: keys, contexts: contexts, in: memory), slots: [],
            values: .zeros([0, width]), firstMoment: .zeros([0, width]), secondMoment: .zeros([0, width]),
            states: site.states)
        // As things stand: every slot is heard, none is learned.
        draft.rest = x.copy()
        draft.addresses.add(slots.values, to: draft.rest)
        draft.addresses = SlotAddresses(rows: inputs.map { _ in [] })
        draft.losses = try losses(draft, levels)
        let knowable = draft.losses.indices.filter { row in
            let width = contexts.shape[1]
            return Float.dot(width, contexts.pointer + row * width, contexts.pointer + row * width) > 0
        }
        unknowable += draft.losses.indices.filter { !knowable.contains($0) }.reduce(0) { $0 + Double(draft.losses[$1]) }
        draft.goal = Float(target * Double(range.count) + unknowable)
        let wanted = wanted(knowable, draft.losses)
        draft.limits = draft.losses.indices.map { wanted.contains($0) ? Self.known : draft.losses[$0] + Self.slack }
        draft.slots = allocate(wanted, draft, isFaint, memory, &levels)
        address(&draft, x, levels)
        draft.losses = try losses(draft, levels)
        window = draft
    }

    /// The tokens that get a slot: all of a short document's; of a long one's the fewest that bring the mean to the
    /// target, the most surprising first.
    private func wanted(_ knowable: [Int], _ losses: [Float]) -> Set<Int> {
        if isDense { return Set(knowable) }
        var sum = losses.reduce(0) { $0 + Double($1) }
        let goal = target * 0.95 * Double(losses.count)
        var chosen: Set<Int> = []
        for row in knowable.sorted(by: { (losses[$0], $1) > (losses[$1], $0) }) {
            guard sum > goal, losses[row] > Self.known else { break }
            sum -= Double(losses[row] - Self.known)
            chosen.insert(row)
        }
        return chosen
    }

    /// Gives tokens their slots: those of the same context and key where there are, else empty ones while there are any.
    private mutating func allocate(
        _ rows: Set<Int>, _ draft: Window, _ isFaint: [Bool], _ memory: SlotMemory<Float>, _ levels: inout SpaceLevels
    ) -> [Int32] {
        let (width, keyWidth) = (draft.contexts.shape[1], draft.keys.shape[1])
        var slots: Set<Int32> = []
        var fresh: [Int] = []
        for row in rows.sorted() {
            let context = draft.contexts.pointer + row * width
            let key = draft.keys.pointer + row * keyWidth
            let similarities = memory.similarities(of: draft.contexts.rows([row]))
            let same = memory.plain.enumerated().first { place, slot in
                // What is searched is rounded: first look there, then closely.
                similarities.pointer[place] > Self.identical - 0.01
                    && Float.dot(width, context, memory.contexts.pointer + Int(slot) * width) > Self.identical
                    && Float.dot(keyWidth, key, memory.keys.pointer + Int(slot) * keyWidth) > Self.identical
            }
            if let same { slots.insert(same.element) } else { fresh.append(row) }
        }
        fresh = Array(fresh.prefix(max(capacity - memory.count, 0)))
        let places = fresh.indices.map { Int32(memory.count + $0) }
        let records = fresh.flatMap { row in
            [episode, isFaint[row] ? SlotAddresses<Float>.faint : isDense ? 0 : Self.strictness]
        }
        fill(
            places, contexts: draft.contexts.rows(fresh), keys: draft.keys.rows(fresh),
            values: .zeros([fresh.count, keyWidth]), records: records, &levels)
        return slots.sorted() + places
    }

    /// Gives empty slots everything they hold, `[n, …]` each.
    func fill(
        _ places: [Int32], contexts: Tensor<Float>, keys: Tensor<Float>, values: Tensor<Float>, records: [Float],
        _ levels: inout SpaceLevels
    ) {
        levels.write(contexts, to: places, of: "\(link).slots.contexts")
        levels.write(keys, to: places, of: "\(link).slots.keys")
        levels.write(values, to: places, of: "\(link).slots.values")
        levels.write(Tensor(records, shape: [places.count, 2]), to: places, of: "\(link).slots.records")
    }

    /// Separates what the tokens read of slots that are learned from what they read of others.
    private func address(_ draft: inout Window, _ x: Tensor<Float>, _ levels: SpaceLevels) {
        let memory = levels.slotMemory(link)
        let places = Dictionary(uniqueKeysWithValues: draft.slots.enumerated().map { ($0.element, Int32($0.offset)) })
        let all = SlotAddresses(keys: draft.keys, contexts: draft.contexts, in: memory)
        var own: [[(slot: Int32, weight: Float)]] = []
        var others = own
        for row in 0..<all.rowCount {
            let entries = (all.starts[row]..<all.starts[row + 1]).map { (slot: all.slots[$0], weight: all.weights[$0]) }
            own.append(
                entries.compactMap { entry in places[entry.slot].map { (slot: $0, weight: entry.weight) } })
            others.append(entries.filter { places[$0.slot] == nil })
        }
        draft.rest = x.copy()
        SlotAddresses(rows: others).add(memory.values, to: draft.rest)
        draft.addresses = SlotAddresses(rows: own)
        draft.values = memory.values.rows(draft.slots.map(Int.init))
        draft.firstMoment = .zeros(draft.values.shape)
        draft.secondMoment = .zeros(draft.values.shape)
    }
}

extension SpaceLevels {
    /// Name of the link whose slots a level of some role writes.
    func slotLink(of role: LevelDefinition.Role) -> String? {
        for tensor in levels.filter({ $0.definition.role == role }).flatMap(\.definition.adapted)
        where tensor.name.hasSuffix(".slots.values") {
            return String(tensor.name.dropLast(".slots.values".count))
        }
        return nil
    }

    /// The number that the next document in slots gets.
    var nextEpisode: Int {
        guard let link = slotLink(of: .acquisition) else { return 1 }
        guard let records = effective["\(link).slots.records"], case let used = SlotMemory.used(records), used > 0
        else { return 1 }
        // A document's slots follow those of the one before.
        return Int(records.pointer[2 * (used - 1)]) + 1
    }

    /// How many of a link's slots are in use, all levels together.
    func slotCount(_ link: String) -> Int {
        effective["\(link).slots.records"].map(SlotMemory.used) ?? 0
    }

    /// How many slots a link can have.
    func slotCapacity(_ link: String) -> Int {
        let records = levels.lazy.flatMap(\.definition.tensors).first { $0.name == "\(link).slots.records" }
        return records?.shape[0] ?? 0
    }

    /// Why the slots of all levels together are none that any learning can have written; nil where they may be. What
    /// searches them relies on it, and files come from anywhere.
    public var slotFault: String? {
        for name in effective.names where name.hasSuffix(".slots.records") {
            let link = name.dropLast(".slots.records".count)
            let parts = ["contexts", "keys", "values"].compactMap { effective["\(link).slots.\($0)"] }
            guard let records = effective[name], parts.count == 3,
                parts.allSatisfy({ $0.shape[0] == records.shape[0] })
            else { return "the contexts, keys, values and records of slots are not equally many" }
            if let fault = Self.fault(ofRecords: records) { return fault }
            for part in parts.prefix(2) {
                let width = part.shape[1]
                let isUnit = (0..<part.shape[0]).allSatisfy { row in
                    Float.dot(width, part.pointer + row * width, part.pointer + row * width) < 1.01
                }
                guard isUnit else { return "a slot's context or key is longer than 1" }
            }
        }
        return nil
    }

    private static func fault(ofRecords records: Tensor<Float>) -> String? {
        var last: Float = 1
        var isEmpty = false
        for row in 0..<records.shape[0] {
            let (episode, strictness) = (records.pointer[2 * row], records.pointer[2 * row + 1])
            if episode == 0 && strictness == 0 {
                isEmpty = true
                continue
            }
            guard !isEmpty, episode >= last, episode < Float(SlotWriter.mostEpisodes), episode == episode.rounded(),
                (0...1).contains(strictness)
                    || (AnswerMemory<Float>.unreachable...AnswerMemory<Float>.opening).contains(strictness)
                        && strictness == strictness.rounded()
            else { return "the records of slots do not number documents one after the other" }
            last = episode
        }
        return nil
    }

    /// What the slots of a link hold, all levels together.
    func slotMemory(_ link: String) -> SlotMemory<Float> {
        let (values, records) = slotValues(link)
        return SlotMemory(
            contexts: slotPart("contexts", link), keys: slotPart("keys", link), values: values, records: records)
    }

    /// What the slots of a link say, and their records.
    func slotValues(_ link: String) -> (values: Tensor<Float>, records: Tensor<Float>) {
        (slotPart("values", link), slotPart("records", link))
    }

    private func slotPart(_ name: String, _ link: String) -> Tensor<Float> {
        guard let tensor = effective["\(link).slots.\(name)"] else { preconditionFailure("\(link) has no slots") }
        return tensor
    }
}

extension Tensor {
    /// Some rows of a matrix, in the order asked for.
    func rows(_ wanted: [Int]) -> Tensor {
        let width = shape[1]
        let result = Tensor(uninitialized: [wanted.count, width])
        for (place, row) in wanted.enumerated() {
            (result.pointer + place * width).update(from: pointer + row * width, count: width)
        }
        return result
    }

    /// The same matrix with some rows replaced.
    func settingRows(_ places: [Int], to rows: Tensor) -> Tensor {
        let width = shape[1]
        let result = copy()
        for (row, place) in places.enumerated() {
            (result.pointer + place * width).update(from: rows.pointer + row * width, count: width)
        }
        return result
    }
}
