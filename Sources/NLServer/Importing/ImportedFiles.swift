import Foundation
import NLCore

/// Everything an import reads, checked before anything is written.
struct ImportedFiles {
    let model: ImportedModel
    let configuration: HopeConfiguration
    private let tokenizer: Data
    private let tokenizerSettings: Data?
    private let vocabulary: Tokenizer
    private let anchors: String?
    private let chat: ChatDialect.Detection

    /// - Throws: ``ImportError``, `TokenizerError`, or the system's reason.
    init(_ directory: URL, anchors: String?, _ options: ImportOptions) throws {
        model = try ImportedModel(directory: directory, options)
        let file = directory.appending(path: ModelFile.tokenizer.rawValue)
        guard let tokenizer = FileManager.default.contents(atPath: file.path) else {
            throw ImportError.file(
                "tokenizer.json",
                reason: "it is missing or can't be read; a tokenizer in Hugging Face's own format is accepted, "
                    + "not SentencePiece's tokenizer.model")
        }
        self.tokenizer = tokenizer
        vocabulary = try Tokenizer(json: tokenizer)
        guard vocabulary.vocabularySize <= model.configuration.vocabularySize else {
            throw ImportError.malformed(
                key: "vocab_size",
                reason:
                    "is \(model.configuration.vocabularySize), and tokenizer.json has \(vocabulary.vocabularySize) tokens"
            )
        }
        tokenizerSettings = try ChatDialect.settings(in: directory)
        chat = ChatDialect.detect(tokenizerSettings, tokenizer: vocabulary)
        self.anchors = try anchors.map { path in
            let text = try Data(contentsOf: URL(filePath: path))
            guard let text = String(validating: text, as: UTF8.self) else {
                throw ImportError.file(path, reason: "it is not UTF-8")
            }
            return text
        }
        var configuration = model.configuration
        // A chat model ends its turn with a sign of its own, which its config.json may leave out.
        var ends = [configuration.eosTokenID] + configuration.furtherEndTokenIDs
        ends += Self.generationEnds(directory)
        if case .known(let format) = chat, let id = vocabulary.id(of: format.endOfTurn) { ends.append(id) }
        var unique: [Int] = []
        for id in ends where (0..<configuration.vocabularySize).contains(id) && !unique.contains(id) {
            unique.append(id)
        }
        configuration.furtherEndTokenIDs = Array(unique.dropFirst())
        self.configuration = configuration
    }

    /// What generation_config.json, if it is there, says ends a text.
    private static func generationEnds(_ directory: URL) -> [Int] {
        struct One: Decodable { var eos_token_id: Int }
        struct Many: Decodable { var eos_token_id: [Int] }
        guard let data = FileManager.default.contents(atPath: directory.appending(path: "generation_config.json").path)
        else { return [] }
        if let one = try? JSONDecoder().decode(One.self, from: data) { return [one.eos_token_id] }
        return (try? JSONDecoder().decode(Many.self, from: data))?.eos_token_id ?? []
    }

    // MARK: - Report

