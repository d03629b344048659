import Logging
import NLCore
import Store

/// Brings texts of the journal to the learner, and decides which are rehearsed.
///
/// Every choice here is a function of the log up to an event and of the event's seed: a replay makes the same.
struct JournalReader: Sendable {
    /// Documents a learning event may rehearse. It needs a few dozen windows; reading all of a long journal for them
    /// would make each document cost more than the last.
    static let rehearsed = 64
    /// Documents a consolidation may rehearse.
    static let rehearsedInConsolidation = 512
    /// Older documents a consolidation is judged by.
    static let judged = 16

    let model: LoadedModel
    let store: MemoryStore
    let notices: NoticeBoard

    /// A document's text.
    ///
    /// - Throws: ``StoreError``.
    func text(space: String, document: String) throws -> String {
        try store.read { try $0.documentText(space: space, id: document) }
    }

    /// At most `count` of the entries, in the order of the log.
    func sample(_ entries: [JournalEntry], count: Int, seed: UInt64) -> [JournalEntry] {
        guard entries.count > count else { return entries }
        var random = SeededRandom(seed: seed)
        return entries.shuffled(using: &random).prefix(count).sorted { $0.event < $1.event }
    }

    /// The texts of some entries. One that is damaged is left out and reported: it must not stop all learning.
    /// So is one that was deleted since the entries were read.
    func texts(_ entries: [JournalEntry], space: String) throws -> [(document: String, text: LearningText)] {
        try texts(entries.map(\.document), space: space)
    }

    /// The texts of some documents, in the same way.
    func texts(_ documents: [String], space: String) throws -> [(document: String, text: LearningText)] {
        try documents.compactMap { document in
            do {
                return (document, model.learningText(try text(space: space, document: document)))
            } catch StoreError.damaged(_, let reason) {
                notices.post(
                    "document \"\(document)\" is damaged and is not rehearsed: \(reason)",
                    key: "document/\(space)/\(document)")
                return nil
            } catch StoreError.notFound {
                return nil
            }
        }
    }

    /// The first 64 bits of a text's digest: what an event's seed is derived from, beside its place in the log.
    static func digest(_ text: String) -> UInt64 {
        SHA256Digest(of: text).data.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
