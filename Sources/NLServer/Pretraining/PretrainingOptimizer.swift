import NLCore

/// What moves the parameters in pretraining: AdamW, or Muon for the matrices from features to features and AdamW for
/// the rest (embedding, head, gains, biases, initial states).
struct PretrainingOptimizer {
    /// Of all tensors that ``muon`` does not have.
    var adamW: AdamW<Float>
    var muon: Muon<Float>?

    init(adamW: AdamW<Float>, muon: Muon<Float>?) {
        self.adamW = adamW
        self.muon = muon
    }

    /// An optimizer that has seen no gradient of these parameters yet.
    init(_ settings: PretrainingSettings, for parameters: ParameterSet<Float>) {
        guard let muon = settings.muon else {
            self.init(adamW: AdamW(settings.optimizer, for: parameters), muon: nil)
            return
        }
        var (matrices, rest) = (ParameterSet<Float>(), ParameterSet<Float>())
        for (name, tensor) in parameters.entries {
            if Muon<Float>.takes(name, tensor.shape) { matrices[name] = tensor } else { rest[name] = tensor }
        }
        self.init(adamW: AdamW(settings.optimizer, for: rest), muon: Muon(muon, for: matrices))
    }

    /// Takes one step, in place.
    ///
    /// - Parameter schedule: gives AdamW's rate; Muon's own is in the same proportion to its peak.
    mutating func step(
        _ number: Int, parameters: ParameterSet<Float>, gradients: ParameterSet<Float>,
        schedule: LearningRateSchedule, gradientScale: Double
    ) {
        let rate = schedule.rate(at: number)
        adamW.step(
            parameters: parameters.only(adamW.firstMoments.names), gradients: gradients, learningRate: rate,
            gradientScale: gradientScale)
        guard let muon else { return }
        muon.step(
            parameters: parameters.only(muon.momenta.names), gradients: gradients,
            learningRate: muon.settings.learningRate * rate / schedule.peak, gradientScale: gradientScale)
    }
}

extension ParameterSet {
    /// The tensors of some names, storage shared.
    fileprivate func only(_ names: [String]) -> ParameterSet {
        if names.count == self.names.count { return self }
        var result = ParameterSet()
        for name in names { result[name] = self[name] }
        return result
    }
}
