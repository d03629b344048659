import Foundation
import Glibc
import NIOHTTP1
import Synchronization

/// A daemon of the evaluation's own: this program's `serve` on a database of its own, to be killed and started again.
actor SpawnedDaemon {
    /// How long loading a model may take.
    private static let patience = Duration.seconds(120)

    let port: Int
    private let executable: URL
    private let arguments: [String]
    private let log: URL
    private var process: Process?

    /// - Parameters:
    ///   - executable: an `nlserver`.
    ///   - directory: where the database and the log go.
    ///   - options: of `serve`, beyond those that say where things are.
    init(executable: URL, model: String, directory: URL, options: [String]) throws {
        port = try Self.freePort()
        self.executable = executable
        log = directory.appending(path: "daemon.log")
        // No consolidation but those the evaluation asks for.
        arguments =
            ["serve", "--model", model, "--database", directory.appending(path: "memory.sqlite").path]
            + [
                "--host", "127.0.0.1", "--port", "\(port)", "--consolidate-every", "0", "--consolidate-idle", "0",
                "--consolidate-fill", "0",
            ]
            + options
    }

    /// Starts the process and waits until it is ready.
    ///
    /// - Throws: ``EvaluationError`` with the end of its log if it ends or is not ready in time.
    func start() async throws {
        if !FileManager.default.fileExists(atPath: log.path) {
            _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        }
        let output = try FileHandle(forWritingTo: log)
        try output.seekToEnd()
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        // What is measured is what the command line says.
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("NLSERVER_") }
        do {
            try process.run()
        } catch {
            throw EvaluationError("the daemon could not be started: \(error)")
        }
        self.process = process
        EvaluationInterrupt.child(process.processIdentifier)
        try output.close()
        try await waitUntilReady(process)
    }

    /// Ends the process as a power cut would, and waits until it is gone.
    func kill() async {
        guard let process else { return }
        Glibc.kill(process.processIdentifier, SIGKILL)
        // Not `waitUntilExit`, which holds the thread. A cancelled task waits too: the process must be gone.
        while process.isRunning { try? await Task.sleep(for: .milliseconds(2)) }
        EvaluationInterrupt.child(0)
        self.process = nil
    }

    private func waitUntilReady(_ process: Process) async throws {
        let deadline = ContinuousClock.now + Self.patience
        let exchange = HTTPExchange(host: "127.0.0.1", port: port)
        while ContinuousClock.now < deadline {
            guard process.isRunning else {
                throw EvaluationError("the daemon ended before it was ready; its last words:\n\(lastWords)")
            }
            if let answer = try? await exchange.send(.GET, "/health/ready"), answer.status == 200 { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        await kill()
        throw EvaluationError("the daemon was not ready after \(Self.patience); its last words:\n\(lastWords)")
    }

    /// The end of the log; of a daemon that crashed what it said before, and where it was, without registers and images.
    private var lastWords: String {
        let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        let lines = text.split(separator: "\n")
        guard let crash = lines.firstIndex(where: { $0.contains("Program crashed") || $0.hasPrefix("*** ") }) else {
            return lines.suffix(8).joined(separator: "\n")
        }
        return lines[max(crash - 8, 0)..<min(crash + 16, lines.count)].joined(separator: "\n")
    }

    /// A port that nobody listens on at this moment.
    private static func freePort() throws -> Int {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0
            }
        }
        guard socket >= 0, isBound else { throw EvaluationError("there is no free port on 127.0.0.1") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// SIGINT and SIGTERM: the first asks the evaluation to stop, a second kills the spawned daemon and ends at once.
enum EvaluationInterrupt {
    private static let count = Atomic(0)
    private static let pid = Atomic<Int32>(0)

    /// Whether a signal has come.
    static var isRaised: Bool { count.load(ordering: .relaxed) > 0 }

    /// The process that must not outlive this one; 0 for none.
    static func child(_ process: Int32) { pid.store(process, ordering: .relaxed) }

    static func listen() {
        // A handler may only touch what exists already: this makes the two.
        child(0)
        count.store(0, ordering: .relaxed)
        for signal in [SIGINT, SIGTERM] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in EvaluationInterrupt.handle() }
            action.sa_flags = SA_RESTART
            sigaction(signal, &action, nil)
        }
    }

    private static func handle() {
        guard count.add(1, ordering: .relaxed).newValue > 1 else { return }
        let child = pid.load(ordering: .relaxed)
        if child > 0 { kill(child, SIGKILL) }
        _exit(130)
    }
}
