import Foundation
import NLCore
import Store

/// A model directory, read and checked: geometry, weights, tokenizer, anchors, and the digests that name them.
struct LoadedModel: Sendable {
    /// What requests may put into `model`.
    let id: String
    /// When the weights were written.
    let created: Date
    let configuration: HopeConfiguration
    /// The levels, fastest first: the first belongs to sessions, the others to spaces.
    let levels: [LevelDefinition]
    let tokenizer: Tokenizer
    /// How chat requests are written, for a model that has a template of its own.
    let chat: ChatDialect.Detection
    /// θ_base.
    let base: ParameterSet<Float>
    /// `anchors.txt`; nil where the model has none.
    let anchorFile: AnchorFile?
    /// Which databases belong to this model.
    let fingerprint: ModelFingerprint
    /// By which earlier versions knew the same model.
    let formerFingerprints: [ModelFingerprint]

    /// Reads a model directory.
    ///
    /// The digest of the weights, which one processor takes longest for, is begun first; the tokenizer is read, and the
    /// parameters are checked and laid out, while it runs.
    ///
    /// - Parameter layout: lays the parameters out for reading.
    /// - Throws: ``EngineError/modelDirectory(path:message:)``, naming the file or tensor at fault and what would be
    ///   accepted in its place.
    init(directory path: String, layout: ReadingLayout? = nil) throws(EngineError) {
        let directory = ModelDirectory(path: path)
        try directory.requireFiles()
        try directory.checked { try SHA256Hasher.requireAvailable() }
        var configuration = try directory.configuration()
        let weights = try directory.weights()
        let weightsDigest = Concurrently { weights.withFileBytes { SHA256Digest(of: $0) } }
        let tokenizer = try directory.checked { try Tokenizer(contentsOf: directory.url(.tokenizer)) }
        try directory.require(
            tokenizer.vocabularySize <= configuration.vocabularySize,
            "tokenizer.json has \(tokenizer.vocabularySize) tokens and config.json says \"vocab_size\" is "
                + "\(configuration.vocabularySize); they are not of one model")
        chat = ChatDialect.detect(
            directory.exists(.tokenizerSettings) ? try directory.data(.tokenizerSettings) : nil, tokenizer: tokenizer)
        configuration.conversation = ConversationLexicon(tokenizer, chat, of: configuration)
        levels = try directory.checked { [configuration] in try LevelDefinition.levels(of: configuration) }
        base = try directory.parameters(configuration, in: weights)
        if let layout {
            let base = base
            _ = try directory.checked { try layout.weights(of: SpaceLevels(configuration, base: base)) }
        }
        anchorFile = try directory.anchors(tokenizer, configuration)
        fingerprint = ModelFingerprint(
            architecture: try directory.architectureDigest().hex, tokenizer: try directory.digest(.tokenizer).hex,
            weights: weightsDigest.value.hex)
        formerFingerprints = try directory.formerArchitectureDigests().map { [fingerprint] in
            ModelFingerprint(
                architecture: $0.hex, tokenizer: fingerprint.tokenizer, weights: fingerprint.weights)
        }
        id = directory.name
        created = directory.modified(.weights)
        self.configuration = configuration
        self.tokenizer = tokenizer
    }

    /// A text as the learner reads it.
    ///
    /// Special tokens written in a document are characters, not signs to the model: nobody ends a text by naming its
    /// end.
    func learningText(_ text: String) -> LearningText {
        LearningText(tokens(of: text), configuration: configuration)
    }

    /// The tokens of a text from outside.
    func tokens(of text: String) -> [Int32] {
        tokenizer.encode(text, parseSpecialTokens: false).map(Int32.init)
    }

    /// General text to rehearse and to judge by; none where the model has no `anchors.txt`. Cut when first asked for.
    var anchors: Anchors { anchorFile?.anchors ?? Anchors(rehearsal: [], gate: []) }

    /// Tokens of a learning window: about 256, in whole projection chunks (spec §3).
    var windowSize: Int {
        let chunk = configuration.projectionChunkSize
        return max(256 / chunk, 1) * chunk
    }

