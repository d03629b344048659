import ArgumentParser
import Foundation
import NLCore

/// The geometry of the model, from a `config.json` or from options.
struct ModelOptions: ParsableArguments {
    @Option(help: "Take the geometry from this config.json; the options below then don't count.")
    var config: String?
    @Option(help: "D, the width. (default: 256)")
    var hiddenSize: Int?
    @Option(help: "L, the number of blocks. (default: 6)")
    var layers: Int?
    @Option(help: "H, the number of heads. (default: 4)")
    var heads: Int?
    @Option(
        help: """
            CMS levels, fastest first: name:hidden_multiple:chunk_size, separated by commas. \
            (default: \(ModelOptions.defaultLevels))
            """)
    var levels: String?

    @Flag(
        help: """
            Give the levels' links a gate, W↓ (silu(W_gate u) ⊙ W↑ u): half as many weights again at the same \
            hidden_multiple.
            """)
    var gatedLinks = false

    static let defaultLevels = "fast:2:64,medium:2:512,slow:4:8192"
    @Option(help: "C, tokens between two writes of the main memory. (default: 16)")
    var chunkSize: Int?
    @Option(help: "C_p, tokens between two writes of the other memories. (default: 64)")
    var projectionChunkSize: Int?
    @Option(help: "Hidden width of a memory, in units of a head's width. (default: 1)")
    var memoryHiddenMultiple: Int?
    @Option(help: "Taps of the causal convolution. (default: 4)")
    var convWindow: Int?
    @Option(help: "η_max, the most that a memory's write steps; up to 1. (default: 0.1)")
    var stepSizeMax: Double?

    func configuration(tokenizer: PreparedTokenizer) throws -> HopeConfiguration {
        let vocabulary = tokenizer.tokenizer.vocabularySize
        if let config {
            let read = try Self.configuration(of: config)
            guard read.vocabularySize >= vocabulary else {
                throw PretrainingError(
                    "\(config): \"vocab_size\" is \(read.vocabularySize), the tokenizer has \(vocabulary) tokens")
            }
            return read
        }
        var result = HopeConfiguration(
            vocabularySize: vocabulary, width: hiddenSize ?? 256, layers: layers ?? 6, heads: heads ?? 4,
            levels: try parsedLevels())
        result.chunkSize = chunkSize ?? 16
        result.projectionChunkSize = projectionChunkSize ?? 64
        result.memoryHiddenMultiple = memoryHiddenMultiple ?? 1
        result.convolutionWindow = convWindow ?? 4
        result.stepSizeMaximum = stepSizeMax ?? result.stepSizeMaximum
        return result
    }

    /// Reads a `config.json`.
    static func configuration(of path: String) throws -> HopeConfiguration {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw PretrainingError("\(path): no such file, or it may not be read")
        }
        let configuration: HopeConfiguration
        do {
            configuration = try JSONDecoder().decode(HopeConfiguration.self, from: data)
        } catch {
            throw PretrainingError("\(path): \(error)")
        }
        if let slotted = configuration.levels.first(where: { $0.slots != nil }) {
            throw PretrainingError(
                "\(path): level \(slotted.name) has slots, which are laid out over a trained model; take \"slots\" out, and "
                    + "what \"adapts\" them, and give the model its slots with nlserver add-slots once it is trained")
        }
        return configuration
    }

    func parsedLevels() throws -> [HopeConfiguration.Level] {
        try (levels ?? Self.defaultLevels).split(separator: ",").map { level in
            let parts = level.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 3, !parts[0].isEmpty, let multiple = Int(parts[1]), let chunk = Int(parts[2]) else {
                throw PretrainingError(
                    "--levels: \"\(level)\" is not name:hidden_multiple:chunk_size, such as fast:2:64")
            }
            var level = HopeConfiguration.Level(name: String(parts[0]), hiddenMultiple: multiple, chunkSize: chunk)
            level.isGated = gatedLinks
            return level
        }
    }
}

/// What moves the matrices.
enum PretrainingRule: String, CaseIterable, ExpressibleByArgument { case adamw, muon }

