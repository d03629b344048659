import NLCore
import Store
import Testing

@testable import NLServer

/// Would catch: a client who reads that a job has ended and then still meets the generation from before it.
@Suite(.serialized, .timeLimit(.minutes(10))) struct PublishingTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    /// What ``StoreTransaction/afterCommit(_:)`` runs, runs before anybody can read what was committed; so a generation
    /// that requests read then is there before its job is seen to have ended.
    @Test func aGenerationIsReadBeforeItsJobIsSeenToHaveEnded() async throws {
        // Without a learner of its own, so that this test can be it.
        try await home.run({ $0.isReadOnly = true }) { engine async throws in
            let context = try engine.running().context
            let memory = try SpaceMemory.load("default", model: context.model, store: context.store).memory
            let loop = LearningLoop(context, spaces: [memory])
            for event in Int64(1)...2 {
                let space = try #require(loop.spaces["default"])
                let new = NewGeneration(space: space, levels: space.levels, changed: [], event: event, job: nil)
                var read: Int?
                let number = try loop.commit(new) { transaction, generation in
                    try transaction.appendEvent(space: "default", sequence: event, kind: .consolidate, seed: 0)
                    transaction.afterCommit { read = try? context.spaces.current("default").generation }
                    return generation.number
                }
                #expect(read == Int(number))
            }
        }
    }
}
