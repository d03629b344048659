import TestSupport
import Testing

@testable import NLCore

/// Which slots a row reads: as a search written plainly finds them, silent where nothing resembles it.
@Suite struct SlotAddressTests {
    private static let width = 24

    private static func unit(_ random: inout SeededRandom) -> [Double] {
        let row = (0..<width).map { _ in random.nextNormal() }
        let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return row.map { $0 / length }
    }

    private static func near(_ row: [Double], _ share: Double, _ random: inout SeededRandom) -> [Double] {
        let mixed = zip(row, unit(&random)).map { $0 + share * $1 }
        let length = mixed.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return mixed.map { $0 / length }
    }

    /// A memory of documents whose contexts drift from slot to slot; behind the slots of two of them stand answers, which
    /// are not found by a context, be it the same.
    private static func memory(_ random: inout SeededRandom) -> SlotMemory<Double> {
        var (contexts, keys, records): ([Double], [Double], [Double]) = ([], [], [])
        for document in 1...6 {
            var context = unit(&random)
            for place in 0..<5 {
                context = near(context, 0.3, &random)
                contexts += context
                keys += unit(&random)
                // The first of every third document are faint.
                let isFaint = document % 3 == 0 && place < 2
                records += [Double(document), isFaint ? SlotAddresses<Double>.faint : document % 2 == 0 ? 0.35 : 0]
            }
            for place in 0..<4 where document % 4 == 1 {
                contexts += context
                keys += unit(&random)
                records += [Double(document), place == 0 ? -1 : -7]
            }
        }
        let shape: Shape = [50, width]
        func padded(_ elements: [Double], _ width: Int) -> [Double] {
            elements + [Double](repeating: 0, count: 50 * width - elements.count)
        }
        return SlotMemory(
            contexts: Tensor(padded(contexts, width), shape: shape), keys: Tensor(padded(keys, width), shape: shape),
            values: .zeros(shape), records: Tensor(padded(records, 2), shape: [50, 2]))
    }

    private static func dot(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
        zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
    }

    /// As the definition says it, document by document.
    private static func naive(
        _ key: ArraySlice<Double>, _ context: ArraySlice<Double>, _ memory: SlotMemory<Double>
    ) -> [Int: Double] {
        typealias A = SlotAddresses<Double>
        func ramp(_ x: Double, _ range: (Double, Double)) -> Double {
            min(max((x - range.0) / (range.1 - range.0), 0), 1)
        }
        func row(_ tensor: Tensor<Double>, _ slot: Int) -> ArraySlice<Double> {
            tensor.elements[slot * width..<(slot + 1) * width]
        }
        let similarity = (0..<memory.count).map { dot(context, row(memory.contexts, $0)) }
        let counted = (0..<memory.count).map { slot in
            let strict = memory.strictness[slot]
            return strict >= 0 && (strict < A.faint || similarity[slot] >= A.same.0) ? similarity[slot] : 0
        }
        let best = Dictionary(zip(memory.episodes, counted)) { max($0, $1) }.sorted { $0.value > $1.value }
        let gate = max(
            ramp(best[0].value - max(best[1].value, 0), A.margin) * ramp(best[0].value, A.similar),
            ramp(best[0].value, A.same))
        let own = (0..<memory.count).filter { memory.episodes[$0] == best[0].key && memory.strictness[$0] >= 0 }
        let agreement = own.map { dot(key, row(memory.keys, $0)) }
        let scores = zip(own, agreement).map { similarity[$0] + A.keyShare * $1 }
        let weights = scores.map { Double.exponential(A.sharpness * ($0 - (scores.max() ?? 0))) }
        let total = weights.reduce(0, +)
        var result: [Int: Double] = [:]
        for (index, slot) in own.enumerated() {
            let strict = memory.strictness[slot]
            let weight =
                gate * weights[index] / total * (strict > 0 ? ramp(agreement[index], (strict, strict + 0.2)) : 1)
            if weight > 1e-6 { result[slot] = weight }
        }
        return result
    }

