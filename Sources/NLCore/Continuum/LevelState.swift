import Glibc

/// The state of one level: what it has learned, what it is about to, and how it got there (spec §3).
///
/// A value: copying it is cheap, and a copy never changes with the original. Everything in it is persisted.
public struct LevelState: Sendable {
    /// What the level is.
    public let definition: LevelDefinition
    /// Δθ, what the level adds to the base.
    public private(set) var delta: ParameterSet<Float>
    /// G, Σ of gradients over the open chunk; empty when none is pending.
    public private(set) var gradientSum: ParameterSet<Float>
    /// Σ x̂x̂ᵀ over the inputs of the open chunk, for each matrix, where the rule is ``DGD``; else empty.
    public private(set) var inputSum = ParameterSet<Float>()
    /// The optimizer's moments; empty where its rule has none.
    public private(set) var firstMoment: ParameterSet<Float>
    /// See `firstMoment`.
    public private(set) var secondMoment: ParameterSet<Float>
    /// M² of ``M3``, and the gradients since it moved; empty for other rules.
    public internal(set) var slowMoment = ParameterSet<Float>()
    /// See `slowMoment`.
    public internal(set) var recentGradients = ParameterSet<Float>()
    /// The numbers.
    public private(set) var counters: LevelCounters

    /// A level that has learned nothing.
    public init(_ definition: LevelDefinition) {
        self.definition = definition
        var zeros = ParameterSet<Float>()
        for tensor in definition.tensors { zeros[tensor.name] = Self.nothing(tensor) }
        delta = zeros
        gradientSum = ParameterSet()
        firstMoment = ParameterSet()
        secondMoment = ParameterSet()
        counters = LevelCounters()
    }

    /// Δθ of a tensor of which nothing has been learned.
    private static func nothing(_ tensor: LevelDefinition.AdaptedTensor) -> Tensor<Float> {
        .untouchedZeros(HopeParameters<Void>.baseShape(tensor.name, of: tensor.shape))
    }

    /// A level as it was persisted. What slots hold may be missing from Δθ: none is in use then.
    ///
    /// - Throws: ``LevelStateError`` if the tensors are not those of the definition.
    public init(
        _ definition: LevelDefinition, delta: ParameterSet<Float>, gradientSum: ParameterSet<Float>,
        firstMoment: ParameterSet<Float>, secondMoment: ParameterSet<Float>,
        slowMoment: ParameterSet<Float> = ParameterSet(), recentGradients: ParameterSet<Float> = ParameterSet(),
        inputSum: ParameterSet<Float> = ParameterSet(), counters: LevelCounters
    ) throws(LevelStateError) {
        var whole = ParameterSet<Float>()
        for tensor in definition.tensors {
            let isUnused = delta[tensor.name] == nil && HopeParameters<Void>.isZeroInBase(tensor.name)
            whole[tensor.name] = isUnused ? Self.nothing(tensor) : delta[tensor.name]
        }
        guard delta.names.allSatisfy({ whole[$0] != nil }) else {
            throw LevelStateError(level: definition.name, part: "delta")
        }
        for (part, set) in [
            ("delta", whole), ("gradient", gradientSum), ("first", firstMoment), ("second", secondMoment),
            ("slow", slowMoment), ("recent", recentGradients),
        ] {
            if part != "delta" && set.names.isEmpty { continue }
            let tensors = part == "delta" ? definition.tensors : definition.trained
            let matches =
                set.names.count == tensors.count
                && tensors.allSatisfy {
                    HopeParameters<Void>.accepts(set[$0.name]?.shape, as: $0.name, of: $0.shape)
                }
            guard matches else { throw LevelStateError(level: definition.name, part: part) }
        }
        let isObserved =
            Set(inputSum.names) == definition.observed
            && inputSum.entries.allSatisfy { $0.tensor.shape == definition.inputShape(of: $0.name) }
        guard inputSum.names.isEmpty || isObserved else {
            throw LevelStateError(level: definition.name, part: "inputs")
        }
        self.inputSum = inputSum
        self.definition = definition
        self.delta = whole
        self.gradientSum = gradientSum
        self.firstMoment = firstMoment
        self.secondMoment = secondMoment
        self.slowMoment = slowMoment
        self.recentGradients = recentGradients
        self.counters = counters
    }