/// How it is trained.
struct TrainingOptions: ParsableArguments {
    @Option(help: "Sequences a step.")
    var batchSize = 8
    @Option(help: "Tokens a sequence.")
    var sequenceLength = 256
    @Option(help: "Sequences computed on one core at a time; the gradients of a step are summed over them.")
    var microBatch: Int?
    @Option(
        help: """
            Of a step's sequences, how many are read as a session reads them, the fast level learning on the way; the loss \
            is taken after its updates. For a last phase of training.
            """)
    var fastLevelSequences = 0
    @Option(help: "Steps to train for.")
    var steps: Int?
    @Option(help: "Tokens to train on, instead of --steps.")
    var tokens: Int?
    @Option(help: "adamw, or muon: Muon for the matrices from features to features, AdamW for the rest.")
    var optimizer = PretrainingRule.adamw
    @Option(
        help: """
            f32; bf16: dense products of numbers rounded to bfloat16, with sums, parameters and memories in f32, faster \
            where the processor multiplies bfloat16; or auto: bf16 there, f32 elsewhere. Another precision is another run.
            """)
    var precision = PrecisionChoice.f32
    @Option(help: "Learning rate after the warm-up, of what AdamW takes.")
    var learningRate = 2e-3
    @Option(help: "The same of what Muon takes; it follows the same schedule.")
    var muonLearningRate = 0.02
    @Option(help: "Learning rate of the last step; a tenth of the highest unless said.")
    var minLearningRate: Double?
    @Option(help: "Steps until the learning rate is at its highest.")
    var warmup = 200
    @Option(help: "Decoupled weight decay of the matrices.")
    var weightDecay = 0.1
    @Option(help: "Largest norm of a step's gradients.")
    var clip = 1.0
    @Option(help: "Seed of the initial parameters and of the order of the data.")
    var seed: UInt64 = 1

    func validate() throws {
        guard (steps == nil) != (tokens == nil) else { throw ValidationError("give either --steps N or --tokens N") }
        guard batchSize >= 1 && sequenceLength >= 1 && (microBatch ?? 1) >= 1 && warmup >= 0 else {
            throw ValidationError(
                "--batch-size, --sequence-length and --micro-batch must be at least 1, --warmup not negative")
        }
        guard (0...batchSize).contains(fastLevelSequences) else {
            throw ValidationError("--fast-level-sequences must lie between 0 and --batch-size, \(batchSize)")
        }
        guard steps ?? 1 >= 1 && tokens ?? 1 >= 1 else {
            throw ValidationError("there must be something to train: --steps and --tokens are at least 1")
        }
        guard learningRate > 0 && learningRate.isFinite && clip > 0 && weightDecay >= 0 && weightDecay.isFinite else {
            throw ValidationError("--learning-rate and --clip must be positive, --weight-decay not negative")
        }
        guard muonLearningRate > 0 && muonLearningRate.isFinite else {
            throw ValidationError("--muon-learning-rate must be positive")
        }
        guard precision.products.isUsable else {
            throw ValidationError(
                "--precision \(precision.rawValue): \(PrecisionChoice.refusal)"
            )
        }
        guard (0...learningRate).contains(minLearningRate ?? 0) else {
            throw ValidationError("--min-learning-rate must lie between 0 and --learning-rate")
        }
    }

    func settings(model: HopeConfiguration, tokenizer: String, data: String) -> PretrainingSettings {
        let perStep = batchSize * sequenceLength
        let total = steps ?? ((tokens ?? 0) + perStep - 1) / perStep
        let schedule = LearningRateSchedule(
            peak: learningRate, floor: minLearningRate ?? learningRate / 10, warmupSteps: warmup, totalSteps: total)
        var settings = PretrainingSettings(
            model: model, schedule: schedule, batchSize: batchSize, sequenceLength: sequenceLength,
            microBatch: microBatch ?? max(1, batchSize / 4), clip: clip, seed: seed, tokenizer: tokenizer, data: data)
        settings.optimizer.weightDecay = weightDecay
        settings.precision = precision.noted
        settings.fastLevelSequences = fastLevelSequences == 0 ? nil : fastLevelSequences
        if optimizer == .muon {
            var muon = Muon<Float>.Settings()
            (muon.learningRate, muon.weightDecay) = (muonLearningRate, weightDecay)
            settings.muon = muon
        }
        return settings
    }
}
