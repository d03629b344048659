import NLCore
import Synchronization

/// Lays generations out for reading, in the precision the daemon serves with.
///
/// What did not change since the generation laid out before is shared with it: spaces that have learned nothing cost
/// nothing beside the model's own matrices, and a commit lays out what it changed.
final class ReadingLayout: Sendable {
    let precision: WeightPrecision
    private let latest = Mutex<HopeWeights<Float>?>(nil)

    init(_ precision: WeightPrecision) {
        self.precision = precision
    }

    /// A generation's effective parameters; tensors that its levels adapt are never rounded.
    ///
    /// - Throws: ``HopeWeightsError`` if the parameters are not those of the configuration.
    func weights(of levels: SpaceLevels) throws(HopeWeightsError) -> HopeWeights<Float> {
        let adapted = Set(levels.levels.flatMap { $0.definition.adapted.map(\.name) })
        let weights = try HopeWeights(
            levels.configuration, levels.effective, precision: precision, exact: adapted,
            sharing: latest.withLock { $0 })
        latest.withLock { $0 = weights }
        return weights
    }

    /// How the generation laid out last is held; nothing before the first.
    var held: HeldWeights { latest.withLock { $0?.held } ?? HeldWeights() }
}
