/// The parts of a `tokenizer.json`, checked: what is here, `Tokenizer` does exactly; what it could not do was refused.
///
/// `truncation` and `padding` are settings for batches and are not read. `model.unk_token` and `model.fuse_unk` cannot
/// matter, because a vocabulary that lacks a byte is refused.
struct TokenizerFile {
    /// Ids that the post-processor puts before and after a text.
    struct Template: Equatable, Sendable {
        var prefix: [Int] = []
        var suffix: [Int] = []
    }

    /// Larger ids are refused: tables are indexed by id, and a damaged file must not claim gigabytes.
    static let maximumVocabularySize = 1 << 22

    /// Token by id; nil for an id no token has.
    private(set) var contents: [String?] = []
    /// The token of each single byte.
    private(set) var byteIDs: [UInt32] = []
    /// In order of rank.
    private(set) var merges: [(left: UInt32, right: UInt32, product: UInt32)] = []
    private(set) var addedTokens: [AddedToken] = []
    var normalizer: [NormalizerStep] = []
    var preTokenizer = PreTokenizer(addsPrefixSpace: false, pattern: .gpt2)
    /// Where the vocabulary is one of characters; nil for one of bytes.
    private(set) var vocabulary: CharacterVocabulary?
    /// Whether a piece that is a token stays whole, whatever the merges say.
    private(set) var ignoresMerges = false
    /// What a vocabulary of characters writes for a space.
    var spaceSign = ""
    /// Whether the space that a text was given at its start is taken off again.
    var stripsFirstSpace = false
    private(set) var template = Template()

