import Foundation
import NLCore

/// The training loop: from a fresh model or a checkpoint to the last step.
final class PretrainingRun {
    /// What does not change the outcome.
    struct Options {
        var output: URL
        var checkpointEvery: CheckpointInterval
        var keep: Int
        var heldOut: HeldOutText?
        var heldOutEvery: Int
        /// The command line, for the model's metadata.
        var command: String
        var tokenizerJSON: Data
    }

    /// Steps in a row whose numbers may be wrong before a run gives up.
    static let skipLimit = 10

    private let settings: PretrainingSettings
    private let options: Options
    private let order: TrainingOrder
    private let reporter: ProgressReporter
    private let checkpoints: CheckpointDirectory
    private var parameters: ParameterSet<Float>
    private var optimizer: PretrainingOptimizer
    private(set) var progress: TrainingProgress
    private var savedStep: Int?

    /// A run that begins, or goes on where the newest whole checkpoint in the output directory ended.
    ///
    /// - Parameter origin: the parameters of a run that begins; nil: random ones.
    /// - Throws: ``PretrainingError`` if the checkpoint is of a run with other settings, naming the first that differs.
    init(
        _ settings: PretrainingSettings, corpus: TokenCorpus, options: Options, reporter: ProgressReporter,
        mustResume: Bool, origin: ParameterSet<Float>? = nil
    ) throws {
        self.settings = settings
        self.options = options
        self.reporter = reporter
        order = try TrainingOrder(
            corpus, seed: settings.seed, sequenceLength: settings.sequenceLength, batch: settings.batchSize)
        checkpoints = CheckpointDirectory(url: options.output.appending(path: "checkpoints"), keep: options.keep)
        try checkpoints.removeLeftovers()
        if let checkpoint = try checkpoints.newest(note: reporter.note) {
            if let difference = try settings.difference(from: checkpoint.settings) {
                throw PretrainingError(
                    "\(options.output.path) holds another run: \(difference). Repeat its options to resume it, or choose another --output"
                )
            }
            parameters = checkpoint.parameters
            optimizer = checkpoint.optimizer
            progress = checkpoint.progress
            savedStep = progress.step
            reporter.note("resuming after step \(progress.step)")
        } else {
            guard !mustResume else { throw PretrainingError("--resume: no checkpoint in \(checkpoints.url.path)") }
            // Steps are taken in place, and the caller's tensors are the caller's.
            parameters = origin?.copy() ?? .initial(settings.model, seed: settings.seed)
            optimizer = PretrainingOptimizer(settings, for: parameters)
            progress = TrainingProgress()
        }
        reporter.note(
            "\(parameters.parameterCount) parameters, \(settings.schedule.totalSteps) steps of \(settings.tokensPerStep) tokens, \(order.windows) sequences an epoch"
        )
    }

    /// Trains until the last step, or until `isStopped` says to end after the current one.
    ///
    /// - Returns: whether the last step was reached.
    @discardableResult
    func train(until isStopped: () -> Bool) throws -> Bool {
        let step = try MixedStep(settings)
        var clock = CheckpointClock(options.checkpointEvery)
        while progress.step < settings.schedule.totalSteps && !isStopped() {
            try takeStep(step)
            if clock.isDue(after: progress.step) {
                do {
                    try save()
                } catch {
                    // A full disk may be emptied before the next checkpoint is due; hours of training can't be had back.
                    reporter.note("no checkpoint after step \(progress.step): \(error); training goes on")
                }
            }
        }
        let isDone = progress.step >= settings.schedule.totalSteps
        try save()
        return isDone
    }

    private func takeStep(_ step: MixedStep) throws {
        let tokens = order.batch(at: progress.step)
        let rate = settings.schedule.rate(at: progress.step)
        let outcome = step(parameters, tokens: tokens)
        var norm: Double?
        progress.step += 1
        do throws(NumericsError) {
            guard outcome.loss.isFinite else { throw .nonFiniteLoss }
            let clipping = try GradientClipping.factor(for: outcome.gradients, maximumNorm: settings.clip)
            norm = clipping.norm
            optimizer.step(
                progress.step - 1, parameters: parameters, gradients: outcome.gradients, schedule: settings.schedule,
                gradientScale: clipping.factor)
            progress.note(loss: outcome.loss)
            progress.skippedInARow = 0
        } catch {
            progress.skipped += 1
            progress.skippedInARow += 1
            reporter.note("step \(progress.step) skipped: \(error)")
            if progress.skippedInARow >= Self.skipLimit {
                throw PretrainingError(
                    "stopped: \(Self.skipLimit) steps in a row had no finite loss or gradient. Delete the checkpoints after the loss began to rise, and try a smaller --learning-rate or a longer --warmup"
                )
            }
        }
        let isLast = progress.step == settings.schedule.totalSteps
        if isLast || progress.step % options.heldOutEvery == 0 { measureHeldOut() }
        try reporter.step(progress, loss: outcome.loss, learningRate: rate, gradientNorm: norm)
    }

    private func measureHeldOut() {
        guard let heldOut = options.heldOut else { return }
        progress.heldOut = heldOut.bitsPerByte(parameters, settings.model)
        progress.heldOutStep = progress.step
    }

    /// Writes the checkpoint, and the model as it is now beside it.
    private func save() throws {
        guard savedStep != progress.step else { return }
        try checkpoints.save(
            TrainingCheckpoint(settings: settings, parameters: parameters, optimizer: optimizer, progress: progress))
        savedStep = progress.step
        try ModelOutput(url: options.output).write(
            parameters, settings.model, tokenizer: options.tokenizerJSON, metadata: trainingFacts())
    }

    private func trainingFacts() -> [String: String] {
        var facts = [
            "format": "pt", "step": String(progress.step), "tokens": String(progress.step * settings.tokensPerStep),
            "skipped_steps": String(progress.skipped), "seed": String(settings.seed), "command": options.command,
            "data_sha256": settings.data, "tokenizer_sha256": settings.tokenizer,
        ]
        facts["optimizer"] = settings.muon == nil ? "adamw" : "muon"
        facts["precision"] = (settings.precision ?? .f32).rawValue
        if let learning = settings.fastLevelSequences {
            facts["fast_level_sequences"] = "\(learning) of \(settings.batchSize)"
        }
        facts["from_weights_sha256"] = settings.origin
        if let loss = progress.loss { facts["training_loss"] = String(loss) }
        if let heldOut = progress.heldOut, let step = progress.heldOutStep {
            facts["held_out_bits_per_byte"] = String(heldOut)
            facts["held_out_step"] = String(step)
        }
        return facts
    }
}
