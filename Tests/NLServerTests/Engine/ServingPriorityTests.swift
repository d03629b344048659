import Testing

@testable import NLServer

/// Serving goes first, learning goes on, and neither changes what is learned.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ServingPriorityTests {
    @Test func theLearnerWaitsOnlyWhileSomebodyIsServed() {
        let priority = ServingPriority()
        let clock = ContinuousClock()
        #expect(clock.measure { priority.waitForServing(atMost: .seconds(30)) } < .seconds(10))
        priority.requestBegan()
        #expect(priority.activeRequests == 1)
        #expect(clock.measure { priority.waitForServing(atMost: .milliseconds(50)) } >= .milliseconds(50))
        priority.requestEnded()
        #expect(clock.measure { priority.waitForServing(atMost: .seconds(30)) } < .seconds(10))
    }

    @Test func theEndOfARequestWakesTheLearner() async throws {
        let priority = ServingPriority()
        priority.requestBegan()
        let end = Task.detached {
            try await Task.sleep(for: .milliseconds(50))
            priority.requestEnded()
        }
        let waited = ContinuousClock().measure { priority.waitForServing(atMost: .seconds(30)) }
        try await end.value
        #expect(waited < .seconds(20))
    }

    @Test func learningGoesOnUnderSteadyLoadWithTheSameBits() async throws {
        let alone = try await EngineHome().run { engine async throws in
            try await engine.learn(Facts.all[0])
            return try engine.bits
        }
        let beside = try await EngineHome().run { engine async throws in
            try engine.running().context.priority.requestBegan()
            try await engine.learn(Facts.all[0])
            return try engine.bits
        }
        #expect(alone == beside)
    }
}
