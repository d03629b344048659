import Logging
import NLCore
import Store

extension LearningLoop {
    /// Does again what the log has and the levels have not: the newest generation was damaged, and an older one is
    /// used.
    ///
    /// Each event is done with its own settings and seed, so the levels end as they were, to the last bit.
    func replay(_ name: String) throws {
        // Another model's: it is learned again, not replayed.
        guard try context.store.read({ try $0.relearningJob(space: name) }) == nil else { return }
        var isAnnounced = false
        while let space = spaces[name] {
            let events = try context.store.read { try $0.events(space: name, after: space.event, limit: 1) }
            guard let event = events.first else { break }
            if !isAnnounced {
                isAnnounced = true
                let from = space.generation.map { "generation \($0)" } ?? "the model file"
                context.logger.notice(
                    "replaying the log", metadata: ["space": "\(name)", "after_event": "\(space.event)"])
                context.notices.post(
                    "space \"\(name)\" is being rebuilt from \(from) and the log of events", key: "replay/\(name)")
            }
            try replay(event, in: space)
        }
        guard isAnnounced, let space = spaces[name] else { return }
        context.notices.clear(key: "replay/\(name)")
        context.logger.notice("the log is replayed", metadata: ["space": "\(name)", "event": "\(space.event)"])
        signals.setStanding(try space.standing(context.store), of: name)
    }

    /// Does one event again, in the state it was done in.
    func replay(_ event: EventRecord, in space: SpaceMemory) throws {
        do {
            switch event.kind {
            case .learn: try replayLearning(event, in: space)
            case .consolidate: try replayConsolidation(event, in: space)
            case .restore: try replayRestore(event, in: space)
            case .forget: spaces[space.name]?.event = event.sequence
            }
        } catch let interruption as LearningInterruption {
            throw interruption
        } catch {
            skip(event, because: error)
        }
    }

    /// Goes on without an event: one that cannot be repeated (its document's text is damaged) must not cost those after
    /// it.
    func skip(_ event: EventRecord, because error: any Error) {
        context.logger.error(
            "event cannot be replayed", metadata: ["event": "\(event.sequence)", "error": "\(error)"])
        context.notices.post(
            "event \(event.sequence) of space \"\(event.space)\" cannot be replayed: \(error)",
            key: "event/\(event.space)/\(event.sequence)")
        spaces[event.space]?.event = event.sequence
    }

    /// A replay is exact only with the anchors of its time; others are reported.
    func checkAnchors(_ digest: String, of event: EventRecord) {
        guard digest != context.model.anchors.digest else { return }
        context.logger.warning("anchors have changed", metadata: ["event": "\(event.sequence)"])
        context.notices.post(
            "anchors.txt is not the one that event \(event.sequence) was learned with; its replay is not exact",
            key: "replayed-anchors")
    }
}
