import Synchronization

/// A bounded, cancellable stream with one producer and one consumer.
///
/// The producer may be a compute thread that must not suspend (``EventChannel/offer(_:)``) or a task
/// (``EventChannel/send(_:)``). Nothing is ever dropped: a full buffer makes the producer wait or try later.
struct EventStream<Element: Sendable>: AsyncSequence, Sendable {
    /// Its end of life is the consumer's: stream and iterator gone means nobody will ever read.
    fileprivate final class Consumer: Sendable {
        let channel: EventChannel<Element>
        init(_ channel: EventChannel<Element>) { self.channel = channel }
        deinit { channel.abandon() }
    }

    fileprivate let consumer: Consumer

    struct Iterator: AsyncIteratorProtocol {
        fileprivate let consumer: Consumer

        /// The next event; `nil` after the last. Throws what the producer failed with, or `CancellationError` when the
        /// calling task is cancelled, which also tells the producer.
        mutating func next() async throws -> Element? { try await consumer.channel.next() }
    }

    func makeAsyncIterator() -> Iterator { Iterator(consumer: consumer) }

    /// Ends the stream from outside: a waiting `next` throws `error`, and the producer sees the consumer gone.
    func interrupt(throwing error: any Error) { consumer.channel.abandon(throwing: error) }
}

/// The producer's end of an ``EventStream``.
final class EventChannel<Element: Sendable>: Sendable {
    /// What became of an offered event.
    enum Offer: Sendable { case accepted, full, closed }

    private typealias Reader = CheckedContinuation<Element?, any Error>
    private typealias Writer = CheckedContinuation<Void, Never>

    private struct State {
        var buffer: [Element] = []
        var reader: Reader?
        var writer: Writer?
        var end: Result<Void, any Error>?
        var isAbandoned = false
        var interruption: any Error = CancellationError()

        /// What a reader gets now, or `nil` and it waits.
        mutating func take(for reader: Reader, capacity: Int) -> Step? {
            if isAbandoned { return Step(result: .failure(interruption)) }
            guard buffer.isEmpty else {
                let madeRoom = buffer.count >= capacity
                defer { writer = nil }
                return Step(result: .success(buffer.removeFirst()), madeRoom: madeRoom, writer: writer)
            }
            if let end { return Step(result: end.map { nil }) }
            precondition(self.reader == nil, "an EventStream has one consumer")
            self.reader = reader
            return nil
        }
    }

    private struct Step {
        var result: Result<Element?, any Error>
        var madeRoom = false
        var writer: Writer?
    }

    private let capacity: Int
    private let onDemand: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - capacity: events held for a consumer that is behind.
    ///   - onDemand: called, on the consumer's thread, when a full buffer has room again or the consumer is gone:
    ///     the moment for a parked compute thread to look again. Must be quick.
    init(capacity: Int = 16, onDemand: @escaping @Sendable () -> Void = {}) {
        precondition(capacity > 0, "a channel needs room for one event, got \(capacity)")
        self.capacity = capacity
        self.onDemand = onDemand
    }

    /// Makes the consumer's end. Call once.
    func makeStream() -> EventStream<Element> { EventStream(consumer: .init(self)) }

    /// Whether the consumer is gone. Once true, stays true.
    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    /// Whether an event offered now would be accepted (there is one producer, so the answer holds).
    var hasRoom: Bool { state.withLock { !$0.isAbandoned && $0.end == nil && $0.buffer.count < capacity } }

    /// Hands an event over without waiting.
    func offer(_ element: Element) -> Offer {
        let (answer, reader): (Offer, Reader?) = state.withLock { state in
            guard !state.isAbandoned, state.end == nil else { return (.closed, nil) }
            if let reader = state.reader {
                state.reader = nil
                return (.accepted, reader)
            }
            guard state.buffer.count < capacity else { return (.full, nil) }
            state.buffer.append(element)
            return (.accepted, nil)
        }
        reader?.resume(returning: element)
        return answer
    }

    /// Hands an event over, waiting for room.
    ///
    /// - Throws: `CancellationError` when the consumer is gone or the channel has ended.
    func send(_ element: Element) async throws {
        while true {
            switch offer(element) {
            case .accepted: return
            case .closed: throw CancellationError()
            case .full:
                await withCheckedContinuation { continuation in
                    let waits = state.withLock { state in
                        guard !state.isAbandoned, state.end == nil, state.buffer.count >= capacity else { return false }
                        state.writer = continuation
                        return true
                    }
                    if !waits { continuation.resume() }
                }
            }
        }
    }

    /// Ends the stream after what is buffered. The first end counts.
    func finish(throwing error: (any Error)? = nil) {
        let (reader, writer) = state.withLock { state in
            guard state.end == nil else {
                return (nil, nil) as (Reader?, Writer?)
            }
            state.end = error.map { .failure($0) } ?? .success(())
            defer { (state.reader, state.writer) = (nil, nil) }
            return (state.reader, state.writer)
        }
        writer?.resume()
        if let error { reader?.resume(throwing: error) } else { reader?.resume(returning: nil) }
    }

    fileprivate func next() async throws -> Element? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { reader in
                guard let step = state.withLock({ $0.take(for: reader, capacity: capacity) }) else { return }
                step.writer?.resume()
                if step.madeRoom { onDemand() }
                reader.resume(with: step.result)
            }
        } onCancel: {
            abandon()
        }
    }

    /// The consumer is gone: wakes a waiting producer, and a waiting `next` with `error`.
    fileprivate func abandon(throwing error: any Error = CancellationError()) {
        let wake: (Reader?, Writer?)? = state.withLock { state in
            guard !state.isAbandoned else { return nil }
            state.isAbandoned = true
            state.interruption = error
            state.buffer.removeAll()
            defer { (state.reader, state.writer) = (nil, nil) }
            return (state.reader, state.writer)
        }
        guard let (reader, writer) = wake else { return }
        reader?.resume(throwing: error)
        writer?.resume()
        onDemand()
    }
}