    init(json bytes: [UInt8]) throws(TokenizerError) {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw .invalidJSON("\(error)")
        }
        guard case .object(let root) = document else {
            throw .malformed(key: "(root)", reason: "expected an object, found \(document.kind)")
        }
        if let version = root["version"], version != .string("1.0") {
            throw .unsupported(key: "version", value: describe(version), accepted: "\"1.0\"")
        }
        let model = try root.requiredObject("model", in: "")
        try readModel(model)
        try readAddedTokens(root["added_tokens"] ?? .array([]))
        try readNormalizer(root["normalizer"] ?? .null)
        try readPreTokenizer(root["pre_tokenizer"] ?? .null)
        try readDecoder(root["decoder"] ?? .null)
        try readPostProcessor(root["post_processor"] ?? .null)
    }

    // MARK: - Model

    private mutating func readModel(_ model: JSONObject) throws(TokenizerError) {
        // Files written before the key existed are recognised by having merges.
        if let type = model["type"], type != .string("BPE") {
            throw .unsupported(key: "model.type", value: describe(type), accepted: "\"BPE\"")
        }
        if let dropout = model["dropout"], dropout != .null, dropout != .integer(0), dropout != .number(0) {
            throw .unsupported(key: "model.dropout", value: describe(dropout), accepted: "null")
        }
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let value = model[key], value != .null, value != .string("") {
                throw .unsupported(key: "model.\(key)", value: describe(value), accepted: "null or \"\"")
            }
        }
        ignoresMerges = try model.flag("ignore_merges", in: "model") ?? false
        let ids = try readVocabulary(try model.requiredObject("vocab", in: "model."))
        if try model.flag("byte_fallback", in: "model") ?? false {
            guard let characters = CharacterVocabulary(ids: ids) else {
                throw .unsupported(
                    key: "model.vocab", value: "byte_fallback without a token for every byte",
                    accepted: "<0x00> to <0xFF>")
            }
            guard !ignoresMerges else {
                throw .unsupported(key: "model.ignore_merges", value: "true", accepted: "false with byte_fallback")
            }
            vocabulary = characters
            return try readMerges(model["merges"] ?? .null, ids: ids)
        }
        for (byte, scalar) in ByteAlphabet.scalars.enumerated() {
            guard let id = ids[Array(String(scalar).utf8)] else {
                // Some vocabularies leave out the bytes that no UTF-8 contains; encoding never asks for them.
                if [0xC0, 0xC1].contains(byte) || byte >= 0xF5 {
                    byteIDs.append(0)
                    continue
                }
                throw .unsupported(
                    key: "model.vocab", value: "a vocabulary without byte \(byte) (\"\(scalar)\")",
                    accepted: "byte-level vocabularies with every byte of UTF-8, or byte_fallback")
            }
            byteIDs.append(UInt32(id))
        }
        try readMerges(model["merges"] ?? .null, ids: ids)
    }

    private mutating func readVocabulary(_ vocabulary: JSONObject) throws(TokenizerError) -> [[UInt8]: Int] {
        var ids: [[UInt8]: Int] = [:]
        ids.reserveCapacity(vocabulary.members.count)
        for (token, value) in vocabulary.members {
            guard let id = value.integer, (0..<Self.maximumVocabularySize).contains(id) else {
                throw .malformed(
                    key: "model.vocab",
                    reason: "the id of \"\(token.prefix(80))\" is not an integer in 0..<\(Self.maximumVocabularySize)")
            }
            try assign(token, to: id, key: "model.vocab")
            ids[Array(token.utf8)] = id
        }
        return ids
    }

    private mutating func assign(_ token: String, to id: Int, key: String) throws(TokenizerError) {
        while contents.count <= id { contents.append(nil) }
        if let other = contents[id] {
            throw .malformed(key: key, reason: "\"\(token.prefix(80))\" and \"\(other.prefix(80))\" both have id \(id)")
        }
        contents[id] = token
    }

    /// Merges are `"a b"` in older files and `["a", "b"]` in newer ones.
    private mutating func readMerges(_ value: JSONValue, ids: [[UInt8]: Int]) throws(TokenizerError) {
        guard let entries = value.array else {
            throw .malformed(key: "model.merges", reason: "expected an array, found \(value.kind)")
        }
        for (rank, entry) in entries.enumerated() {
            let parts: [[UInt8]] =
                switch entry {
                case .string(let text): text.utf8.split(separator: UInt8(ascii: " ")).map(Array.init)
                case .array(let values): values.compactMap { $0.string.map { Array($0.utf8) } }
                default: []
                }
            guard parts.count == 2 else {
                throw .malformed(key: "model.merges[\(rank)]", reason: "expected \"a b\" or [\"a\", \"b\"]")
            }
            guard let left = ids[parts[0]], let right = ids[parts[1]], let product = ids[parts[0] + parts[1]] else {
                throw .malformed(
                    key: "model.merges[\(rank)]",
                    reason: "a part of \(describe(entry)), or the whole, is not in model.vocab")
            }
            merges.append((UInt32(left), UInt32(right), UInt32(product)))
        }
    }

    // MARK: - Added tokens

    private mutating func readAddedTokens(_ value: JSONValue) throws(TokenizerError) {
        guard let entries = value.array else {
            throw .malformed(key: "added_tokens", reason: "expected an array, found \(value.kind)")
        }
        var known: [[UInt8]: Int] = [:]
        for (id, content) in contents.enumerated() {
            if let content { known[Array(content.utf8)] = id }
        }
        let modelCount = known.count
        var largest = -1
        for (index, entry) in entries.enumerated() {
            let key = "added_tokens[\(index)]"
            guard let object = entry.object, let content = object["content"]?.string, let id = object["id"]?.integer
            else {
                throw .malformed(key: key, reason: "expected an object with \"content\" and \"id\"")
            }
            guard !content.isEmpty else { throw .malformed(key: key, reason: "the content is empty") }
            guard !addedTokens.contains(where: { $0.content.utf8.elementsEqual(content.utf8) }) else {
                throw .malformed(key: key, reason: "\"\(content.prefix(80))\" is listed twice")
            }
            // The reference numbers new tokens by their place and ignores what the file says; a file in which the two
            // differ would encode differently here and there.
            let expected = known[Array(content.utf8)] ?? max(modelCount, largest + 1)
            guard id == expected else {
                throw .malformed(
                    key: key,
                    reason: "\"\(content.prefix(80))\" has id \(id), the vocabulary or its place gives \(expected)")
            }
            if known.updateValue(id, forKey: Array(content.utf8)) == nil { try assign(content, to: id, key: key) }
            largest = max(largest, id)
            let isSpecial = try object.flag("special", in: key) ?? false
            addedTokens.append(
                AddedToken(
                    id: id, content: content, isSpecial: isSpecial,
                    isSingleWord: try object.flag("single_word", in: key) ?? false,
                    stripsLeft: try object.flag("lstrip", in: key) ?? false,
                    stripsRight: try object.flag("rstrip", in: key) ?? false,
                    isNormalized: try object.flag("normalized", in: key) ?? !isSpecial))
        }
    }

    // MARK: - The steps around the model

    private mutating func readPostProcessor(_ value: JSONValue) throws(TokenizerError) {
        switch try stepType(value, key: "post_processor") {
        case nil, "ByteLevel": break  // ByteLevel moves offsets, not ids.
        case "TemplateProcessing": try readTemplate(value)
        case "Sequence":
            guard let steps = value.object?["processors"]?.array else {
                throw .malformed(key: "post_processor.processors", reason: "expected an array")
            }
            for step in steps { try readPostProcessor(step) }
        default:
            throw .unsupported(
                key: "post_processor", value: describe(value),
                accepted: "null, ByteLevel, TemplateProcessing, Sequence")
        }
    }

    /// `single` is a list such as `<s> A`: special tokens around the one sequence.
    private mutating func readTemplate(_ value: JSONValue) throws(TokenizerError) {
        let key = "post_processor.single"
        guard template == Template() else {
            throw .unsupported(key: "post_processor", value: "several templates", accepted: "one")
        }
        guard let pieces = value.object?["single"]?.array else {
            throw .malformed(key: key, reason: "expected an array")
        }
        let tokens = value.object?["special_tokens"]?.object
        var hasSequence = false
        for piece in pieces {
            if piece.object?["Sequence"] != nil {
                guard !hasSequence else { throw .unsupported(key: key, value: "the sequence twice", accepted: "once") }
                hasSequence = true
            } else if let name = piece.object?["SpecialToken"]?.object?["id"]?.string {
                guard let ids = tokens?[name]?.object?["ids"]?.array?.compactMap(\.integer), !ids.isEmpty,
                    ids.allSatisfy({ contents.indices.contains($0) && contents[$0] != nil })
                else {
                    throw .malformed(key: "post_processor.special_tokens", reason: "no ids for \"\(name.prefix(80))\"")
                }
                if hasSequence { template.suffix += ids } else { template.prefix += ids }
            } else {
                throw .malformed(key: key, reason: "expected Sequence or SpecialToken, found \(describe(piece))")
            }
        }
        guard hasSequence else { throw .malformed(key: key, reason: "it leaves the sequence out") }
    }

    /// The `type` of a step; nil for a step that is null.
    func stepType(_ value: JSONValue, key: String) throws(TokenizerError) -> String? {
        if value == .null { return nil }
        guard let type = value.object?["type"]?.string else {
            throw .malformed(key: key, reason: "expected null or an object with a \"type\"")
        }
        return type
    }
}

extension JSONObject {
    fileprivate func requiredObject(_ key: String, in path: String) throws(TokenizerError) -> JSONObject {
        guard let object = self[key]?.object else {
            throw .malformed(key: path + key, reason: "expected an object, found \(self[key]?.kind ?? "nothing")")
        }
        return object
    }

    func flag(_ key: String, in path: String) throws(TokenizerError) -> Bool? {
        guard let value = self[key] else { return nil }
        guard let flag = value.bool else {
            throw .malformed(key: "\(path).\(key)", reason: "expected true or false, found \(value.kind)")
        }
        return flag
    }
}

/// A value as it appears in a message: short, and for an object its type.
func describe(_ value: JSONValue) -> String {
    switch value {
    case .string(let text): "\"\(text.prefix(80))\""
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .bool(let flag): "\(flag)"
    case .array(let values) where values.count <= 4: "[\(values.map(describe).joined(separator: ", "))]"
    case .object(let object): object["type"].map(describe) ?? value.kind
    default: value.kind
    }
}
