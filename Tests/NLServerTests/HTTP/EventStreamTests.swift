import Synchronization
import Testing

@testable import NLServer

/// Catches events lost or kept without bound, producers or consumers left waiting, and departures unnoticed.
@Suite(.timeLimit(.minutes(10))) struct EventStreamTests {
    @Test func everyEventArrivesInOrderThroughASmallBuffer() async throws {
        let channel = EventChannel<Int>(capacity: 2)
        let stream = channel.makeStream()
        let producer = Task {
            for i in 0..<1000 { try await channel.send(i) }
            channel.finish()
        }
        var received: [Int] = []
        for try await i in stream { received.append(i) }
        try await producer.value
        #expect(received == Array(0..<1000))
    }

    @Test func aFullBufferSaysSoAndTheReaderCallsTheProducerBack() async throws {
        let demands = Atomic<Int>(0)
        let channel = EventChannel<Int>(capacity: 2) { demands.add(1, ordering: .relaxed) }
        let stream = channel.makeStream()
        #expect(channel.offer(1) == .accepted)
        #expect(channel.offer(2) == .accepted)
        #expect(!channel.hasRoom)
        #expect(channel.offer(3) == .full)
        var iterator = stream.makeAsyncIterator()
        #expect(try await iterator.next() == 1)
        #expect(demands.load(ordering: .relaxed) == 1)
        #expect(channel.hasRoom)
        #expect(channel.offer(3) == .accepted)
        channel.finish()
        #expect(try await iterator.next() == 2)
        #expect(try await iterator.next() == 3)
        #expect(try await iterator.next() == nil)
        #expect(channel.offer(4) == .closed)
    }

    @Test func aFailureArrivesAfterWhatWasBuffered() async throws {
        let channel = EventChannel<Int>()
        var iterator = channel.makeStream().makeAsyncIterator()
        _ = channel.offer(1)
        channel.finish(throwing: EngineError.numerics(message: "x"))
        #expect(try await iterator.next() == 1)
        await #expect(throws: EngineError.numerics(message: "x")) { try await iterator.next() }
    }

    @Test func droppingTheStreamTellsTheProducer() async throws {
        let channel = EventChannel<Int>(capacity: 1)
        var stream: EventStream<Int>? = channel.makeStream()
        #expect(stream != nil && channel.offer(1) == .accepted)
        let producer = Task { try await channel.send(2) }
        #expect(!channel.isAbandoned)
        stream = nil
        await #expect(throws: CancellationError.self) { try await producer.value }
        #expect(channel.isAbandoned)
    }

    @Test func cancellingAWaitingConsumerTellsTheProducer() async throws {
        let channel = EventChannel<Int>()
        let stream = channel.makeStream()
        let consumer = Task { for try await _ in stream {} }
        while !Task.isCancelled, channel.isAbandoned == false {
            consumer.cancel()
            await Task.yield()
        }
        await #expect(throws: CancellationError.self) { try await consumer.value }
        #expect(channel.offer(1) == .closed)
    }

    @Test func anInterruptionReachesStreamsBeforeAndAfterIt() async throws {
        let interruption = Interruption(reason: "over")
        let channels = [EventChannel<Int>(), EventChannel<Int>()]
        func read(_ channel: EventChannel<Int>) async throws {
            try await interruption.covering(channel.makeStream()) { stream in
                for try await _ in stream {}
            }
        }
        let early = Task { try await read(channels[0]) }
        _ = channels[0].offer(1)
        while channels[0].hasRoom, !channels[0].isAbandoned {
            interruption.fire()
            await Task.yield()
        }
        await #expect(throws: EngineError.cancelled(reason: "over")) { try await early.value }
        await #expect(throws: EngineError.cancelled(reason: "over")) { try await read(channels[1]) }
    }
}
