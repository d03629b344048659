import Foundation

/// The checkpoints of a run: `step-000001000.safetensors` and so on, of which the newest few are kept.
struct CheckpointDirectory {
    let url: URL
    /// How many are kept.
    let keep: Int

    /// Writes a checkpoint, then removes those that are no longer kept.
    func save(_ checkpoint: TrainingCheckpoint) throws {
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        try checkpoint.write(to: file(atStep: checkpoint.progress.step))
        for step in try steps().dropLast(keep) { try FileManager.default.removeItem(at: file(atStep: step)) }
    }

    /// Removes what a crash in the middle of writing left behind.
    func removeLeftovers() throws {
        guard FileManager.default.fileExists(atPath: url.path) else { return }
        for name in try FileManager.default.contentsOfDirectory(atPath: url.path) where name.contains(".partial") {
            try FileManager.default.removeItem(at: url.appending(path: name))
        }
    }

    /// The newest checkpoint that is whole; those that are not are reported and passed over.
    ///
    /// - Throws: ``PretrainingError`` if there are checkpoints, and none is whole.
    func newest(note: (String) -> Void) throws -> TrainingCheckpoint? {
        let steps = try steps()
        for step in steps.reversed() {
            do {
                return try TrainingCheckpoint(contentsOf: file(atStep: step))
            } catch {
                note("damaged checkpoint passed over: \(error)")
            }
        }
        guard steps.isEmpty else {
            throw PretrainingError(
                "none of the \(steps.count) checkpoints in \(url.path) is whole; delete them to start over")
        }
        return nil
    }

    /// The steps that have a file, ascending.
    func steps() throws -> [Int] {
        guard FileManager.default.fileExists(atPath: url.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: url.path).compactMap { name in
            guard name.hasPrefix("step-") && name.hasSuffix(".safetensors") else { return nil }
            return Int(name.dropFirst("step-".count).dropLast(".safetensors".count))
        }.sorted()
    }

    func file(atStep step: Int) -> URL {
        let digits = String(step)
        return url.appending(
            path: "step-\(String(repeating: "0", count: max(0, 9 - digits.count)))\(digits).safetensors")
    }
}
