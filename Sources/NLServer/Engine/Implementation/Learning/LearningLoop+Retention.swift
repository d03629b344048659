import Foundation
import Logging
import NLCore
import Store
import Synchronization

extension LearningLoop {
    /// Reads one window of the document whose measurement is oldest, if the budget allows and nothing else waits.
    ///
    /// - Returns: whether a window was read, so that jobs are looked for before the next.
    func measureNext() throws -> Bool {
        guard measuring.mayRead() else { return false }
        guard var current = try measuring.current ?? nextMeasurement() else { return false }
        try yield()
        let before = current.measurement.tokenCount
        do {
            try current.measurement.step(parameters: current.levels.effective)
        } catch {
            setAside(current, because: error)
            return true
        }
        measuring.spend(current.measurement.tokenCount - before)
        measuring.current = current
        guard current.measurement.isFinished, let loss = current.measurement.losses.first else { return true }
        measuring.current = nil
        _ = try write { transaction in
            try transaction.recordMeasurement(
                space: current.space, document: current.document, loss: loss, generation: current.generation)
        }
        measuring.staleFigures.insert(current.space)
        return true
    }

    /// The document that was not measured for longest, of all spaces.
    private func nextMeasurement() throws -> Remeasurement.Current? {
        while let (space, generation, document) = try oldestMeasurement() {
            if let text = try reader.texts([document], space: space.name).first?.text {
                return Remeasurement.Current(
                    space: space.name, document: document, generation: generation, levels: space.levels,
                    measurement: TextMeasurement(
                        [text], configuration: context.model.configuration, windowSize: context.model.windowSize,
                        precision: context.configuration.learnPrecision.products))
            }
            measuring.unmeasurable.insert("\(space.name)/\(document)")
        }
        return nil
    }

    private func oldestMeasurement() throws -> (space: SpaceMemory, generation: Int64, document: String)? {
        var oldest: (space: SpaceMemory, generation: Int64, document: Store.DocumentRecord)?
        for name in spaces.keys.sorted() where !measuring.isFinished(name) {
            guard let space = spaces[name], let generation = space.generation else { continue }
            let found = try context.store.read {
                try $0.documentsToMeasure(
                    space: name, generation: generation, limit: measuring.unmeasurable.count + 1)
            }
            guard let next = found.first(where: { !measuring.unmeasurable.contains("\(name)/\($0.id)") }) else {
                measuring.noteFinished(name)
                continue
            }
            let isOlder = oldest.map { time(of: next) < time(of: $0.document) } ?? true
            if isOlder { oldest = (space, generation, next) }
        }
        return oldest.map { ($0.space, $0.generation, $0.document.id) }
    }

    private func time(of document: Store.DocumentRecord) -> Double {
        document.measurement.at?.timeIntervalSince1970 ?? -.infinity
    }

    private func setAside(_ current: Remeasurement.Current, because error: NumericsError) {
        measuring.current = nil
        measuring.unmeasurable.insert("\(current.space)/\(current.document)")
        context.logger.error(
            "document cannot be measured",
            metadata: ["document": "\(current.space)/\(current.document)", "error": "\(error)"])
    }

    /// Brings the figures that `/metrics` shows up to date, while nobody waits.
    func refreshRetention() throws {
        for space in measuring.staleFigures.sorted() {
            guard spaces[space] != nil else {
                measuring.staleFigures.remove(space)
                continue
            }
            let figures = try context.store.read { try $0.retention(space: space) }
            context.journal.retention.withLock { $0[space] = figures }
            measuring.staleFigures.remove(space)
        }
    }
}
