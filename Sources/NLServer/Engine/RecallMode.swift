/// Where an answer may take its knowledge from.
enum RecallMode: String, Sendable, CaseIterable {
    /// What the levels have learned; no document is read again.
    case weights
    /// Passages of the journal, read before the prompt by the untouched base: retrieval, to compare with.
    case journal
    /// Both.
    case both
}

/// A document of the journal that was read before a prompt.
struct RecalledDocument: Sendable, Equatable {
    var id: String
    /// Of its nearest passage, as a share of the nearest of all: 1 for the first.
    var score: Double
}
