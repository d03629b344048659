import ArgumentParser
import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// `nlserver add-slots` makes a model that computes the same, and a daemon learns into its slots.
@Suite struct AddSlotsTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    private func run(_ arguments: [String] = [], output: URL) throws {
        let common = ["--model", home.model.path, "--output", output.path, "--tokens", "1024"]
        try AddSlotsCommand.parse(common + ["--capacity", "144", "--context-size", "48"] + arguments).run()
    }

    @Test func theModelComputesTheSameAndLearnsIntoItsSlots() throws {
        let output = URL(fileURLWithPath: home.path).appendingPathComponent("slotted")
        try run(output: output)
        let (before, after) = (
            try LoadedModel(directory: home.model.path), try LoadedModel(directory: output.path)
        )
        #expect(
            after.levels[1].tensors.map(\.name)
                == ["contexts", "keys", "values", "records"].map { "blocks.1.levels.1.slots.\($0)" })
        #expect(after.levels[2].tensors == after.levels[1].tensors)
        #expect(after.levels[1].tensors.allSatisfy { $0.shape.axes[0] == 144 })
        #expect(after.fingerprint != before.fingerprint)
        #expect(
            try SafetensorsFile(contentsOf: output.appendingPathComponent("model.safetensors")).names
                .filter { $0.contains(".slots.") }
                == ["whitening", "bias", "tokens", "spelling", "rarity"].map { "blocks.1.levels.1.slots.\($0)" })
        // Weights are stored as bfloat16, so the two are compared as they are stored.
        let tokens = after.tokens(of: "The miller watched the water.")
        func logits(_ configuration: HopeConfiguration, _ parameters: ParameterSet<Float>) -> [Float] {
            let model = HopeModel(configuration, parameters, on: Tape<Float>()) { _ in false }
            return model(tokens, batch: 1).logits.value.elements
        }
        var plain = ParameterSet<Float>()
        for name in before.base.names { plain[name] = after.base[name] }
        #expect(logits(after.configuration, after.base) == logits(before.configuration, plain))
    }

    @Test func theSameSeedGivesTheSameBytesInPlaceToo() throws {
        let output = URL(fileURLWithPath: home.path).appendingPathComponent("slotted")
        try run(output: output)
        let first = try Data(contentsOf: output.appendingPathComponent("model.safetensors"))
        try run(output: home.model)
        #expect(try Data(contentsOf: home.model.appendingPathComponent("model.safetensors")) == first)
        // Laid out anew where there are slots already.
        try run(["--words", "0"], output: home.model)
        let names = try SafetensorsFile(contentsOf: home.model.appendingPathComponent("model.safetensors")).names
        #expect(names.contains { $0.hasSuffix(".tokens") } && !names.contains { $0.hasSuffix(".rarity") })
        #expect(try LoadedModel(directory: home.model.path).configuration.levels[1].slots?.words == nil)
    }

    /// Words of further text are less rare; nothing else changes.
    @Test func furtherTextIsCountedForWords() throws {
        let text = URL(fileURLWithPath: home.path).appendingPathComponent("more.txt")
        try Data(String(repeating: "Brannock counted the lanterns. ", count: 200).utf8).write(to: text)
        let plain = URL(fileURLWithPath: home.path).appendingPathComponent("plain")
        let counted = URL(fileURLWithPath: home.path).appendingPathComponent("counted")
        try run(output: plain)
        try run(["--text", text.path], output: counted)
        let (before, after) = (
            try LoadedModel(directory: plain.path).base, try LoadedModel(directory: counted.path).base
        )
        #expect(before.names == after.names)
        for name in before.names {
            let isSame = before[name]?.elements == after[name]?.elements
            #expect(isSame != name.hasSuffix(".rarity"), "\(name)")
        }
    }

    @Test func whatCannotBeIsSaid() throws {
        let output = URL(fileURLWithPath: home.path).appendingPathComponent("slotted")
        #expect { try run(["--level", "deep"], output: output) } throws: { "\($0)".contains("fast, medium, slow") }
        #expect { try run(["--capacity", "0"], output: output) } throws: { "\($0)".contains("slots.capacity") }
        #expect { try run(["--words", "16777217"], output: output) } throws: { "\($0)".contains("slots.words") }
        #expect { try run(["--words=-1"], output: output) } throws: { "\($0)".contains("--words") }
        #expect { try run(["--words", "0", "--text", "a.txt"], output: output) } throws: {
            "\($0)".contains("--words is 0")
        }
        #expect { try run(["--text", "missing.txt"], output: output) } throws: { "\($0)".contains("missing.txt") }
        try FileManager.default.removeItem(at: home.model.appendingPathComponent("anchors.txt"))
        #expect { try run(output: output) } throws: { "\($0)".contains("anchors.txt") }
        #expect(!FileManager.default.fileExists(atPath: output.path))
    }

    @Test(.timeLimit(.minutes(10))) func fullSlotsAreSaidAndMayBecomeMore() async throws {
        // The test model's anchors are so short that no word is rare beside them.
        let text = URL(fileURLWithPath: home.path).appendingPathComponent("more.txt")
        try Data(String(repeating: "The miller watched the water. ", count: 2000).utf8).write(to: text)
        try run(["--capacity", "12", "--text", text.path], output: home.model)
        let (bits, used) = try await home.run { engine async throws in
            let job = try await engine.learn("Zebra quilts vex jumbled foxglove wharf kings.", id: "a")
            #expect(job.status == .learned && job.targetReached == false)
            let medium = try await engine.levels(space: "default", session: nil).levels.first { $0.name == "medium" }
            #expect(medium?.slots?.used == 12 && medium?.slots?.capacity == 12)
            return (try engine.bits, medium?.slots?.used)
        }
        try setCapacity(400)
        try await home.run { engine async throws in
            #expect(try engine.bits == bits)
            try await engine.learn("Yellow pyjamas quench a vow by the cozy ivy fjord.", id: "b")
            let medium = try await engine.levels(space: "default", session: nil).levels.first { $0.name == "medium" }
            #expect(medium?.slots?.used ?? 0 > used ?? 12 && medium?.slots?.capacity == 400)
        }
        // Fewer than are in use would lose what they hold.
        try setCapacity(12)
        await #expect { try await home.engine().start() } throws: { "\($0)".contains("slots") }
    }

    /// How far levels step may be changed under a database, and how the file is written; not what they are.
    @Test(.timeLimit(.minutes(10))) func ratesMayChangeUnderADatabase() async throws {
        try run(["--capacity", "400"], output: home.model)
        try setLevel(0) { $0["optimizer"] = "adamw" }
        let bits = try await home.run { engine async throws in
            try await engine.learn("Zebra quilts vex jumbled foxglove wharf kings.", id: "a")
            return try engine.bits
        }
        try setLevel(0) { level in
            level["learning_rate"] = 0.25
            level["momentum"] = 0.5
        }
        try await home.run { engine async throws in
            #expect(try engine.bits == bits)
            let fast = try await engine.levels(space: "default", session: nil).levels.first { $0.learningRate == 0.25 }
            #expect(fast?.name == "fast")
        }
        try setLevel(0) { $0["optimizer"] = "muon" }
        await #expect { try await home.engine().start() } throws: { "\($0)".contains("databaseOfAnotherModel") }
    }

    private func setLevel(_ index: Int, _ change: (inout [String: Any]) -> Void) throws {
        let file = home.model.appendingPathComponent("config.json")
        var members = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        var levels = try #require(members["cms_levels"] as? [[String: Any]])
        change(&levels[index])
        members["cms_levels"] = levels
        try JSONSerialization.data(withJSONObject: members).write(to: file)
    }

    /// Databases of before the digest left out what may change.
    @Test(.timeLimit(.minutes(10)), arguments: [0, 1, 3])
    func aDatabaseThatKnowsTheModelByItsFormerDigestIsTakenOver(_ which: Int) async throws {
        try run(["--capacity", "400"], output: home.model)
        let model = try LoadedModel(directory: home.model.path)
        #expect(model.formerFingerprints.count == 5 && !model.formerFingerprints.contains(model.fingerprint))
        let former = model.formerFingerprints[which]
        try MemoryStore.open(at: home.database, fingerprint: former).store.close()
        try await home.run { engine async throws in
            #expect(
                try await engine.learn("Zebra quilts vex jumbled foxglove wharf kings.", id: "a").status == .learned)
        }
        #expect(throws: StoreError.self) { try MemoryStore.open(at: home.database, fingerprint: former).store.close() }
        try await home.run { engine async throws in
            #expect(try await engine.document("a").status == .learned)
        }
    }

    private func setCapacity(_ capacity: Int) throws {
        // Which level has slots is for the model to say.
        for index in 0..<3 {
            try setLevel(index) { level in
                guard var slots = level["slots"] as? [String: Any] else { return }
                slots["capacity"] = capacity
                level["slots"] = slots
            }
        }
    }
}
