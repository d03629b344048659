import NLCore

/// Which cases of a set are used, in which order: a pure function of the options.
struct CaseSelection: Sendable, Equatable {
    /// One half tunes, the other reports, so that no figure is of cases it was tuned on.
    enum Half: String, Sendable, CaseIterable {
        /// The cases at even places, from 0: to tune on.
        case a
        /// Those at odd places: to report.
        case b
    }

    /// Nil: all.
    var half: Half?
    /// 0 keeps the order of the file; any other shuffles.
    var seed: UInt64 = 0

    /// The cases of a file that are used.
    func of<Case>(_ cases: [Case]) -> [Case] {
        var kept = cases
        if let half {
            let parity = half == .a ? 0 : 1
            kept = cases.enumerated().filter { $0.offset % 2 == parity }.map(\.element)
        }
        guard seed != 0 else { return kept }
        var random = SeededRandom(seed: seed)
        return kept.shuffled(using: &random)
    }
}