    /// What `/v1/models` says.
    var description: ModelDescription {
        let digests = [fingerprint.architecture, fingerprint.tokenizer, fingerprint.weights].joined(separator: "\n")
        return ModelDescription(
            id: id, created: created, fingerprint: SHA256Digest(of: digests).hex, parameterCount: base.parameterCount,
            vocabularySize: configuration.vocabularySize, levelNames: ["working"] + levels.map(\.name))
    }
}

/// The files of a model directory (design §6), and how each can be wrong.
struct ModelDirectory {
    typealias File = ModelFile

    let path: String

    private static let largeParameterCount = 1 << 25

    /// The directory's own name, links resolved.
    var name: String { URL(fileURLWithPath: path).resolvingSymlinksInPath().lastPathComponent }

    func url(_ file: File) -> URL { URL(fileURLWithPath: path).appendingPathComponent(file.rawValue) }

    func exists(_ file: File) -> Bool { FileManager.default.fileExists(atPath: url(file).path) }

    func error(_ message: String) -> EngineError { .modelDirectory(path: path, message: message) }

    func require(_ holds: Bool, _ message: @autoclosure () -> String) throws(EngineError) {
        if !holds { throw error(message()) }
    }

    func requireFiles() throws(EngineError) {
        var isDirectory: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        try require(isThere, "there is no such directory")
        try require(isDirectory.boolValue, "it is a file; a model is a directory")
        let missing = [File.configuration, .weights, .tokenizer].filter { !exists($0) }.map(\.rawValue)
        try require(
            missing.isEmpty,
            "\(missing.joined(separator: ", ")) is missing; a model has config.json, model.safetensors, tokenizer.json "
                + "and, for learning that keeps general language, anchors.txt")
    }

    func checked<Value>(_ body: () throws -> Value) throws(EngineError) -> Value {
        do {
            return try body()
        } catch {
            throw self.error("\(error)")
        }
    }

    func data(_ file: File) throws(EngineError) -> Data {
        do {
            return try Data(contentsOf: url(file), options: .mappedIfSafe)
        } catch {
            throw self.error("\(file.rawValue) cannot be read: \((error as NSError).localizedDescription)")
        }
    }

    /// The digest of what config.json says, however it is written, but for what may be changed under a database: how far the
    /// levels step, and the capacity of slots, of which those not used leave no trace.
    func architectureDigest() throws(EngineError) -> SHA256Digest {
        let bytes = try data(.configuration)
        return try checked {
            var members = try JSONDecoder().decode([String: JSONValue].self, from: bytes)
            let changeable: Set = ["learning_rate", "momentum"]
            if case .array(let levels)? = members["cms_levels"] {
                members["cms_levels"] = .array(
                    levels.map { level in
                        guard case .object(var kept) = level else { return level }
                        kept = kept.filter { !changeable.contains($0.key) }
                        if case .object(var slots)? = kept["slots"] {
                            slots["capacity"] = nil
                            kept["slots"] = .object(slots)
                        }
                        return .object(kept)
                    })
            }
            return SHA256Digest(of: Data(JSONValue.object(members).canonicalText.utf8))
        }
    }

    /// What stood for ``architectureDigest()`` before: a digest of the file's text, later of that text without the capacity. The
    /// text may since have got other numbers than the shipped model and `add-slots` gave then.
    func formerArchitectureDigests() throws(EngineError) -> [SHA256Digest] {
        let bytes = try data(.configuration)
        guard let text = String(validating: bytes, as: UTF8.self), text.contains("\"slots\"") else {
            return [SHA256Digest(of: bytes)]
        }
        let shipped = text.replacing(/\s*"momentum"\s*:\s*[0-9.e-]+,/, with: "")
            .replacing(/"learning_rate"\s*:\s*[0-9.e-]+/, with: "\"learning_rate\" : 0.003")
        return [SHA256Digest(of: bytes)]
            + [text, shipped].flatMap { text in
                ["\"capacity\":0", "\"capacity\" : 16384"].map {
                    SHA256Digest(of: text.replacing(/"capacity"\s*:\s*[0-9]+/, with: $0))
                }
            }
    }

    func digest(_ file: File) throws(EngineError) -> SHA256Digest { SHA256Digest(of: try data(file)) }

    func modified(_ file: File) -> Date {
        let attributes = try? FileManager.default.attributesOfItem(atPath: url(file).path)
        return attributes?[.modificationDate] as? Date ?? Date(timeIntervalSince1970: 0)
    }

