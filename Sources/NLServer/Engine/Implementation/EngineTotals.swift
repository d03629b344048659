import Synchronization

/// What the engine has done since it started; totals never fall.
final class EngineTotals: Sendable {
    struct Counts: Sendable {
        var promptTokens = 0
        var completionTokens = 0
        var learnedTokens = 0
        var documentsLearned = 0
        var documentsFailed = 0
        var consolidationsAdopted = 0
        var consolidationsRejected = 0
    }

    private let counts = Mutex(Counts())

    /// The counts now.
    var now: Counts { counts.withLock { $0 } }

    /// Changes the counts.
    func add(_ change: (inout Counts) -> Void) { counts.withLock { change(&$0) } }
}

/// Facts an operator wants to see although they stop nothing, each under a key so that it can be taken back.
final class NoticeBoard: Sendable {
    /// More than anybody reads; the oldest make room.
    private static let capacity = 32

    private let notices = Mutex<[(key: String, text: String)]>([])

    /// What is on the board, oldest first.
    var texts: [String] { notices.withLock { $0.map(\.text) } }

    /// Puts a fact up, in place of what was there under the same key.
    func post(_ text: String, key: String) {
        notices.withLock { notices in
            notices.removeAll { $0.key == key }
            notices.append((key, text))
            if notices.count > Self.capacity { notices.removeFirst() }
        }
    }

    /// Takes a fact down; says whether it was up.
    @discardableResult
    func clear(key: String) -> Bool {
        notices.withLock { notices in
            let before = notices.count
            notices.removeAll { $0.key == key }
            return notices.count < before
        }
    }
}

/// What the serving side counts, from memory.
struct ServingStatistics: Sendable {
    var queued = 0
    var running = 0
    var sessionsStored = 0
    var sessionsInUse = 0
}
