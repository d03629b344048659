import Hummingbird
import NIOCore

/// Writes a response body and tells the client's departure from every other failure.
///
/// Each write waits until the connection takes it, so a client that does not read stops the one who writes.
struct ClientWriter {
    /// The connection did not take a write.
    struct ClientGone: Error {
        var underlying: any Error
    }

    private var writer: any ResponseBodyWriter

    init(_ writer: any ResponseBodyWriter) {
        self.writer = writer
    }

    mutating func write(_ bytes: ByteBuffer) async throws {
        do {
            try await writer.write(bytes)
        } catch {
            throw ClientGone(underlying: error)
        }
    }

    consuming func finish() async throws {
        try await writer.finish(nil)
    }

    /// Whether an error means that nobody is left to be told anything.
    static func isDeparture(_ error: any Error) -> Bool {
        error is ClientGone || error is CancellationError
    }
}
