import Foundation
import Testing

@testable import NLCore
@testable import NLServer

/// Would catch: sessions that stay locked, places and patience that are not given back or given back twice, states that
/// pile up in memory.
@Suite(.timeLimit(.minutes(10))) struct SessionRegistryTests {
    private let registry = SessionRegistry()
    private let priority = ServingPriority()

    private let home: EngineHome

    init() throws { home = try EngineHome() }

    private func content() throws -> SessionContent {
        SessionContent(try LoadedModel(directory: home.model.path))
    }

    @Test func theSessionsUsedLastAreInMemory() throws {
        var content = try content()
        for index in 0..<40 {
            #expect(try registry.checkOut("\(index)") == nil)
            content.transcript = [Int32(index)]
            registry.checkIn("\(index)", content)
            // One is used all the time.
            #expect(try registry.checkOut("0")?.transcript == [0])
            content.transcript = [0]
            registry.checkIn("0", content)
        }
        let kept = (0..<40).filter { registry.peek("\($0)") != nil }
        #expect(kept == [0] + Array(9..<40))
        #expect(registry.peek("39")?.transcript == [39])
        registry.drop("39")
        #expect(registry.peek("39") == nil && registry.inUseCount == 0)
    }

    @Test func aStateAtRestHoldsNothingThatCanBeDerived() throws {
        let model = try LoadedModel(directory: home.model.path)
        var content = SessionContent(model)
        let weights = try HopeWeights(model.configuration, model.base)
        var inputs = [StreamInput(state: content.stream, tokens: [0, 5, 7])]
        _ = try StreamingHope.advance(&inputs, weights: weights)
        content.stream = inputs[0].state
        #expect(content.stream.layers.allSatisfy { $0.sums != nil })
        _ = try registry.checkOut("s")
        registry.checkIn("s", content)
        let kept = try #require(registry.peek("s"))
        #expect(kept.stream.position == 3 && kept.stream.layers.allSatisfy { $0.sums == nil })
    }

    @Test func whatIsGivenBackUnchangedIsAsItWas() throws {
        var content = try content()
        content.transcript = [1]
        _ = try registry.checkOut("s")
        registry.checkIn("s", content)
        _ = try registry.checkOut("s")
        #expect(throws: EngineError.sessionInUse(id: "s")) { try registry.checkOut("s") }
        registry.checkIn("s", nil)
        #expect(try registry.checkOut("s")?.transcript == [1])
    }

    @Test func aHoldGivesBackOnceHoweverItEnds() throws {
        let scheduler = DecodeScheduler(queueLimit: 0, batchLimit: 1)
        defer { scheduler.stop() }
        var hold: RequestHold? = try .take(from: scheduler, registry, priority)
        #expect(throws: EngineError.overloaded(queue: "generation", retryAfter: .seconds(1))) {
            try RequestHold.take(from: scheduler, registry, priority)
        }
        _ = try hold?.checkOut("s")
        #expect(priority.activeRequests == 1 && registry.isInUse("s"))
        hold?.end()
        hold?.end()
        #expect(priority.activeRequests == 0 && !registry.isInUse("s"))
        // Somebody else has it now: the old hold lets go of nothing more.
        let other = try RequestHold.take(from: scheduler, registry, priority)
        _ = try other.checkOut("s")
        hold = nil
        #expect(priority.activeRequests == 1 && registry.isInUse("s"))
        #expect(throws: EngineError.self) { try scheduler.reserve() }
        other.end()
        // One that nobody ended.
        hold = try .take(from: scheduler, registry, priority)
        _ = try hold?.checkOut("s")
        hold = nil
        #expect(priority.activeRequests == 0 && !registry.isInUse("s"))
        try scheduler.reserve()
    }
}
