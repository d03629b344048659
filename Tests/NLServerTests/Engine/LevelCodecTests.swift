import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// Levels come back from disk as they went there, to the last bit; what is not theirs is refused.
@Suite struct LevelCodecTests {
    private typealias Level = NLCore.LevelState

    /// A level with every part: Δ, moments, an open chunk.
    private func level() throws -> Level {
        let definition = try #require(
            try LevelDefinition.levels(of: TestModel.configuration).first { $0.name == "medium" })
        var random = SeededRandom(seed: 3)
        var level = Level(definition)
        // 20 tokens, 40: an update; 43: three in the open chunk.
        for count in [20, 20, 3] {
            var gradients = ParameterSet<Float>()
            for tensor in definition.tensors {
                let values = (0..<tensor.shape.count).map { _ in Float(random.nextNormal()) }
                gradients[tensor.name] = Tensor(values, shape: tensor.shape)
            }
            _ = try level.gather(gradients, tokenCount: count)
        }
        level.note(losses: [1.5, 0.1, 2.7])
        return level
    }

    @Test(arguments: ["", "fast/"])
    func aLevelSurvivesTheDisk(_ prefix: String) throws {
        let level = try level()
        #expect(!level.gradientSum.names.isEmpty && !level.firstMoment.names.isEmpty)
        let other = StateBlob(name: "stream/open", type: .u8, shape: [1], bytes: Data([1]))
        let blobs = LevelCodec.blobs(of: level, prefix: prefix) + (prefix.isEmpty ? [] : [other])
        let counters = try JSONText(encoding: level.counters).decoded(as: LevelCounters.self)
        let back = try LevelCodec.level(level.definition, blobs: blobs.shuffled(), counters: counters, prefix: prefix)
        #expect(back.counters == level.counters)
        for part in [\Level.delta, \.gradientSum, \.firstMoment, \.secondMoment] {
            #expect(back[keyPath: part].names == level[keyPath: part].names)
            for (name, tensor) in level[keyPath: part].entries {
                #expect(back[keyPath: part][name]?.elements.map(\.bitPattern) == tensor.elements.map(\.bitPattern))
            }
        }
    }

    @Test func whatIsNotTheLevelsIsRefused() throws {
        let level = try level()
        let blobs = LevelCodec.blobs(of: level)
        func load(_ blobs: [StateBlob]) throws {
            _ = try LevelCodec.level(level.definition, blobs: blobs, counters: level.counters)
        }
        func replacing(_ change: (StateBlob) -> StateBlob) -> [StateBlob] { [change(blobs[0])] + blobs.dropFirst() }
        #expect(throws: LevelStateError.self) { try load(Array(blobs.dropFirst())) }
        #expect(throws: LevelCodecError.self) {
            try load(blobs + [StateBlob(name: "delta/other", type: .f32, shape: [1], bytes: Data(count: 4))])
        }
        #expect(throws: LevelCodecError.self) {
            try load(
                replacing { StateBlob(name: $0.name, type: $0.type, shape: $0.shape.reversed() + [1], bytes: $0.bytes) }
            )
        }
        #expect(throws: LevelCodecError.self) {
            try load(
                replacing { blob in
                    var bytes = blob.bytes
                    bytes.replaceSubrange(0..<4, with: [0, 0, 0xC0, 0x7F])
                    return StateBlob(name: blob.name, type: blob.type, shape: blob.shape, bytes: bytes)
                })
        }
    }
}
