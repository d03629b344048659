import Dispatch
import Foundation
import Glibc
import Synchronization

/// A TCP connection in the test's own hands: sends any bytes, reads slowly, half-closes, resets.
///
/// Blocking calls run on Dispatch threads, never on the cooperative pool that serves the server under test.
final class RawConnection: Sendable {
    struct Failure: Error { var message: String }

    private let descriptor: Int32
    private let isClosed = Atomic(false)

    init(port: Int, receiveBufferBytes: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBufferBytes {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let descriptor = descriptor
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Failure(message: "cannot connect to port \(port): errno \(errno)") }
    }

    deinit { close() }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) async throws {
        let descriptor = descriptor
        let sent = await blocking { Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
        guard sent == bytes.count else {
            throw Failure(message: "sent \(sent) of \(bytes.count) bytes, errno \(errno)")
        }
    }

    /// A whole request with a JSON body.
    func post(_ path: String, json: String, extraHeaders: String = "") async throws {
        try await send(
            "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\(extraHeaders)Content-Length: \(json.utf8.count)\r\n\r\n\(json)"
        )
    }

    /// What arrives next; empty at the end of the stream; `nil` after ten silent seconds.
    func receive(atMost count: Int = 65_536) async -> String? {
        let descriptor = descriptor
        let bytes: [UInt8]? = await blocking {
            var buffer = [UInt8](repeating: 0, count: count)
            let received = recv(descriptor, &buffer, count, 0)
            return received < 0 ? nil : Array(buffer.prefix(received))
        }
        return bytes.map { String(decoding: $0, as: UTF8.self) }
    }

    /// Everything up to and including `marker`, or up to the end.
    func receive(until marker: String) async throws -> String {
        var text = ""
        while !text.contains(marker) {
            guard let more = await receive() else { throw Failure(message: "silence after: \(text)") }
            if more.isEmpty { break }
            text += more
        }
        return text
    }

    /// Tells the server that nothing more will be sent; reading goes on.
    func halfClose() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends the connection with a reset rather than a goodbye.
    func reset() {
        var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        close()
    }

    /// Once: the number may belong to someone else by the second time.
    func close() {
        if !isClosed.exchange(true, ordering: .relaxed) { Glibc.close(descriptor) }
    }

    private func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: body()) }
        }
    }
}
