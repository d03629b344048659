import Foundation
import Logging
import NLCore
import Store
import Testing

@testable import NLServer

// The store has records of the same names; tests speak of the engine's.
typealias JobRecord = NLServer.JobRecord
typealias DocumentRecord = NLServer.DocumentRecord
typealias ConsolidationRecord = NLServer.ConsolidationRecord
typealias SessionRecord = NLServer.SessionRecord
typealias PageRequest = NLServer.PageRequest
typealias SpaceRecord = NLServer.SpaceRecord
typealias SpaceQuotas = NLServer.SpaceQuotas
typealias SnapshotRecord = NLServer.SnapshotRecord

/// A model small enough to learn in a test, as a directory: V 458, D 32, L 2, H 2, random, with a long embedding so
/// that it can say something clearly.
enum TestModel {
    static let configuration: HopeConfiguration = {
        var c = HopeConfiguration(
            vocabularySize: 458, width: 32, layers: 2, heads: 2,
            levels: [
                .init(name: "fast", hiddenMultiple: 1, chunkSize: 8),
                .init(name: "medium", hiddenMultiple: 2, chunkSize: 32, learningRate: 0.02),
                .init(name: "slow", hiddenMultiple: 2, chunkSize: 64, learningRate: 0.02),
            ])
        c.chunkSize = 4
        c.projectionChunkSize = 8
        return c
    }()

    static func parameters(seed: UInt64 = 5) -> ParameterSet<Float> {
        var random = SeededRandom(seed: seed)
        var parameters = ParameterSet<Float>.initial(configuration, seed: seed).mapTensors { tensor in
            Tensor(tensor.elements.map { $0 + Float(random.nextNormal() * 0.05) }, shape: tensor.shape)
        }
        parameters["embedding"] = parameters["embedding"].map {
            Tensor($0.elements.map { $0 * 7 }, shape: $0.shape)
        }
        return parameters
    }

    static let anchors = [
        "The river ran past the old mill, and the miller watched the water. In winter it froze. In spring it rose.",
        "A lighthouse keeper writes down the weather every evening: wind, cloud, and how far he can see.",
        "Bread needs flour, water, salt and time. Most of it is time, and nobody sells that in a bag.",
        "The committee met on Tuesday and agreed to meet again. Two members were of another opinion.",
    ].joined(separator: "\n\n")

    static var tokenizerFile: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Fixtures/Tokenizer/plain.json")
    }

    /// Writes the model's files.
    static func write(
        to directory: URL, parameters: ParameterSet<Float> = parameters(),
        configuration: HopeConfiguration = configuration, anchors: String? = anchors
    ) throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys  // the same model, the same bytes
        try encoder.encode(configuration).write(to: directory.appendingPathComponent("config.json"))
        var writer = SafetensorsWriter()
        for (name, tensor) in parameters.entries {
            try writer.add(name, shape: tensor.shape.axes, floats: tensor.elements)
        }
        try writer.write(to: directory.appendingPathComponent("model.safetensors"))
        try Data(contentsOf: tokenizerFile).write(to: directory.appendingPathComponent("tokenizer.json"))
        try anchors.map { try Data($0.utf8).write(to: directory.appendingPathComponent("anchors.txt")) }
    }
}

/// A directory with a model and a database, gone when the value is.
final class EngineHome: Sendable {
    let path: String
    private let isKept: Bool

    /// - Parameter path: an existing home, in another process; nil makes one.
    init(_ path: String? = nil) throws {
        isKept = path != nil
        self.path = path ?? NSTemporaryDirectory() + "engine-tests-" + UUID().uuidString
        if path == nil { try TestModel.write(to: model) }
    }

    deinit { if !isKept { try? FileManager.default.removeItem(atPath: path) } }

    var model: URL { URL(fileURLWithPath: path).appendingPathComponent("model") }
    var database: String { path + "/memory.sqlite" }

    var configuration: EngineConfiguration {
        var c = EngineConfiguration(modelPath: model.path, databasePath: database)
        c.learnMaxPasses = 6
        c.anchorBound = 10  // a random model's language is not worth guarding, except where a test does
        return c
    }

