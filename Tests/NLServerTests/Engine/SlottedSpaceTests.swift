import ArgumentParser
import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// What holds for spaces holds where the model learns into slots, as the shipped one does: levels whose tensors grow.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SlottedSpaceTests {
    private let home: EngineHome

    init() throws { home = try Self.slotted() }

    private static func slotted() throws -> EngineHome {
        let home = try EngineHome()
        let options = ["--tokens", "1024", "--capacity", "400", "--context-size", "48"]
        try AddSlotsCommand.parse(["--model", home.model.path, "--output", home.model.path] + options).run()
        // None of the few tokens of the anchors is rare; here two of them are to be enough evidence.
        let path = home.model.appendingPathComponent("model.safetensors")
        let file = try SafetensorsFile(contentsOf: path)
        var writer = SafetensorsWriter(metadata: file.metadata)
        for tensor in file.tensors {
            let scale: Float = tensor.name.hasSuffix(".slots.tokens") ? 8 : 1
            try writer.add(
                tensor.name, shape: tensor.shape, floats: file.floats(named: tensor.name).map { $0 * scale })
        }
        try writer.write(to: path)
        return home
    }

    private static func life(_ story: [Int?]) async throws -> String {
        try await slotted().run { engine async throws in
            try await ForgettingTests.run(story, engine)
            return try engine.bits
        }
    }

    private func used(_ engine: HopeEngine) throws -> [Int] {
        try engine.space.levels.levels.map { $0.slots?.used ?? 0 }
    }

    @Test func slotsAreFilledHandedOnAndReadBack() async throws {
        let bits = try await home.run { engine async throws in
            try await ForgettingTests.run([0, 1], engine)
            let filled = try used(engine)
            #expect(filled[0] > 20 && filled[1] == 0)
            try await ForgettingTests.run([nil], engine)
            #expect(try used(engine) == [0, filled[0]])
            try await ForgettingTests.run([2], engine)
            let after = try used(engine)
            #expect(after[0] > 5 && after[1] == filled[0])
            return try engine.bits
        }
        try await home.run { engine async throws in #expect(try engine.bits == bits) }
        let replayed = try await Self.life([0, 1, nil, 2])
        #expect(replayed == bits)
    }

    @Test(arguments: [0, 1, 2])
    func whatIsForgottenWasNeverThere(_ forgotten: Int) async throws {
        let without = try await Self.life([0, 1, nil, 2].filter { $0 != forgotten })
        try await home.run { engine async throws in
            try await ForgettingTests.run([0, 1, nil, 2], engine)
            #expect(try engine.bits != without)
            let receipt = try await engine.forgetDocument("d\(forgotten)", space: "default", keeping: [])
            if let job = receipt.jobID { try await engine.end(of: engine.job(job)) }
            #expect(try engine.bits == without)
        }
    }

    @Test func whatIsTaughtIsSaidWhenAConversationAsksForIt() async throws {
        let fact = "The lighthouse of Brannock Head was built by Ailsa Torrance."
        let question = ChatMessage(role: .user, content: "Who built the lighthouse on Brannock Head?")
        @Sendable func reply(_ engine: HopeEngine) async throws -> String {
            let request = GenerationRequest.test(.messages([question]), maxTokens: 80) {
                ($0.sampling.temperature, $0.ignoresEndOfText) = (0, false)
            }
            return try await engine.answer(request).text
        }
        let thorough: (inout EngineConfiguration) -> Void = { $0.learnMaxPasses = 128 }
        try await home.run(thorough) { engine async throws in
            #expect(try await reply(engine) != " " + fact)
            #expect(try await engine.learn(fact).status == .learned)
            #expect(try await reply(engine) == " " + fact)
            try await engine.end(of: engine.consolidate(space: "default"))
            #expect(try await reply(engine) == " " + fact)
        }
        try await home.run(thorough) { engine async throws in
            #expect(try await reply(engine) == " " + fact)
            let document = try #require(try await engine.documents(space: "default", page: .init()).items.first)
            let receipt = try await engine.forgetDocument(document.id, space: "default", keeping: [])
            if let job = receipt.jobID { try await engine.end(of: engine.job(job)) }
            #expect(try await reply(engine) != " " + fact)
        }
        // A log of before there were answers is replayed without.
        let without = try Self.slotted()
        func unasked(_ configuration: inout EngineConfiguration) {
            (configuration.learnMaxPasses, configuration.longestAnswered) = (128, 0)
        }
        let bits = try await without.run(unasked) { engine async throws in
            try await engine.learn(fact)
            #expect(try await reply(engine) != " " + fact)
            try await engine.learn(Facts.all[0], id: "other")
            return try engine.bits
        }
        try await without.run(thorough) { engine async throws in
            let receipt = try await engine.forgetDocument("other", space: "default", keeping: [])
            if let job = receipt.jobID { try await engine.end(of: engine.job(job)) }
            #expect(try await reply(engine) != " " + fact && engine.bits != bits)
        }
    }

    @Test func aForkAndASnapshotHoldTheSameSlots() async throws {
        try await home.run { engine async throws in
            try await ForgettingTests.run([0, nil, 1], engine)
            let bits = try engine.bits
            _ = try await engine.forkSpace("default", as: SpaceCreation(id: "fork"))
            #expect(try engine.published("fork").levels.bits == bits)
            let snapshot = try await engine.createSnapshot(SnapshotCreation(space: "default", name: "two facts"))
            try await ForgettingTests.run([2], engine)
            #expect(try engine.bits != bits)
            #expect(try engine.published("fork").levels.bits == bits)
            let moved = try await engine.diffSnapshot(snapshot.id, space: "default", against: .current)
            #expect(moved.levels[0].distance > 0 && moved.levels[1].distance == 0)
            try await engine.end(of: engine.restoreSnapshot(snapshot.id, space: "default"))
            #expect(try engine.bits == bits)
        }
    }

    @Test func aFileWhoseSlotsCannotBeIsRefused() async throws {
        let (file, bits) = try await home.run { engine async throws in
            try await ForgettingTests.run([0, 1], engine)
            let snapshot = try await engine.createSnapshot(SnapshotCreation(space: "default", name: "s"))
            let export = try await engine.exportSnapshot(snapshot.id, space: "default")
            var bytes: [UInt8] = []
            for number in 0... {
                guard let piece = export.piece(number) else { break }
                bytes += piece
            }
            return (bytes, try engine.bits)
        }
        let parsed = try SafetensorsFile(bytes: file)
        let prefix = "medium/delta/blocks.1.levels.1.slots."
        func altered(
            _ part: String, shape: ((Int, Int) -> [Int])? = nil, changing change: (inout [Float]) -> Void = { _ in }
        ) throws -> [UInt8] {
            var writer = SafetensorsWriter(metadata: parsed.metadata)
            for tensor in parsed.tensors {
                var values = try parsed.floats(named: tensor.name)
                var axes = tensor.shape
                if tensor.name == prefix + part {
                    change(&values)
                    axes = shape?(axes[0], axes[1]) ?? [values.count / axes[1], axes[1]]
                    if values.isEmpty { continue }
                }
                try writer.add(tensor.name, shape: axes, floats: values)
            }
            return Array(writer.data())
        }
        let cases: [(bytes: [UInt8], says: String)] = [
            (try altered("values", shape: { [1, 1, 1, $0, $1] }), "shape"),
            (try altered("values", shape: { [$1, $0] }), "shape"),
            (try altered("records", changing: { $0[0] = 3e9 }), "number documents"),
            (try altered("records", changing: { $0[0] = 1.5 }), "number documents"),
            (try altered("records", changing: { $0[0] = -1 }), "number documents"),
            (try altered("records", changing: { $0[$0.count - 2] = 1 }), "number documents"),
            (try altered("records", changing: { $0[0...1] = [0, 0] }), "number documents"),
            (try altered("records", changing: { $0[1] = 7 }), "number documents"),
            (try altered("records", changing: { $0.removeLast(2) }), "equally many"),
            (try altered("contexts", changing: { $0.removeAll() }), "equally many"),
            (try altered("values", changing: { $0.removeAll() }), "equally many"),
            (try altered("contexts", changing: { $0[0] = 1e38 }), "longer than 1"),
            (try altered("keys", changing: { $0[3] = 2 }), "longer than 1"),
        ]
        try await home.run { engine async throws in
            try await engine.expectRefused(cases)
            let whole = try await engine.importSnapshot(
                SnapshotImport(space: "default", name: "x", bytes: try altered("values")))
            try await ForgettingTests.run([2], engine)
            try await engine.end(of: engine.restoreSnapshot(whole.id, space: "default"))
            #expect(try engine.bits == bits)
        }
    }

    /// A space that has the name of one that was deleted is another space to the learner, too: else the snapshot that was
    /// due of the old one is sought in the new one, and learning pauses.
    @Test func aSpaceOfADeletedOnesNameKeepsTheLearnerGoing() async throws {
        try await home.run({ $0.snapshotEvery = .milliseconds(500) }) { engine async throws in
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            try await engine.learn(Facts.all[0], in: "a")
            try await eventually {
                try await engine.snapshots(space: "a", page: PageRequest()).items.first?.generation == 1
            }
            try await engine.learn(Facts.all[1], in: "a")
            try await engine.deleteSpace("a")
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            try await Task.sleep(for: .milliseconds(700))
            let began = ContinuousClock.now
            #expect(try await engine.learn(Facts.all[2]).status == .learned)
            #expect(began.duration(to: .now) < .seconds(20))
            #expect(try await engine.learn(Facts.all[3], in: "a").generation == 1)
        }
    }
}