    /// Adds gradients of tokens learned from, and updates Δθ if that completes the chunk (Eq. 71).
    ///
    /// A window may carry the level past its chunk's end; it then updates on the window's last token, with n the
    /// number gathered.
    ///
    /// - Parameters:
    ///   - gradients: Σ ∇ℒ over those tokens, taken at the level's current θ; holds at least the tensors that it
    ///     adapts.
    ///   - inputs: Σ x̂x̂ᵀ over the inputs of the matrices that the level's rule wants to see.
    ///   - tokenCount: tokens in the sum.
    /// - Returns: whether Δθ changed.
    /// - Throws: ``NumericsError/nonFiniteGradient(_:)``, and leaves the level as it was.
    public mutating func gather(
        _ gradients: ParameterSet<Float>, inputs: ParameterSet<Float> = ParameterSet(), tokenCount: Int
    ) throws(NumericsError) -> Bool {
        guard tokenCount > 0 else { return false }
        let gradients = gradientsOfHeld(gradients)
        var sum = ParameterSet<Float>()
        for tensor in definition.trained {
            guard let gradient = gradients[tensor.name] else { preconditionFailure("no gradient for \(tensor.name)") }
            guard gradient.isFinite else { throw .nonFiniteGradient(tensor.name) }
            sum[tensor.name] = gradient
        }
        var seen = ParameterSet<Float>()
        for tensor in definition.tensors where definition.optimizer.rule == .dgd {
            let name = tensor.name
            guard let input = inputs[name] else { preconditionFailure("no inputs of \(name)") }
            seen[name] = input
        }
        inputSum = inputSum.names.isEmpty ? seen.copy() : inputSum.adding([seen])
        gradientSum = gradientSum.names.isEmpty ? sum : gradientSum.adding([sum])
        counters.pendingTokens += tokenCount
        counters.tokensRead += tokenCount
        guard counters.pendingTokens >= definition.chunkSize else { return false }
        return try close()
    }

    /// Notes the surprise of tokens read, without learning from them.
    ///
    /// - Parameter losses: next-token losses in nats.
    public mutating func note(losses: some Sequence<Float>) {
        var sum = 0.0
        var count = 0
        for loss in losses {
            sum += Double(loss)
            count += 1
        }
        guard count > 0 else { return }
        counters.lastSurprise = sum / Double(count)
        counters.surpriseSum += sum
        counters.surpriseCount += count
    }

    /// Closes the open chunk early: applies what has been gathered. Does nothing if that is nothing.
    ///
    /// - Returns: whether Δθ changed.
    /// - Throws: ``NumericsError/nonFiniteParameters(_:)``, and leaves the level as it was.
    public mutating func close() throws(NumericsError) -> Bool {
        guard counters.pendingTokens > 0 && !gradientSum.names.isEmpty else { return false }
        let before = self
        let optimizer = definition.optimizer
        let scale = 1 / Double(counters.pendingTokens)
        let norm = gradientSum.norm * scale
        let clipped = scale * (norm > optimizer.clip ? optimizer.clip / norm : 1)
        delta = delta.copy()
        counters.optimizerSteps += 1
        switch optimizer.rule {
        case .sgd: stepSGD(optimizer, gradientScale: clipped)
        case .adamw: stepAdamW(optimizer, gradientScale: clipped)
        case .dgd: stepDGD(optimizer, gradientScale: clipped)
        case .muon: stepMuon(optimizer, gradientScale: clipped)
        case .m3, .m3Exponential: stepM3(optimizer, gradientScale: clipped)
        }
        guard delta.isFinite else {
            self = before
            throw .nonFiniteParameters(definition.name)
        }
        gradientSum = ParameterSet()
        inputSum = ParameterSet()
        counters.pendingTokens = 0
        counters.updates += 1
        return true
    }