    /// What the model takes, in lines for people.
    func report(sessionTokens: Int) throws -> [String] {
        let cost = try model.memoryCost()
        let c = configuration
        func bytes(_ count: Int) -> String { count.formatted(.byteCount(style: .memory)) + " (\(count) bytes)" }
        var lines = [
            "parameters: \(cost.parameterCount), \(c.layers) layers; model.safetensors \(bytes(cost.fileBytes))",
            "memory: laid out for reading \(bytes(cost.readingBytes)), once all of it learns \(bytes(cost.baseBytes)) more",
        ]
        let map = c.layerLevels ?? []
        for level in cost.levels {
            let layers = map.indices.filter { map[$0] == level.name }.map(String.init).joined(separator: ", ")
            let owner = level.name == c.levels.first?.name ? "a session" : "a space"
            if layers.isEmpty, let slots = c.levels.lazy.compactMap(\.slots).first {
                lines.append(
                    "level \(level.name): \(slots.capacity) slots beside layer \(c.layers - 1); "
                        + "\(bytes(level.bytes)) for \(owner), as they fill")
                continue
            }
            lines.append(
                "level \(level.name): layers \(layers); \(level.parameterCount) parameters; once it learns, "
                    + "change, gradient and optimizer \(bytes(level.bytes)) for \(owner)")
        }
        let held = min(sessionTokens, c.contextLength ?? sessionTokens, c.slidingWindow ?? sessionTokens)
        lines.append(
            "session after \(sessionTokens) tokens: cache \(bytes(model.sessionBytes(at: sessionTokens))), "
                + "\(held) positions in view, at most \(min(c.contextLength ?? .max, c.slidingWindow ?? .max))")
        if c.levels.contains(where: { $0.slots != nil }) {
            lines.append("the import itself reads the anchors with all weights as floats: \(bytes(cost.baseBytes))")
        } else {
            lines.append("the import itself holds one tensor at a time: at most \(bytes(largestTensor))")
        }
        switch chat {
        case .known(let format): lines.append("chat template: \(format.kind.rawValue)")
        case .none:
            lines.append("chat template: none; chat requests are written as plain paragraphs (User:, Assistant:)")
        case .unknown(let reason):
            lines.append("chat template: \(reason); chat requests are written as plain paragraphs (User:, Assistant:)")
        }
        return lines
    }

    private var largestTensor: Int {
        model.largestTensorCount * MemoryLayout<Float>.size
    }

    // MARK: - Writing

    /// What finds slots, laid out over the anchors.
    private func slots(_ anchors: Anchors) throws -> ParameterSet<Float> {
        var layout = SlotLayout(
            model.configuration.withoutSlots, try model.parameters(), level: ImportOptions.acquisitionLevel,
            spelling: vocabulary.spelling(ofModelWith: configuration.vocabularySize))
        layout.read(anchors.rehearsal)
        layout.silence(vocabulary.encode(ChatTemplate.words, parseSpecialTokens: false).map(Int32.init))
        print("slots are laid out over \(layout.rowCount) tokens of anchors")
        return layout.tensors(for: configuration, seed: 1)
    }

    /// Writes the directory; config.json comes last, so that an interrupted import is no model.
    func write(to directory: URL) throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let present = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            .filter { !$0.hasSuffix(".partial") }
        let configurationFile = directory.appending(path: ModelFile.configuration.rawValue)
        if present.contains(ModelFile.configuration.rawValue) || !Set(present).isSubset(of: ModelFile.names) {
            throw ImportError.file(
                directory.path,
                reason: "it holds \(present.sorted().prefix(3).joined(separator: ", ")); "
                    + "a directory that is empty, or that an interrupted import left, is accepted")
        }
        var slots = ParameterSet<Float>()
        if configuration.levels.contains(where: { $0.slots != nil }), let anchors {
            guard let file = AnchorFile(anchors, tokenizer: vocabulary, configuration: configuration) else {
                throw ImportError.file("anchors", reason: "it is too short: two paragraphs at least are needed")
            }
            slots = try self.slots(file.anchors)
        }
        try model.writeWeights(
            to: directory.appending(path: ModelFile.weights.rawValue), metadata: ["format": "pt"], slots: slots)
        try writeDurably(tokenizer, to: directory.appending(path: ModelFile.tokenizer.rawValue))
        if let tokenizerSettings {
            try writeDurably(tokenizerSettings, to: directory.appending(path: ModelFile.tokenizerSettings.rawValue))
        }
        if let anchors {
            try writeDurably(Data(anchors.utf8), to: directory.appending(path: ModelFile.anchors.rawValue))
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try writeDurably(try encoder.encode(configuration) + Data("\n".utf8), to: configurationFile)
    }
}

/// The files of a model directory (design §6).
enum ModelFile: String, CaseIterable {
    case configuration = "config.json"
    case weights = "model.safetensors"
    case tokenizer = "tokenizer.json"
    case tokenizerSettings = "tokenizer_config.json"
    case anchors = "anchors.txt"

    static let names = Set(allCases.map(\.rawValue))
}
