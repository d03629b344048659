import TestSupport
import Testing

@testable import NLCore

/// The operations of attention against central differences, and the fast form against the one made of plain operations.
@Suite struct AttentionGradientTests {
    @Test func rotationAndBias() {
        let geometry = AttentionGeometry(AttentionCases.configuration())
        let table = RotaryTable<Double>(geometry, positions: 5..<8)
        checkGradient("rotated", inputs: [[2, 3, 12]]) { $0[0].rotated(table, heads: 2) }
        checkGradient("bias", inputs: [[2, 3, 5], [5]]) { $0[0].adding(bias: $0[1]) }
        checkGradient("rms with another ε", inputs: [[4, 5], [5]]) { $0[0].rms(gain: $0[1], epsilon: 0.01) }
    }

    /// Two heads of queries on each of two of keys, with a past, and windows shorter and longer than the text.
    @Test(arguments: [(0, 2), (0, 100), (4, 2), (4, 5), (4, 100)], SoftmaxAttention<Double>.Form.allCases)
    func attention(sizes: (past: Int, window: Int), form: SoftmaxAttention<Double>.Form) {
        let span = AttentionSpan(past: sizes.past, length: 5, window: sizes.window)
        let shapes: [Shape] = [[2, 10, 3], [2, sizes.past + 5, 3], [2, sizes.past + 5, 3]]
        checkGradient("attention \(form), past \(sizes.past), window \(sizes.window)", inputs: shapes) {
            form == .fused
                ? $0[0].attending($0[1], $0[2], span, scale: 0.7)
                : $0[0].attendingByParts($0[1], $0[2], span, scale: 0.7)
        }
    }

    /// More tokens than a block has rows, so that blocks begin in the middle.
    @Test(arguments: [nil, 7, 80])
    func formsAgreeThroughTheModel(window: Int?) {
        let configuration = AttentionCases.configuration(context: 256, window: window)
        let parameters = AttentionCases.parameters(configuration).inDouble
        let tokens = StreamingCases.tokens(150, of: configuration.vocabularySize, seed: 4)
        func gradients(_ form: SoftmaxAttention<Double>.Form) -> (logits: [Double], gradients: ParameterSet<Double>) {
            let tape = Tape<Double>()
            var model = HopeModel(configuration, parameters, on: tape) { _ in true }
            model.attentionForm = form
            let result = model(Array(tokens.dropLast()), batch: 1)
            let (loss, _) = result.logits.crossEntropy(
                Array(tokens.dropFirst()), weights: [Double](repeating: 1, count: tokens.count - 1))
            tape.backward(from: loss)
            return (result.logits.value.elements, model.gradients())
        }
        let (fused, composed) = (gradients(.fused), gradients(.composed))
        expectClose(fused.logits, composed.logits, .double, "logits")
        for (name, gradient) in composed.gradients.entries {
            guard let own = fused.gradients[name] else { continue }
            // The gradient of a key's bias before its norm, for one, is a difference of large terms.
            expectClose(own, gradient, .doubleGradient, "gradient of \(name)")
        }
    }

    /// A text in windows, the state carried, is the text at once; batches are streams apart.
    @Test(arguments: [nil, 11])
    func windowsContinueOneAnother(window: Int?) {
        let configuration = AttentionCases.configuration(window: window)
        let parameters = AttentionCases.parameters(configuration).inDouble
        let texts = (0..<2).map { StreamingCases.tokens(40, of: configuration.vocabularySize, seed: UInt64($0)) }
        let model = HopeModel(configuration, parameters, on: Tape<Double>()) { _ in false }
        var states: [MixerState<Double>]?
        var logits = [[Double]](repeating: [], count: 2)
        for start in stride(from: 0, to: 40, by: 8) {
            let result = model(texts.flatMap { $0[start..<start + 8] }, batch: 2, states: states)
            states = result.states
            let all = result.logits.value.elements
            for stream in 0..<2 { logits[stream] += all[stream * all.count / 2..<(stream + 1) * all.count / 2] }
        }
        for stream in 0..<2 {
            expectClose(
                logits[stream], AttentionCases.onTape(configuration, parameters, texts[stream]), .double,
                "stream \(stream)")
        }
    }
}
