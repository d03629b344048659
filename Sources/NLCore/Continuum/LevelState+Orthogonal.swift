// Steps of the optimizers that take whole matrices: Muon and M3 leave what is none to AdamW, DGD has nothing else.

extension LevelState {
    mutating func stepMuon(_ optimizer: LevelOptimizer, gradientScale: Double) {
        stepAdamW(optimizer, gradientScale: gradientScale) { !Muon<Float>.takes($0.name, $0.shape) }
        var settings = Muon<Float>.Settings()
        settings.weightDecay = optimizer.weightDecay
        settings.momentum = optimizer.momentum
        let matrices: [Muon<Float>.Matrix] = definition.trained.compactMap { tensor in
            guard Muon<Float>.takes(tensor.name, tensor.shape), let gradient = gradientSum[tensor.name],
                let own = delta[tensor.name], let momentum = firstMoment[tensor.name]
            else { return nil }
            return .init(parameter: own, gradient: gradient, momentum: momentum)
        }
        Muon<Float>.step(matrices, settings, learningRate: learningRate, gradientScale: gradientScale)
    }

    mutating func stepM3(_ optimizer: LevelOptimizer, gradientScale: Double) {
        stepAdamW(optimizer, gradientScale: gradientScale) { !Muon<Float>.takes($0.name, $0.shape) }
        slowMoment = slowMoment.names.isEmpty ? zeroMoments : slowMoment.copy()
        recentGradients = recentGradients.names.isEmpty ? zeroMoments : recentGradients.copy()
        var settings = M3<Float>.Settings()
        settings.isExponential = optimizer.rule == .m3Exponential
        for tensor in definition.trained where Muon<Float>.takes(tensor.name, tensor.shape) {
            guard let gradient = gradientSum[tensor.name], let own = delta[tensor.name],
                let fast = firstMoment[tensor.name], let squares = secondMoment[tensor.name],
                let slow = slowMoment[tensor.name], let recent = recentGradients[tensor.name]
            else { continue }
            M3<Float>.step(
                own, gradient, .init(fast: fast, slow: slow, recent: recent, squares: squares),
                number: counters.optimizerSteps, settings, learningRate: learningRate, gradientScale: gradientScale)
        }
    }

    func stepDGD(_ optimizer: LevelOptimizer, gradientScale: Double) {
        for tensor in definition.tensors {
            guard let gradient = gradientSum[tensor.name], let own = delta[tensor.name],
                let inputs = inputSum[tensor.name]
            else { continue }
            DGD.step(
                own, gradient, inputs: inputs, count: counters.pendingTokens, learningRate: learningRate,
                gradientScale: gradientScale)
        }
    }
}