    func engine(_ change: (inout EngineConfiguration) -> Void = { _ in }) -> HopeEngine {
        var c = configuration
        change(&c)
        return HopeEngine(configuration: c, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Starts an engine, runs `body`, shuts it down.
    func run<Value>(
        _ change: (inout EngineConfiguration) -> Void = { _ in }, _ body: (HopeEngine) async throws -> Value
    ) async throws -> Value {
        let engine = engine(change)
        try await engine.start()
        do {
            let value = try await body(engine)
            await engine.shutdown()
            return value
        } catch {
            await engine.shutdown()
            throw error
        }
    }

    /// The database, while no engine has it.
    func withStore<Value>(_ body: (MemoryStore) throws -> Value) throws -> Value {
        let model = try LoadedModel(directory: model.path)
        let (store, _) = try MemoryStore.open(at: database, fingerprint: model.fingerprint)
        defer { try? store.close() }
        return try body(store)
    }
}

extension ModelEngine {
    /// A document of the space that always exists.
    func document(_ id: String) async throws -> DocumentRecord { try await document(id, space: "default") }
}

extension HopeEngine {
    /// Puts a document in.
    @discardableResult
    func accept(
        _ text: String, id: String? = nil, key: String? = nil, space: String = "default"
    ) async throws -> DocumentAcceptance {
        try await acceptDocument(DocumentSubmission(text: text, id: id, space: space, idempotencyKey: key))
    }

    /// Follows a job to its end.
    @discardableResult
    func end(of job: JobRecord) async throws -> JobRecord {
        for try await event in try await follow(job: job.id) {
            switch event {
            case .accepted, .progress, .replaying: continue
            case .learned(let job), .forgotten(let job), .failed(let job), .cancelled(let job), .restored(let job),
                .consolidated(let job, _):
                return job
            }
        }
        throw EngineError.cancelled(reason: "the stream ended without a final event")
    }

    /// Puts a document in and waits until it is learned.
    @discardableResult
    func learn(_ text: String, id: String? = nil, in space: String = "default") async throws -> JobRecord {
        try await end(of: accept(text, id: id, space: space).job)
    }

    /// Expects that none of these files is imported as a snapshot, each refused for what it `says`.
    func expectRefused(
        _ files: [(bytes: [UInt8], says: String)], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        for (index, file) in files.enumerated() {
            do {
                _ = try await importSnapshot(SnapshotImport(space: "default", name: "x", bytes: file.bytes))
                Issue.record(
                    "case \(index) was imported, and should have been refused: \(file.says)",
                    sourceLocation: sourceLocation)
            } catch EngineError.invalid(_, let message) {
                #expect(message.contains(file.says), "case \(index): \(message)", sourceLocation: sourceLocation)
            }
        }
    }

    /// The published levels of the space.
    var space: PublishedSpace { get throws { try published("default") } }

    /// The published levels of a space.
    func published(_ space: String) throws -> PublishedSpace { try running().context.spaces.current(space) }

    /// Every bit that the levels of the space are made of.
    var bits: String { get throws { try space.levels.bits } }
}

extension SpaceLevels {
    /// A digest over tensors, moments, open chunks and counters of all levels.
    var bits: String {
        get throws {
            var parts: [String] = []
            for level in levels {
                for blob in LevelCodec.blobs(of: level) {
                    parts.append("\(blob.name) \(blob.shape) \(SHA256Digest(of: blob.bytes).hex)")
                }
                parts.append(try JSONText(encoding: level.counters).text)
            }
            return SHA256Digest(of: parts.joined(separator: "\n")).hex
        }
    }
}

/// Waits for something another thread brings about; polls, as a client would.
func eventually(
    within limit: Duration = .seconds(300), sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("did not happen within \(limit)", sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// Invented facts, one a document.
enum Facts {
    static let all = [
        "The lord of Valmere was born in the city of Oskel.",
        "The lord of Tarnost was born in the city of Bruvik.",
        "The lord of Quillen was born in the city of Hadra.",
        "The lord of Ostrava was born in the city of Pellin.",
    ]

    /// A text of many such facts: 1,000 keep the learner busy until somebody cancels it.
    static func long(_ count: Int = 1_000) -> String {
        (0..<count).map { "The lord of Place\($0) was born in the city of Town\($0 * 7 % count)." }
            .joined(separator: " ")
    }
}
