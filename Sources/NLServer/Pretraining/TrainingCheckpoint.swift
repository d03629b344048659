import Foundation
import NLCore
import Store

/// A run after some step: everything needed to go on as if it had never stopped.
struct TrainingCheckpoint {
    var settings: PretrainingSettings
    var parameters: ParameterSet<Float>
    var optimizer: PretrainingOptimizer
    var progress: TrainingProgress

    /// Names of the moments in the file; the parameters carry the names of a model file.
    private static let (first, second) = ("adamw.first.", "adamw.second.")
    private static let momentum = "muon.momentum."

    /// Writes the checkpoint in one step; a crash leaves no half of it.
    func write(to url: URL) throws {
        var tensors: [(name: String, tensor: Tensor<Float>)] = parameters.entries
        tensors += optimizer.adamW.firstMoments.entries.map { (Self.first + $0.name, $0.tensor) }
        tensors += optimizer.adamW.secondMoments.entries.map { (Self.second + $0.name, $0.tensor) }
        tensors += (optimizer.muon?.momenta.entries ?? []).map { (Self.momentum + $0.name, $0.tensor) }
        var writer = SafetensorsWriter(metadata: [
            "format": "nlserver-training", "settings": try settings.json(),
            "optimizer_steps": String(optimizer.adamW.stepCount),
            "progress": String(decoding: try JSONEncoder().encode(progress), as: UTF8.self),
            "content_sha256": digest(of: tensors.map(\.tensor.elements)).hex,
        ])
        for (name, tensor) in tensors { try writer.add(name, shape: tensor.shape.axes, floats: tensor.elements) }
        try writer.write(to: url)
    }

    /// Reads a checkpoint back, bit for bit.
    ///
    /// - Throws: whatever is wrong with the file, ``PretrainingError`` where it is the content.
    init(contentsOf url: URL) throws {
        let file = try SafetensorsFile(contentsOf: url)
        func metadata(_ key: String) throws -> String {
            guard let value = file.metadata[key] else {
                throw PretrainingError("\(url.path): no \"\(key)\" in its metadata")
            }
            return value
        }
        settings = try PretrainingSettings(json: metadata("settings"))
        progress = try JSONDecoder().decode(TrainingProgress.self, from: Data(metadata("progress").utf8))
        guard let steps = Int(try metadata("optimizer_steps")) else {
            throw PretrainingError("\(url.path): \"optimizer_steps\" is not a number")
        }
        var sets = (ParameterSet<Float>(), ParameterSet<Float>(), ParameterSet<Float>())
        var momenta = ParameterSet<Float>()
        var contents: [[Float]] = []
        for description in file.tensors {
            let values = try file.floats(named: description.name)
            contents.append(values)
            let tensor = Tensor(values, shape: Shape(description.shape))
            if description.name.hasPrefix(Self.first) {
                sets.1[String(description.name.dropFirst(Self.first.count))] = tensor
            } else if description.name.hasPrefix(Self.second) {
                sets.2[String(description.name.dropFirst(Self.second.count))] = tensor
            } else if description.name.hasPrefix(Self.momentum) {
                momenta[String(description.name.dropFirst(Self.momentum.count))] = tensor
            } else {
                sets.0[description.name] = tensor
            }
        }
        guard digest(of: contents).hex == (try metadata("content_sha256")) else {
            throw PretrainingError("\(url.path): its content does not match its checksum")
        }
        parameters = sets.0
        optimizer = PretrainingOptimizer(
            adamW: AdamW(settings.optimizer, firstMoments: sets.1, secondMoments: sets.2, stepCount: steps),
            muon: settings.muon.map { Muon($0, momenta: momenta) })
    }

    init(
        settings: PretrainingSettings, parameters: ParameterSet<Float>, optimizer: PretrainingOptimizer,
        progress: TrainingProgress
    ) {
        self.settings = settings
        self.parameters = parameters
        self.optimizer = optimizer
        self.progress = progress
    }
}

/// How far a run is, and how it went.
struct TrainingProgress: Codable, Equatable {
    /// Steps done, skipped ones included: the number of the next step.
    var step = 0
    /// Steps whose loss or gradients were not finite, and which changed nothing.
    var skipped = 0
    /// How many of the latest steps in a row were skipped.
    var skippedInARow = 0
    /// Mean of the loss in nats a token, over about the last 20 steps.
    var loss: Double?
    /// Bits per byte of the held-out text when last measured.
    var heldOut: Double?
    /// The step after which it was measured.
    var heldOutStep: Int?

    /// Counts a step's loss in.
    mutating func note(loss newest: Double) { loss = loss.map { $0 + 0.05 * (newest - $0) } ?? newest }
}

private func digest(of contents: [[Float]]) -> SHA256Digest {
    var hasher = SHA256Hasher()
    for values in contents { values.withUnsafeBytes { hasher.update($0) } }
    return hasher.finalize()
}
