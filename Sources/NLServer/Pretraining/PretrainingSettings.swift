import Foundation
import NLCore

/// Everything that the parameters after a given step depend on. Two runs with equal settings are the same run.
struct PretrainingSettings: Codable, Equatable {
    var model: HopeConfiguration
    var optimizer = AdamW<Float>.Settings()
    /// Of the matrices from features to features; nil: AdamW takes them too.
    var muon: Muon<Float>.Settings?
    /// What dense products are multiplied in; nil: f32, as in checkpoints from before there was a choice.
    var precision: ProductPrecision?
    /// Of a step's sequences, those in which the fast level learns (``FastLevelStep``); nil: none.
    var fastLevelSequences: Int?
    /// SHA-256 of the weights it began with; nil: random ones.
    var origin: String?
    var schedule: LearningRateSchedule
    var batchSize: Int
    var sequenceLength: Int
    var microBatch: Int
    /// Largest global norm of a step's gradients.
    var clip: Double
    var seed: UInt64
    /// SHA-256 of the tokenizer's file.
    var tokenizer: String
    /// SHA-256 of the training tokens.
    var data: String

    /// Tokens a step trains on.
    var tokensPerStep: Int { batchSize * sequenceLength }

    enum CodingKeys: String, CodingKey {
        case model, optimizer, muon, precision, origin, schedule, clip, seed, tokenizer, data
        case batchSize = "batch_size"
        case sequenceLength = "sequence_length"
        case microBatch = "micro_batch"
        case fastLevelSequences = "fast_level_sequences"
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    init(
        model: HopeConfiguration, schedule: LearningRateSchedule, batchSize: Int, sequenceLength: Int, microBatch: Int,
        clip: Double, seed: UInt64, tokenizer: String, data: String
    ) {
        self.model = model
        self.schedule = schedule
        self.batchSize = batchSize
        self.sequenceLength = sequenceLength
        self.microBatch = microBatch
        self.clip = clip
        self.seed = seed
        self.tokenizer = tokenizer
        self.data = data
    }

    init(json: String) throws {
        self = try JSONDecoder().decode(PretrainingSettings.self, from: Data(json.utf8))
    }

    /// The keys in which a checkpoint's settings differ, with both values: `model.hidden_size is 128, the checkpoint
    /// has 256`; nil if they are equal.
    func difference(from checkpoint: PretrainingSettings) throws -> String? {
        guard self != checkpoint else { return nil }
        return try JSONDifference.lines(self, checkpoint)
            .map { "\($0.key) is \($0.first), the checkpoint has \($0.second)" }.joined(separator: "; ")
    }
}