    @Test func theSearchFindsWhatTheDefinitionSays() {
        var random = SeededRandom(seed: 7)
        let memory = Self.memory(&random)
        #expect(memory.count == 38 && memory.plain.count == 30)
        #expect(memory.places(of: 3) == 10..<15 && memory.plain[10] == 14 && memory.places(of: 9).isEmpty)
        var (keys, contexts): ([Double], [Double]) = ([], [])
        for slot in 0..<38 {
            let range = slot * Self.width..<(slot + 1) * Self.width
            for share in [0, 0.2, 0.6, 1, 3] {
                contexts += Self.near(Array(memory.contexts.elements[range]), share, &random)
                keys += Self.near(Array(memory.keys.elements[range]), share, &random)
            }
        }
        let rows = 190
        let found = SlotAddresses(
            keys: Tensor(keys, shape: [rows, Self.width]), contexts: Tensor(contexts, shape: [rows, Self.width]),
            in: memory)
        var (silent, partial) = (0, 0)
        for row in 0..<rows {
            let range = row * Self.width..<(row + 1) * Self.width
            let expected = Self.naive(keys[range], contexts[range], memory)
            let own = found.starts[row]..<found.starts[row + 1]
            #expect(Set(own.map { Int(found.slots[$0]) }) == Set(expected.keys), "row \(row)")
            for entry in own {
                #expect(abs(found.weights[entry] - (expected[Int(found.slots[entry])] ?? 0)) < 1e-9)
            }
            let sum = expected.values.reduce(0, +)
            if sum == 0 { silent += 1 } else if sum < 0.99 { partial += 1 }
            // What a slot was written in, it answers in full.
            if row % 5 == 0 { #expect(abs(sum - 1) < 1e-6) }
        }
        #expect(silent > 20 && partial > 3, "\(silent) rows silent, \(partial) partly")
    }

    @Test func whoIsReadBesideARowDoesNotChangeWhatItFinds() {
        var random = SeededRandom(seed: 8)
        let exact = Self.memory(&random)
        let memory = SlotMemory<Float>(
            contexts: exact.contexts.converted(), keys: exact.keys.converted(), values: exact.values.converted(),
            records: Tensor(
                zip(exact.episodes, exact.strictness).flatMap { [Float($0), Float($1)] }, shape: [exact.count, 2]))
        let (keys, contexts) = (memory.keys, memory.contexts)
        let all = SlotAddresses(keys: keys, contexts: contexts, in: memory)
        var heard = 0
        for row in 0..<memory.count {
            let alone = SlotAddresses(keys: keys.rows([row]), contexts: contexts.rows([row]), in: memory)
            let own = all.starts[row]..<all.starts[row + 1]
            #expect(alone.slots == Array(all.slots[own]) && alone.weights == Array(all.weights[own]), "row \(row)")
            heard += alone.slots.count
            // bfloat16 contexts are near enough to those that `Double`s are compared with.
            let precise = SlotAddresses(
                keys: exact.keys.rows([row]), contexts: exact.contexts.rows([row]), in: exact)
            #expect(Set(alone.slots) == Set(precise.slots))
            for (weight, expected) in zip(alone.weights, precise.weights) {
                #expect(abs(Double(weight) - expected) < 0.03, "row \(row)")
            }
        }
        #expect(heard >= memory.count)
    }

    @Test func aContextThatManyDocumentsShareSinglesOutNone() {
        var random = SeededRandom(seed: 9)
        let template = Self.unit(&random)
        let contexts = (0..<8).flatMap { _ in Self.near(template, 0.5, &random) }
        let keys = (0..<8).flatMap { _ in Self.unit(&random) }
        let memory = SlotMemory<Double>(
            contexts: Tensor(contexts, shape: [8, Self.width]), keys: Tensor(keys, shape: [8, Self.width]),
            values: .zeros([8, Self.width]), records: Tensor((1...8).flatMap { [Double($0), 0] }, shape: [8, 2]))
        let found = SlotAddresses(
            keys: Tensor(Self.unit(&random), shape: [1, Self.width]),
            contexts: Tensor(template, shape: [1, Self.width]), in: memory)
        #expect(found.slots.isEmpty)
    }

    @Test func valuesHaveTheirGradient() {
        let addresses = SlotAddresses<Double>(rows: [[(2, 0.7), (0, 0.3)], [], [(2, 1)], [(3, 0.5)]])
        checkGradient("recall", inputs: [[5, 3]]) {
            Variable.recall(addresses, values: $0[0], shape: [1, 4, 3])
        }
    }

    @Test func aContextDependsOnItsLastTokensAlone() {
        var random = SeededRandom(seed: 3)
        let table = Tensor((0..<40 * 8).map { _ in Float(random.nextNormal() * 60) }, shape: [40, 8])
        let tokens = (0..<150).map { _ in Int32(random.nextIndex(below: 40)) }
        let whole = SlotContext.rows(tokens, after: [], table: table).elements
        for cut in [1, 63, 64, 65, 100] {
            let rest = SlotContext.rows(Array(tokens[cut...]), after: tokens[..<cut], table: table).elements
            #expect(rest == Array(whole[(cut * 8)...]))
        }
        let faint = Tensor(table.elements.map { $0 / 100 }, shape: table.shape)
        #expect(SlotContext.rows(tokens, after: [], table: faint).elements.allSatisfy { $0 == 0 })
    }
}
