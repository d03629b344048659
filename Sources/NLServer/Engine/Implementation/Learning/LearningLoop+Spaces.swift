import Foundation
import Logging
import NLCore
import Store
import Synchronization

// The learner's own copies of the spaces: made, forked and deleted by others while it works.

extension LearningLoop {
    /// A space as the learner holds it, read from disk where it is new here.
    ///
    /// - Throws: ``UnknownSpace``; what reading and replaying throw.
    func memory(of name: String) throws -> SpaceMemory {
        guard let record = try context.store.read({ try $0.space(name) }) else { throw UnknownSpace(name: name) }
        // One of the same name may have been deleted since.
        if let known = spaces[name], known.created == record.created { return known }
        let memory = try SpaceMemory.load(name, model: context.model, store: context.store).memory
        spaces[name] = memory
        snapshotStandings[name] = nil
        measuring.drop(name)
        signals.setStanding(try memory.standing(context.store), of: name)
        try replay(name)
        return spaces[name] ?? memory
    }

    /// Lets go of spaces that have been deleted, and takes in those that are new, so that their schedules run.
    func synchronizeSpaces() {
        let names = Set(context.spaces.names)
        for name in spaces.keys where !names.contains(name) {
            spaces[name] = nil
            measuring.drop(name)
            context.journal.retention.withLock { $0[name] = nil }
            context.notices.clear(key: EngineContext.relearningKey(name))
        }
        for name in names.sorted() {
            do {
                // Reads again where another space has its name by now.
                _ = try memory(of: name)
            } catch is UnknownSpace {
                // Deleted just now.
            } catch {
                context.logger.error("space cannot be read", metadata: ["space": "\(name)", "error": "\(error)"])
                context.notices.post(
                    "space \"\(name)\" does not learn, because it cannot be read: \(error)", key: "space/\(name)")
            }
        }
    }

    /// Charges a space for the job that is about to end.
    func chargeLearningTime(to space: String, in transaction: StoreTransaction) throws {
        guard let began = jobBegan else { return }
        try transaction.addLearningTime(began.duration(to: .now).seconds, space: space)
    }
}

/// Work for a space that is not there.
struct UnknownSpace: Error, CustomStringConvertible {
    let name: String
    var description: String { "there is no space \"\(name)\"" }
}
