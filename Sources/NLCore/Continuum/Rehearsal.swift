/// Older texts read again between new ones, so that learning the new does not cost the old.
///
/// Half of what is rehearsed comes from the journal, half from the anchors (general text shipped with the model).
/// Which text comes next is a pure function of the seed.
public struct Rehearsal: Sendable {
    /// A window of an older text.
    public struct Window: Sendable {
        /// The tokens read.
        public let inputs: [Int32]
        /// The token after each.
        public let targets: [Int32]
        /// Whether it is general text, not a document of the journal.
        public let isAnchor: Bool
        /// Tokens of the whole text.
        public let textLength: Int
    }

    let journal: [LearningText]
    let anchors: [LearningText]
    var random: SeededRandom
    var drawsAnchor = false

    /// A source of texts to rehearse.
    ///
    /// - Parameters:
    ///   - journal: documents learned before.
    ///   - anchors: windows of general text.
    ///   - seed: decides what is drawn, and in which order.
    public init(journal: [LearningText], anchors: [LearningText], seed: UInt64) {
        self.journal = journal
        self.anchors = anchors
        random = SeededRandom(seed: seed)
    }

    /// Whether there is general text.
    public var hasAnchors: Bool { !anchors.isEmpty }

    /// Whether there is nothing to rehearse.
    public var isEmpty: Bool { journal.isEmpty && anchors.isEmpty }

    /// A window of the next text: from the journal and the anchors in turn, or from the one that is not empty.
    ///
    /// A text longer than a window is entered at a random window, with fresh memory.
    public mutating func next(windowSize: Int) -> Window? {
        drawsAnchor.toggle()
        let isAnchor = drawsAnchor && !anchors.isEmpty || journal.isEmpty
        let source = isAnchor ? anchors : journal
        guard !source.isEmpty else { return nil }
        let text = source[random.nextIndex(below: source.count)]
        let windows = text.windows(of: windowSize)
        let range = windows[random.nextIndex(below: windows.count)]
        return Window(
            inputs: Array(text.inputs[range]), targets: Array(text.targets[range]), isAnchor: isAnchor,
            textLength: text.tokenCount)
    }
}