    func configuration() throws(EngineError) -> HopeConfiguration {
        let data = try data(.configuration)
        do {
            let configuration = try JSONDecoder().decode(HopeConfiguration.self, from: data)
            try configuration.validate()
            return configuration
        } catch let error as DecodingError {
            throw self.error("config.json: \(Self.words(error))")
        } catch {
            throw self.error("\(error)")
        }
    }

    /// The weights' file, mapped: its bytes are read as they are used, and never twice into memory.
    func weights() throws(EngineError) -> SafetensorsFile {
        try checked { try SafetensorsFile(contentsOf: url(.weights)) }
    }

    func parameters(
        _ configuration: HopeConfiguration, in file: SafetensorsFile
    ) throws(EngineError) -> ParameterSet<Float> {
        var wanted: [(name: String, shape: Shape)] = []
        _ = HopeParameters<Void>(configuration) { name, shape in wanted.append((name, shape)) }
        let bytes = wanted.reduce(0.0) { sum, parameter in
            let shape = HopeParameters<Void>.baseShape(parameter.name, of: parameter.shape)
            return sum + shape.axes.reduce(4.0) { $0 * Double($1) }
        }
        let memory = Double(ProcessInfo.processInfo.physicalMemory)
        try require(
            bytes <= memory,
            "config.json asks for \(Self.gigabytes(bytes)) of parameters; this machine has "
                + "\(Self.gigabytes(memory)) of memory")
        let found = Set(file.names)
        let missing = wanted.map(\.name).filter { !found.contains($0) && !HopeParameters<Void>.isZeroInBase($0) }
        try require(missing.isEmpty, "model.safetensors lacks \(Self.list(missing)), which config.json asks for")
        let unknown = found.subtracting(wanted.map(\.name)).sorted()
        try require(unknown.isEmpty, "model.safetensors has \(Self.list(unknown)), unknown to the model of config.json")
        var parameters = ParameterSet<Float>()
        // What takes long to read, and much memory, is read when someone learns. Less is had at once, and the file is
        // not needed any more.
        let isLarge =
            wanted.reduce(0) {
                $0 + HopeParameters<Void>.baseShape($1.name, of: $1.shape).count
            } >= Self.largeParameterCount
        for (name, shape) in wanted {
            if !found.contains(name) {
                parameters[name] = .zeros(HopeParameters<Void>.baseShape(name, of: shape))
                continue
            }
            let axes = file.tensor(named: name)?.shape ?? []
            try require(
                axes == shape.axes,
                "model.safetensors: \"\(name)\" has shape \(axes); config.json asks for \(shape.axes)")
            let tensor = try checked {
                if isLarge { return try file.deferred(name, shape: shape) }
                return Tensor(try file.floats(named: name), shape: shape)
            }
            try require(tensor.isFinite, "model.safetensors: \"\(name)\" holds NaN or infinity; the file is damaged")
            parameters[name] = tensor
        }
        return parameters
    }

    func anchors(_ tokenizer: Tokenizer, _ configuration: HopeConfiguration) throws(EngineError) -> AnchorFile? {
        guard exists(.anchors) else { return nil }
        let bytes = try data(.anchors)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw error("anchors.txt is not UTF-8")
        }
        guard let file = AnchorFile(text, tokenizer: tokenizer, configuration: configuration) else {
            throw error("anchors.txt is too short: it needs two paragraphs at least; it may be left out")
        }
        return file
    }

    private static func gigabytes(_ bytes: Double) -> String {
        "\((bytes / 1e9).formatted(.number.precision(.fractionLength(1)).grouping(.never))) GB"
    }

    private static func list(_ names: [String]) -> String {
        names.prefix(5).map { "\"\($0)\"" }.joined(separator: ", ")
            + (names.count > 5 ? " and \(names.count - 5) more" : "")
    }

    private static func words(_ error: DecodingError) -> String {
        func at(_ context: DecodingError.Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, _): return "\"\(key.stringValue)\" is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "\"\(at(context))\" has the wrong type: \(context.debugDescription)"
        case .dataCorrupted(let context): return "it is not the JSON of a model: \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }
}
