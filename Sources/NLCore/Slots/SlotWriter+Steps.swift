import Glibc

/// Gradient steps on the values of slots.
extension SlotWriter {
    /// Steps between two looks at the tokens that they may have changed.
    static let round = 8
    /// A window that has come to its goal is learned as well as it will be when a round leaves more than this share of what
    /// there was to learn: some tokens are so like others that no value tells them apart for certain.
    static let leastGain: Float = 0.9
    /// Steps taken at least.
    static let leastSteps = 2 * round
    /// Length of a step, as a share of the rms of what the slots add to.
    static let stepShare: Float = 0.1
    /// AdamW's decays of its moments. A second one that forgets sooner is faster for tokens that are alone with their slot,
    /// and leaves short documents, whose tokens share slots, short of their target.
    static let decays: (Float, Float) = (0.9, 0.99)

    /// A few steps on a window.
    ///
    /// - Returns: whether it needs no more.
    func takeSteps(_ window: inout Window, _ levels: SpaceLevels) throws(NumericsError) -> Bool {
        // Where no slot was left for a token there is nothing to learn.
        let unknown = window.losses.indices.filter { [window] in
            window.losses[$0] > window.limits[$0] && window.addresses.starts[$0] < window.addresses.starts[$0 + 1]
        }
        if unknown.isEmpty || window.isDone || window.steps >= mostSteps || window.slots.isEmpty { return true }
        let excess = window.excess(of: unknown)
        var part = WindowPart(window, rows: unknown)
        for _ in 0..<min(Self.round, mostSteps - window.steps) {
            window.steps += 1
            try learn(&part, step: window.steps, levels)
        }
        part.putBack(into: &window)
        let changed = window.rows(reading: part.slots)
        for (row, loss) in zip(changed, try losses(window, levels, of: changed)) { window.losses[row] = loss }
        let isSaid = !window.saysAll || unknown.allSatisfy { [window] in window.losses[$0] < Self.unsaid }
        window.isDone =
            window.steps >= Self.leastSteps && isSaid && window.losses.reduce(0, +) <= window.goal
            && window.excess(of: unknown) > Self.leastGain * excess
        return false
    }

    static func model(_ levels: SpaceLevels, on tape: Tape<Float>) -> HopeModel<Float> {
        HopeModel(levels.configuration, levels.effective, on: tape) { _ in false }
    }

    /// Losses of some rows of a window, of all where none are named.
    func losses(_ window: Window, _ levels: SpaceLevels, of rows: [Int]? = nil) throws(NumericsError) -> [Float] {
        let part = WindowPart(window, rows: rows ?? Array(window.targets.indices))
        let tape = Tape<Float>(precision: precision)
        let x = part.rest.copy()
        part.addresses.add(part.values, to: x)
        let logits = Self.model(levels, on: tape).readOn(from: tape.constant(x))
        let losses = logits.crossEntropy(
            part.targets, weights: [Float](repeating: 0, count: part.targets.count)
        ).rowLosses
        guard losses.allSatisfy(\.isFinite) else { throw .nonFiniteLoss }
        return losses
    }

    /// One AdamW step of the values on the loss of some tokens.
    private func learn(_ part: inout WindowPart, step: Int, _ levels: SpaceLevels) throws(NumericsError) {
        let tape = Tape<Float>(precision: precision)
        let values = tape.parameter(part.values)
        let x = tape.constant(part.rest) + Variable.recall(part.addresses, values: values, shape: part.rest.shape)
        let (loss, losses) = Self.model(levels, on: tape).readOn(from: x).crossEntropy(
            part.targets, weights: [Float](repeating: 1, count: part.targets.count))
        guard losses.allSatisfy(\.isFinite) else { throw .nonFiniteLoss }
        tape.backward(from: loss)
        guard let gradient = tape.gradient(of: values) else { return }
        guard gradient.isFinite else { throw .nonFiniteGradient("\(link).slots.values") }
        let scale = (part.rest.squaredNorm / Double(max(part.rest.count, 1))).squareRoot()
        let next = part.values.copy()
        let (beta1, beta2) = Self.decays
        Float.adamW(
            next.count,
            AdamWStep(
                learningRate: Self.stepShare * Float(scale), beta1: beta1, beta2: beta2, epsilon: 1e-8, weightDecay: 0,
                correction1: Float(1 - pow(Double(beta1), Double(step))),
                correction2: Float(1 - pow(Double(beta2), Double(step))),
                gradientScale: 1),
            gradient.pointer, next.pointer, part.firstMoment.pointer, part.secondMoment.pointer)
        part.values = next
    }
}

/// Some rows of a window, and the slots that they read, by places of their own.
private struct WindowPart {
    let rest: Tensor<Float>
    let targets: [Int32]
    let addresses: SlotAddresses<Float>
    /// The slots' places in the window, in ascending order.
    let slots: [Int]
    var values: Tensor<Float>
    let firstMoment: Tensor<Float>
    let secondMoment: Tensor<Float>

    init(_ window: SlotWriter.Window, rows: [Int]) {
        let read = rows.map { row in
            (window.addresses.starts[row]..<window.addresses.starts[row + 1]).map {
                (slot: window.addresses.slots[$0], weight: window.addresses.weights[$0])
            }
        }
        slots = Set(read.joined().map { Int($0.slot) }).sorted()
        let places = Dictionary(uniqueKeysWithValues: zip(slots, Int32(0)...))
        addresses = SlotAddresses(
            rows: read.map { $0.map { (slot: places[Int($0.slot), default: 0], weight: $0.weight) } })
        (rest, targets) = (window.rest.rows(rows), rows.map { window.targets[$0] })
        values = window.values.rows(slots)
        (firstMoment, secondMoment) = (window.firstMoment.rows(slots), window.secondMoment.rows(slots))
    }

    func putBack(into window: inout SlotWriter.Window) {
        window.values = window.values.settingRows(slots, to: values)
        window.firstMoment = window.firstMoment.settingRows(slots, to: firstMoment)
        window.secondMoment = window.secondMoment.settingRows(slots, to: secondMoment)
    }
}

extension SlotWriter.Window {
    /// Σ of what some rows lose beyond what they may, in nats.
    fileprivate func excess(of rows: some Sequence<Int>) -> Float {
        rows.reduce(0) { $0 + max(losses[$1] - limits[$1], 0) }
    }

    /// The rows that read any of some slots, named by their places.
    fileprivate func rows(reading wanted: [Int]) -> [Int] {
        let wanted = Set(wanted)
        return (0..<addresses.rowCount).filter { row in
            (addresses.starts[row]..<addresses.starts[row + 1]).contains { wanted.contains(Int(addresses.slots[$0])) }
        }
    }
}