    /// Multiplies Δθ of what is stepped, as when a slower level has absorbed it; 0 also forgets the moments. What slots
    /// hold is addresses and numbers of documents too, of which a share means nothing.
    public mutating func decay(to share: Float) {
        scaleStepped(by: share)
        if share == 0 { forgetMoments() }
        gradientSum = ParameterSet()
        inputSum = ParameterSet()
        counters.pendingTokens = 0
    }

    /// Keeps a share of what steps have changed since an earlier state of the same level.
    public mutating func withdraw(to share: Float, since earlier: LevelState) {
        scaleStepped(by: share, adding: earlier.delta)
    }

    /// Multiplies Δθ of what is stepped, and adds the rest of an earlier one. Inner factors stay as they are: the outer
    /// ones say how much is heard through them.
    private mutating func scaleStepped(by share: Float, adding earlier: ParameterSet<Float>? = nil) {
        let inner = Set(definition.factored.map(\.innerName))
        for tensor in definition.trained where !inner.contains(tensor.name) {
            guard let own = delta[tensor.name]?.copy() else { continue }
            for i in 0..<own.count { own.pointer[i] *= share }
            if let then = earlier?[tensor.name] { Float.axpy(own.count, 1 - share, then.pointer, own.pointer) }
            delta[tensor.name] = own
        }
    }

    /// Adds to rows of a tensor that is written, not stepped (``SlotWriter``).
    mutating func write(_ rows: Tensor<Float>, to places: [Int32], of name: String) {
        guard let own = delta[name] else { preconditionFailure("\(definition.name) does not adapt \(name)") }
        let next = own.copy(rows: max(own.shape[0], (places.max().map(Int.init) ?? -1) + 1))
        let width = own.shape[1]
        for (row, place) in places.enumerated() {
            Float.axpy(width, 1, rows.pointer + row * width, next.pointer + Int(place) * width)
        }
        delta[name] = next
    }

    /// Counts a window that was written.
    mutating func noteWritten(tokens: Int, losses: [Float]) {
        note(losses: losses)
        counters.tokensRead += tokens
        counters.updates += 1
    }

    /// ‖Δθ‖ of what the level says; how its slots are found is not counted.
    public var deltaNorm: Double {
        let factors = definition.factored
        let held = Set(factors.flatMap { [$0.outerName, $0.innerName] })
        let whole = delta.entries.filter { LevelDefinition.isSpoken($0.name) && !held.contains($0.name) }
        return (whole.reduce(0) { $0 + $1.tensor.squaredNorm } + factors.reduce(0) { $0 + $1.squaredNorm(delta) })
            .squareRoot()
    }

    var zeroMoments: ParameterSet<Float> {
        var zeros = ParameterSet<Float>()
        for tensor in definition.trained { zeros[tensor.name] = .zeros(tensor.shape) }
        return zeros
    }

    /// Begins with a fresh optimizer.
    public mutating func forgetMoments() {
        firstMoment = ParameterSet()
        secondMoment = ParameterSet()
        slowMoment = ParameterSet()
        recentGradients = ParameterSet()
        counters.optimizerSteps = 0
    }

    /// Takes over another level's Δθ where both adapt a tensor: the sum of the two does not change.
    public mutating func absorb(_ other: inout LevelState) {
        let shared = Set(definition.tensors.map(\.name)).intersection(other.definition.tensors.map(\.name))
        var taken = ParameterSet<Float>()
        for (name, tensor) in other.delta.entries where shared.contains(name) {
            taken[name] = tensor
            other.delta[name] = .zeros(HopeParameters<Void>.baseShape(name, of: tensor.shape))
        }
        guard taken.norm > 0 else { return }
        delta = delta.adding([taken])
        counters.updates += 1
    }

    /// η as it is now, in force at the next update.
    public var learningRate: Double { definition.optimizer.learningRate * counters.learningRateScale }

    /// Halves the steps after a rejected consolidation, or doubles them, up to the configured ones, after an
    /// adopted one.
    public mutating func noteVerdict(adopted: Bool) {
        counters.learningRateScale = adopted ? min(1, counters.learningRateScale * 2) : counters.learningRateScale / 2
    }

