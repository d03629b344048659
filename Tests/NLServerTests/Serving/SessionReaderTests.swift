import Foundation
import Testing

@testable import NLCore
@testable import NLServer

/// Would catch: a copy of the open rows for every token, segments that depend on others, windows cut wrongly.
@Suite struct SessionReaderTests {
    private let home: EngineHome
    private let model: LoadedModel
    private let space: PublishedSpace

    init() throws {
        home = try EngineHome()
        model = try LoadedModel(directory: home.model.path)
        space = try PublishedSpace(
            name: "default", generation: 0, published: .now,
            levels: SpaceLevels(model.configuration, base: model.base), lastUpdates: [:], layout: ReadingLayout(.f32))
    }

    private func advance(_ reader: inout SessionReader, _ tokens: [Int32], sent: Bool) throws {
        try reader.willRead(tokens, sent: sent)
        var inputs = [StreamInput(state: reader.takeStream(), tokens: tokens, fast: reader.fastWeights)]
        _ = try StreamingHope.advance(&inputs, weights: space.weights)
        reader.didRead(inputs[0].state.handOver())
    }

    @Test func readingOnCopiesTheStateOnceAtMost() throws {
        let shared = SessionContent(model)
        var reader = try SessionReader(shared, space: space, learns: false)
        try advance(&reader, [5], sent: true)
        let own = reader.content.stream.layers.map { ObjectIdentifier($0.open) }
        #expect(own != shared.stream.layers.map { ObjectIdentifier($0.open) }, "what others hold is not written")
        for _ in 0..<20 {
            try advance(&reader, [6], sent: false)
            #expect(reader.content.stream.layers.map { ObjectIdentifier($0.open) } == own)
        }
        #expect(reader.content.stream.position == 21 && shared.stream.position == 0)
    }

    @Test func segmentsEndWhereTheStreamSaysSo() throws {
        var learning = try SessionReader(SessionContent(model), space: space, learns: true)
        #expect(learning.segmentLength(100) == 8)
        #expect(learning.segmentLength(3) == 3)
        try advance(&learning, [0, 5, 6], sent: true)
        #expect(learning.segmentLength(100) == 5)
        let frozen = try SessionReader(SessionContent(model), space: space, learns: false)
        #expect(frozen.segmentLength(1_000) == 256)
    }

    @Test func aWindowIsHeldUntilItsNextTokenIsKnown() throws {
        var reader = try SessionReader(SessionContent(model), space: space, learns: true)
        try advance(&reader, [0, 5, 6, 7, 8, 9, 10, 11], sent: true)
        let window = try #require(reader.content.window)
        #expect(window.next == .unknown && window.tokens == [0, 5, 6, 7, 8, 9, 10, 11])
        #expect(reader.updates == 0)
        #expect(reader.cost(of: 8) == 8 + 32)
        try advance(&reader, [12], sent: true)
        #expect(reader.updates == 1 && reader.content.window == nil)
        #expect(reader.content.openLearned == [true])
        #expect(reader.fastWeights != nil)
    }
}