    private func stepSGD(_ optimizer: LevelOptimizer, gradientScale: Double) {
        for tensor in definition.trained {
            guard let gradient = gradientSum[tensor.name], let own = delta[tensor.name] else { continue }
            let rate = learningRate * (tensor.isInitialState ? optimizer.initialStateShare : 1)
            let keep = Float(1 - rate * optimizer.weightDecay)
            for i in 0..<own.count { own.pointer[i] *= keep }
            Float.axpy(own.count, Float(-rate * gradientScale), gradient.pointer, own.pointer)
        }
    }

    mutating func stepAdamW(
        _ optimizer: LevelOptimizer, gradientScale: Double,
        of takes: (LevelDefinition.AdaptedTensor) -> Bool = { _ in true }
    ) {
        firstMoment = firstMoment.names.isEmpty ? zeroMoments : firstMoment.copy()
        secondMoment = secondMoment.names.isEmpty ? zeroMoments : secondMoment.copy()
        let step = Double(counters.optimizerSteps)
        for tensor in definition.trained where takes(tensor) {
            guard let gradient = gradientSum[tensor.name], let own = delta[tensor.name],
                let first = firstMoment[tensor.name], let second = secondMoment[tensor.name]
            else { continue }
            let rate = learningRate * (tensor.isInitialState ? optimizer.initialStateShare : 1)
            let scalars = AdamWStep(
                learningRate: Float(rate), beta1: Float(optimizer.beta1), beta2: Float(optimizer.beta2),
                epsilon: Float(optimizer.epsilon), weightDecay: Float(optimizer.weightDecay),
                correction1: Float(1 - pow(optimizer.beta1, step)),
                correction2: Float(1 - pow(optimizer.beta2, step)), gradientScale: Float(gradientScale))
            elementBlocks(own.count) { start, count in
                Float.adamW(
                    count, scalars, gradient.pointer + start, own.pointer + start, first.pointer + start,
                    second.pointer + start)
            }
        }
    }

    /// The slots that hold something of this level's, and how many there may be; nil where it has none.
    public var slots: (used: Int, capacity: Int)? {
        guard let records = definition.tensors.first(where: { $0.name.hasSuffix(".slots.records") }) else { return nil }
        let used = delta[records.name].map { own in (0..<own.shape[0]).count { own.pointer[2 * $0] != 0 } }
        return (used ?? 0, records.shape[0])
    }
}

/// What a level counts; persisted with it.
public struct LevelCounters: Sendable, Hashable, Codable {
    /// n: tokens gathered in the open chunk.
    public var pendingTokens = 0
    /// Tokens learned from so far, repetitions included.
    public var tokensRead = 0
    /// Updates of Δθ so far.
    public var updates = 0
    /// Steps since the optimizer's moments began.
    public var optimizerSteps = 0
    /// Mean next-token loss of the last window read, in nats.
    public var lastSurprise: Double?
    /// Σ of the losses noted so far, in nats.
    public var surpriseSum = 0.0
    /// How many losses were noted.
    public var surpriseCount = 0
    /// Multiplies the optimizer's learning rate: halved when a consolidation was rejected, so that the next takes
    /// smaller steps, and doubled again up to 1 when one was adopted.
    public var learningRateScale = 1.0

    /// Nothing counted.
    public init() {}

    /// Mean of all losses noted, in nats; nil before the first.
    public var meanSurprise: Double? { surpriseCount > 0 ? surpriseSum / Double(surpriseCount) : nil }
}

/// A level state whose tensors are not those of its level.
public struct LevelStateError: Error, Sendable, CustomStringConvertible {
    /// The level.
    public let level: String
    /// `delta`, `gradient`, `first`, `second`, `slow`, `recent` or `inputs`.
    public let part: String

    /// What does not fit.
    public var description: String {
        "level \"\(level)\": the stored \(part) does not hold the tensors the level adapts"
    }
}
